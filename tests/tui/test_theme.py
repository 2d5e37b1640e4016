"""Colours that can be read, and told apart by every eye."""

from __future__ import annotations

from itertools import combinations

import pytest
from eyes import DICHROMACY, ciede2000, contrast, distance
from recorded import RecordedTraining, app_on, catch_up
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme
from textual.widgets import Input

from tui_trainer.tui import theme
from tui_trainer.tui.pane import ROLES, Pane
from tui_trainer.tui.screens.setting_question import ask_for_rate
from tui_trainer.tui.terminal import TerminalKind
from tui_trainer.tui.theme import COLOUR_BLIND, DARK, HIGH_CONTRAST, LIGHT, PLAIN, SIXTEEN, THEMES

PALETTES = {  # ansi_black … ansi_white, ansi_bright_black … ansi_bright_white
    "vga": "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa"
    " 555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff",
    "xterm": "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5"
    " 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff",
    "solarized": "073642 dc322f 859900 b58900 268bd2 d33682 2aa198 eee8d5"
    " 002b36 cb4b16 586e75 657b83 839496 6c71c4 93a1a1 fdf6e3",
}
NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
DEPTHS = (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT)
TOLD_APART = ("train", "val", "good", "warning", "wrong")
TEXT = ("label", "value", *TOLD_APART)


def colours_of(theme: Theme, depth: ColorSystem = ColorSystem.TRUECOLOR) -> dict[str, str]:
    """What a role has in a theme, on a terminal with so many colours."""
    colours = theme.variables | {
        "value": theme.foreground,
        "good": theme.success,
        "warning": theme.warning,
        "wrong": theme.error,
        "background": theme.background,
    }
    if depth is ColorSystem.TRUECOLOR:
        return colours
    seen = {role: RichColor.parse(colour) for role, colour in colours.items() if colour.startswith("#")}
    return {role: colour.downgrade(depth).get_truecolor().hex for role, colour in seen.items()}


def on_palette(colour: str, palette: str) -> str:
    name = colour.removeprefix("ansi_")
    index = NAMES.index(name.removeprefix("bright_")) + 8 * name.startswith("bright_")
    return "#" + PALETTES[palette].split()[index]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("theme", "least"),
    [(DARK, 4.5), (LIGHT, 4.5), (COLOUR_BLIND, 4.5), (HIGH_CONTRAST, 7.0)],
    ids=lambda value: getattr(value, "name", None),
)
def test_every_text_has_contrast(theme, least, depth):
    colours = colours_of(theme, depth)
    figures = {role: round(contrast(colours[role], colours["background"]), 2) for role in TEXT}
    assert min(figures.values()) >= least, figures
    assert contrast(colours["quiet"], colours["background"]) >= 3
    assert contrast(colours["chosen-foreground"], colours["chosen-background"]) >= least


@pytest.mark.parametrize(("palette", "least"), [("vga", 3.9), ("xterm", 4.5), ("solarized", 2.8)])
def test_sixteen_colours_have_contrast_in_the_usual_palettes(palette, least):
    """As much as who chose the palette left: Solarized means to be soft."""
    colours = {role: on_palette(colours_of(SIXTEEN)[role], palette) for role in (*TEXT, "background")}
    figures = {role: round(contrast(colours[role], colours["background"]), 2) for role in TEXT}
    assert min(figures.values()) >= least, figures
    assert len({colours[role] for role in TOLD_APART}) == len(TOLD_APART)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("eye", DICHROMACY)
def test_the_colour_blind_tell_all_five_apart(eye, depth):
    colours = colours_of(COLOUR_BLIND, depth)
    figures = {pair: round(distance(*(colours[role] for role in pair), eye), 1) for pair in combinations(TOLD_APART, 2)}
    assert min(figures.values()) >= 15, figures


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("theme", [DARK, LIGHT, HIGH_CONTRAST])
@pytest.mark.parametrize("eye", DICHROMACY)
def test_everybody_tells_train_from_val(theme, eye, depth):
    colours = colours_of(theme, depth)
    assert distance(colours["train"], colours["val"], eye) >= 15


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_distance_is_the_published_one(one, other, expected):
    assert ciede2000(one, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("colours", "expected"), [("truecolor", DARK), ("256", DARK), ("16", SIXTEEN), ("none", PLAIN)]
)
def test_a_terminal_gets_a_theme_that_it_can_show(colours, expected):
    assert theme.theme_for(TerminalKind(colours=colours)) is expected


async def test_the_monitor_wears_every_theme(record_of, services):
    app = app_on(services, RecordedTraining(record_of("overfitting")))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        for name in (*(each.name for each in THEMES), "nord", "textual-light", "ansi-light"):
            app.theme = name
            await pilot.pause()
            pane = app.screen.query_one("#figures", Pane)
            styles = {role: pane.get_component_rich_style(f"pane--{role}") for role in ROLES}
            assert styles["val"].color == Color.parse(app.theme_variables["val"]).rich_color
            assert styles["train"] != styles["val"] and styles["label"] != styles["value"]
            assert styles["band"] != styles["train"]


@pytest.mark.parametrize("theme", [HIGH_CONTRAST, COLOUR_BLIND, SIXTEEN, PLAIN], ids=lambda theme: theme.name)
async def test_picture_of_a_theme(record_of, services, picture, theme):
    """Dark and light are in the pictures of the monitor."""
    app = app_on(services, RecordedTraining(record_of("overfitting")), theme_name=theme.name)
    async with app.run_test(size=(100, 32)) as pilot:
        await catch_up(pilot)
        app.screen.query_one("#prompt", Input).cursor_blink = False
        await pilot.press("p")
        await catch_up(pilot)
        assert app.export_screenshot() == picture


async def test_without_colour_attributes_tell_what_colour_did(record_of, services, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = TerminalKind(colours="none")
    app = app_on(services, RecordedTraining(record_of("overfitting")), terminal=terminal, theme_name=PLAIN.name)
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        strips = app.screen._compositor.render_strips()
        styles = {segment.style for strip in strips for segment in strip._segments if segment.style}
        shown = {style.color.name for style in styles if style.color} | {
            style.bgcolor.name for style in styles if style.bgcolor
        }
        assert shown <= {"default"}
        assert {style.bold for style in styles} >= {True, None} and any(style.dim for style in styles)
        await pilot.press("p")
        await pilot.pause()
        row = app.screen._compositor.render_strips()[app.screen.query_one("#prompt").region.y]
        assert any(segment.style.reverse and "The value of" in segment.text for segment in row if segment.style)
        app.push_screen(ask_for_rate(app.screen.follower))
        await pilot.pause()
        field = app.screen.query_one(Input)
        row = app.screen._compositor.render_strips()[field.region.y]
        assert field.value and any(s.style.reverse and field.value in s.text for s in row if s.style)


def test_textuals_own_themes_get_colours_that_suit_them():
    light, dark = BUILTIN_THEMES["textual-light"], BUILTIN_THEMES["nord"]
    assert theme.defaults_for(light)["val"] == LIGHT.variables["val"]
    assert theme.defaults_for(dark)["val"] == DARK.variables["val"]
    assert theme.defaults_for(BUILTIN_THEMES["ansi-dark"])["val"] == SIXTEEN.variables["val"]
    assert set(theme.defaults_for(light)) <= set(LIGHT.variables)
