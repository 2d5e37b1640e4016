"""Colours with a meaning, for every eye and every terminal. Colour never carries a meaning alone.

Blue and orange tell train from validation for everybody. tests/tui/test_theme.py holds the figures: the contrast of
each role, and how far apart train, val, good, warning and wrong stay for the colour-blind.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from textual.theme import Theme

from tui_trainer.tui.pane import ROLES
from tui_trainer.tui.terminal import TerminalKind

STYLES = {f"{role}-style": "none" for role in ROLES} | {
    "best-style": "bold",
    "key-style": "bold",
    "chosen-style": "bold",
    "selection-style": "none",
    "frame": "round",
    "frame-of-focus": "round",
}
"""What a theme without enough colours says otherwise: by bold and dim, and by the lines of a frame.

Textual 8.2 leaves out `reverse` where it draws an option.
"""


@dataclass(frozen=True)
class Palette:
    """A colour for each role, and for what they stand on."""

    train: str
    val: str
    good: str
    warning: str
    wrong: str
    value: str
    accent: str
    label: str
    quiet: str
    line: str
    background: str
    surface: str
    panel: str


def _make(
    name: str, palette: Palette, *, is_dark: bool = True, is_ansi: bool = False, styles: dict[str, str] | None = None
) -> Theme:
    """A theme of these colours; `styles` are its changes to STYLES."""
    return Theme(
        name=f"tui-trainer-{name}",
        primary=palette.train,
        secondary=palette.val,
        accent=palette.accent,
        success=palette.good,
        warning=palette.warning,
        error=palette.wrong,
        foreground=palette.value,
        background=palette.background,
        surface=palette.surface,
        panel=palette.panel,
        dark=is_dark,
        ansi=is_ansi,
        variables={
            "train": palette.train,
            "val": palette.val,
            "label": palette.label,
            "quiet": palette.quiet,
            "line": palette.line,
            "surface": palette.surface,
            "panel": palette.panel,
            "border-blurred": palette.line,
            "ansi-background": palette.background,  # Textual asks for these two in every theme of such colours
            "ansi-foreground": palette.value,
            "chosen-background": palette.panel,
            "chosen-foreground": palette.value,
        }
        | STYLES
        | (styles or {}),
    )


DARK = _make(
    "dark",
    Palette(
        train="#6cb2eb",
        val="#f0a35e",
        good="#5fbf97",
        warning="#e3c567",
        wrong="#e5737b",
        value="#d5dae0",
        accent="#8fb8de",
        label="#8592a0",
        quiet="#57636f",
        line="#36414c",
        background="#101418",
        surface="#151a20",
        panel="#1c232b",
    ),
)

LIGHT = _make(
    "light",
    Palette(
        train="#1f6fb2",
        val="#b35900",
        good="#1b7f5f",
        warning="#8a6100",
        wrong="#b3333d",
        value="#22282e",
        accent="#2c5f8a",
        label="#5c6670",
        quiet="#868f97",
        line="#c3c9ce",
        background="#fafaf8",
        surface="#f3f3f0",
        panel="#e8e8e4",
    ),
    is_dark=False,
)

HIGH_CONTRAST = _make(
    "high-contrast",
    Palette(
        train="#6aa7fd",
        val="#e6b147",
        good="#8ff5c2",
        warning="#ffff19",
        wrong="#f26f7a",
        value="#ffffff",
        accent="#ffffff",
        label="#d2d6da",
        quiet="#9aa2aa",
        line="#8a9299",
        background="#000000",
        surface="#000000",
        panel="#3a3f44",
    ),
    styles={"frame-of-focus": "heavy"},
)

COLOUR_BLIND = _make(
    "colour-blind",
    Palette(
        train="#40bcf9",
        val="#f09e26",
        good="#1c8e89",
        warning="#fff6a6",
        wrong="#db4b4b",
        value="#d5dae0",
        accent="#a9c6de",
        label="#8592a0",
        quiet="#57636f",
        line="#36414c",
        background="#101418",
        surface="#151a20",
        panel="#26303a",
    ),
)

_ON_BLACK = {
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_cyan",
    "input-cursor-background": "ansi_white",
    "input-cursor-foreground": "ansi_black",
    "input-cursor-text-style": "none",
    "input-selection-background": "ansi_blue",
    "input-selection-foreground": "ansi_bright_white",
}
"""Textual's own parts: by themselves they are on whatever the terminal has behind its text."""

SIXTEEN = _make(
    "16-colours",
    Palette(
        # Colours that stand out from black in the palettes of xterm, VGA and Solarized alike.
        train="ansi_cyan",
        val="ansi_yellow",
        good="ansi_green",
        warning="ansi_bright_magenta",
        wrong="ansi_bright_red",
        value="ansi_bright_white",
        accent="ansi_cyan",
        label="ansi_white",
        quiet="ansi_white",
        line="ansi_bright_black",
        background="ansi_black",
        surface="ansi_black",
        panel="ansi_black",
    ),
    is_ansi=True,
    styles={
        "band-style": "dim",
        "quiet-style": "dim",
        "chosen-background": "ansi_cyan",
        "chosen-foreground": "ansi_black",
        "frame-of-focus": "heavy",
        **_ON_BLACK,
    },
)

PLAIN = _make(
    "plain",
    Palette(*["ansi_default"] * len(fields(Palette))),
    is_ansi=True,
    styles={
        "value-style": "bold",
        "band-style": "dim",
        "val-style": "bold",
        "warning-style": "bold",
        "wrong-style": "bold",
        "quiet-style": "dim",
        "chosen-style": "bold underline",
        "selection-style": "reverse",
        "input-selection-background": "ansi_default",
        "input-selection-foreground": "ansi_default",
        "frame-of-focus": "heavy",
    },
)

THEMES = (DARK, LIGHT, HIGH_CONTRAST, COLOUR_BLIND, SIXTEEN, PLAIN)


def theme_for(terminal: TerminalKind) -> Theme:
    """The theme for a terminal, as long as nobody chose one."""
    return {"16": SIXTEEN, "none": PLAIN}.get(terminal.colours, DARK)


def defaults_for(theme: Theme) -> dict[str, str]:
    """Our variables for Textual's own themes, which know nothing of them."""
    ours = SIXTEEN if theme.ansi else DARK if theme.dark else LIGHT
    names = ("train", "val", "label", "quiet", "line", "chosen-background", "chosen-foreground", *STYLES)
    return {name: ours.variables[name] for name in names}
