"""One table of keys: bindings, footer, help and palette all come from it."""

from __future__ import annotations

import pytest
from recorded import RecordedTraining, app_on, catch_up, text_of
from test_monitor_screen import footer_keys

from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.keys import EVERYWHERE, MONITOR_KEYS, STEERING_ACTIONS
from tui_trainer.tui.screens.explain import explain
from tui_trainer.tui.screens.monitor import MonitorScreen


@pytest.mark.parametrize("key", MONITOR_KEYS, ids=lambda key: key.action)
def test_every_key_does_something(key):
    assert callable(getattr(MonitorScreen, f"action_{key.name}"))


def test_no_key_does_two_things():
    keys = [name for key in (*MONITOR_KEYS, *EVERYWHERE) for name in key.keys.split(",")]
    assert len(keys) == len(set(keys))


def test_the_help_names_every_key():
    shown = "\n".join("".join(text for text, _ in line) for line in explain(200))
    for key in (*MONITOR_KEYS, *EVERYWHERE):
        assert key.shown in shown and key.help in shown


def test_the_help_shows_keys_as_they_are_on_a_keyboard():
    assert max(len(key.shown) for key in (*MONITOR_KEYS, *EVERYWHERE)) <= len("space")


async def test_the_footer_shows_what_the_table_says_and_works_now(steered, record_of):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        expected = {key.label for key in (*MONITOR_KEYS, *EVERYWHERE) if key.is_in_footer} - {"presets"}
        assert footer_keys(app) == expected


async def test_the_palette_offers_every_key_that_works_now(steered, record_of):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        offered = {command.title for command in app.get_system_commands(app.screen)}
        may = [key for key in MONITOR_KEYS if not app.screen.why_not(key.name)]
        assert offered >= {f"{key.label.capitalize()}  ({key.shown})" for key in may} and len(may) > 20
        assert {"Theme", "Quit"} <= offered
        pause = next(command for command in app.get_system_commands(app.screen) if command.title == "Pause  (space)")
        await pause.callback()
        assert steered.asked == [("pause", None)]


async def test_who_may_only_watch_is_offered_nothing_to_steer(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5), ends_with_screen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        assert not footer_keys(app) & {"pause", "save"}
        offered = {command.title.lower() for command in app.get_system_commands(app.screen)}
        assert not offered & {f"{key.label}  ({key.shown})" for key in MONITOR_KEYS if key.name in STEERING_ACTIONS}
        for key in ("space", "s", "e", "w", "r", "m", "x", "n"):
            await pilot.press(key)
            assert isinstance(app.screen, MonitorScreen)
            assert "this screen only watches (--readonly)" in text_of(app)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_footer_has_every_key_at_every_size(steered, record_of, size):
    app: TrainerApp = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=size) as pilot:
        await catch_up(pilot)
        footer = text_of(app).splitlines()[-1]
        for key in (*MONITOR_KEYS, *EVERYWHERE):
            if key.is_in_footer and not app.screen.why_not(key.name):
                assert f" {key.shown.split()[0]} " in footer + " "
                assert key.label in footer or size[0] < 80
        assert "q quit" in footer


async def test_a_click_on_a_key_is_the_key(steered, record_of):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        at = text_of(app).splitlines()[-1].index("save")
        await pilot.click("#keys", offset=(at, 0))
        assert steered.asked == [("save", None)]
