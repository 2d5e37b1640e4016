"""Which theme the screen starts with."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import RecordedTraining, app_on, wait_until

from tui_trainer import places
from tui_trainer.errors import UserError
from tui_trainer.tui.terminal import TerminalKind
from tui_trainer.tui.theme import DARK, LIGHT, PLAIN, SIXTEEN
from tui_trainer.tui.theme_choice import choose_theme, remember_theme

MODERN = TerminalKind()


def test_what_suits_the_terminal():
    assert choose_theme({}, MODERN) == DARK.name
    assert choose_theme({}, TerminalKind(colours="16")) == SIXTEEN.name
    assert choose_theme({}, TerminalKind(colours="none")) == PLAIN.name


@pytest.mark.parametrize("name", ["light", "tui-trainer-light"])
def test_a_person_names_one(name):
    assert choose_theme({"TUI_TRAINER_THEME": name}, MODERN) == LIGHT.name
    assert choose_theme({"TUI_TRAINER_THEME": name}, TerminalKind(colours="16")) == LIGHT.name


def test_textuals_own_can_be_named():
    assert choose_theme({"TUI_TRAINER_THEME": "nord"}, MODERN) == "nord"


def test_a_wrong_name_is_one_line_that_helps():
    with pytest.raises(UserError, match=r'TUI_TRAINER_THEME=lihgt.*did you mean "light".*colour-blind') as error:
        choose_theme({"TUI_TRAINER_THEME": "lihgt"}, MODERN)
    assert "\n" not in str(error.value)


def test_the_last_choice_is_remembered_where_it_can_be_shown():
    remember_theme(LIGHT.name)
    assert choose_theme({}, MODERN) == LIGHT.name
    assert choose_theme({}, TerminalKind(colours="16")) == SIXTEEN.name
    assert choose_theme({"TUI_TRAINER_THEME": "dark"}, MODERN) == DARK.name


@pytest.mark.parametrize("content", [b"", b"gone-theme", b"\xff\xfe", b"x" * 10_000])
def test_a_damaged_memory_is_no_memory(content):
    remember_theme(LIGHT.name)
    (places.state_folder() / "theme").write_bytes(content)
    assert choose_theme({}, MODERN) == DARK.name


def test_a_choice_that_cannot_be_kept_is_no_error(own_places: Path):
    (own_places / "state").write_text("a file where the folder should be")
    remember_theme(LIGHT.name)
    assert choose_theme({}, MODERN) == DARK.name


async def test_the_palette_remembers_and_a_start_does_not(record_of, services):
    app = app_on(services, RecordedTraining(record_of("quick-test")), theme_name=LIGHT.name)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.theme == LIGHT.name)
        assert not (places.state_folder() / "theme").exists()
        app.search_themes()
        await pilot.pause()
        await pilot.press(*"gruvbox")
        await wait_until(pilot, lambda: len(app.screen.query_one("CommandList").options) == 1)
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: app.theme == "gruvbox")
        await wait_until(pilot, (places.state_folder() / "theme").exists)
    assert choose_theme({}, MODERN) == "gruvbox"
