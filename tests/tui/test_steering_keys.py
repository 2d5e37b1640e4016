"""Steering by keys: what is asked, how the answer is told, and how the screen is left."""

from __future__ import annotations

import time

import pytest
from recorded import RecordedTraining, app_on, catch_up, text_of, wait_until
from textual.widgets import Input

from tui_trainer.errors import UserError
from tui_trainer.event_codec import encode
from tui_trainer.events import ControlApplied, ControlDiscarded, Event, Record, RunMoving, RunPaused, RunResumed
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.screens.monitor import MonitorScreen
from tui_trainer.tui.screens.question import Question
from tui_trainer.tui.screens.setting_question import SettingQuestion


def happen(run: RunDirectory, *events: Event, at: float | None = None) -> None:
    with run.event_log.open("ab") as log:
        for event in events:
            log.write(encode(Record(at or time.time() + 1, 0, event)))


@pytest.mark.parametrize(("key", "action"), [("space", "pause"), ("s", "save"), ("e", "evaluate"), ("w", "sample")])
async def test_a_key_asks_and_says_so_at_once(steered, record_of, key, action):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press(key)
        assert steered.asked == [(action, None)]
        assert f"{action} …" in text_of(app)


async def test_the_answer_is_told_with_who_asked(steered, record_of):
    run = record_of("quick-test", 0.5)
    app = app_on(steered.services, RecordedTraining(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        happen(run, ControlApplied("1", "pause", None, "kim on pts/3", 1100), RunPaused(1100))
        await catch_up(pilot)
        first = text_of(app)
        assert "paused, asked for by kim on pts/3" in first and "‖ paused" in first
        await pilot.press("space")
        assert steered.asked == [("resume", None)]
        happen(run, RunResumed(1100, 5.0))
        await catch_up(pilot)
        assert "● training" in text_of(app)


async def test_what_had_no_effect_is_told_with_the_reason(steered, record_of):
    run = record_of("quick-test", 0.5)
    app = app_on(steered.services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        happen(run, ControlDiscarded("1", "detach", None, "kim", "the other process ended\nmore"))
        await catch_up(pilot)
        assert "detach had no effect, asked for by kim: the other process ended" in text_of(app)


async def test_old_answers_are_history_and_not_news(steered, record_of):
    run = record_of("quick-test", 0.5)
    happen(run, ControlApplied("1", "save", None, "kim", 1100), at=time.time() - 3600)
    app = app_on(steered.services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        assert "saving, asked for by kim" not in text_of(app)


async def test_a_run_that_takes_no_commands_says_so(steered, record_of):
    steered.error = UserError("nobody reads commands in /mirror\nits process trains /run; name that directory instead")
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("s")
        assert "nobody reads commands in /mirror" in text_of(app)


async def test_a_folder_that_cannot_be_written_is_said(steered, record_of):
    steered.error = PermissionError(13, "Permission denied")
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("s")
        assert "save: Permission denied" in text_of(app)


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("r", "3e-4", {"key": "training.learning_rate", "value": 0.0003}),
        ("m", "5000", {"key": "training.max_steps", "value": 5000}),
    ],
)
async def test_a_setting_is_asked_for_and_sent(steered, record_of, key, typed, value):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press(key)
        await wait_until(pilot, lambda: isinstance(app.screen, SettingQuestion))
        assert app.screen.query_one(Input).value, "it starts from the value as it is"
        await pilot.press(*typed, "enter")
        await pilot.pause()
        assert steered.asked == [("set", value)]


@pytest.mark.parametrize(
    ("key", "typed", "reason"),
    [
        ("r", "abc", "abc: must be a number above 0, for instance 0.0001"),
        ("r", "-1", "-1: must be a number above 0"),
        ("r", "nan", "nan: must be a number above 0"),
        ("m", "100", "100: must be a whole number above "),
        ("m", "1e400", "1e400: must be a whole number"),
        ("m", "2000.5", "2000.5: must be a whole number"),
    ],
)
async def test_a_value_that_cannot_be_is_said_where_it_was_typed(steered, record_of, key, typed, reason):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press(key)
        await wait_until(pilot, lambda: isinstance(app.screen, SettingQuestion))
        await pilot.press(*typed, "enter", "enter")
        await wait_until(pilot, lambda: reason in text_of(app))
        assert isinstance(app.screen, SettingQuestion) and steered.asked == []


async def test_a_rate_far_above_the_present_one_is_asked_for_twice(steered, record_of):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(app.screen, SettingQuestion))
        await pilot.press("5", "enter")
        await wait_until(pilot, lambda: "5 is 5,000 times the present peak" in text_of(app))
        assert steered.asked == []
        await pilot.press("enter")
        await wait_until(pilot, lambda: steered.asked)
        assert steered.asked == [("set", {"key": "training.learning_rate", "value": 5.0})]


@pytest.mark.parametrize("keys", [("escape",), ("enter",), ("ctrl+c",)])
async def test_a_setting_that_was_left_alone_is_not_sent(steered, record_of, keys):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(app.screen, SettingQuestion))
        await pilot.press(*keys)
        await wait_until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        assert steered.asked == []


async def test_x_asks_before_it_stops_and_stays(steered, record_of):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press("x")
        assert isinstance(app.screen, Question) and steered.asked == []
        await pilot.press("escape")
        assert steered.asked == []
        await pilot.press("x", "x")
        assert steered.asked == [("stop", None)]
        assert isinstance(app.screen, MonitorScreen) and app.is_running


async def test_d_hands_over_and_the_screen_goes_when_it_has_moved(steered, record_of):
    run = record_of("quick-test", 0.5)
    training = RecordedTraining(run)
    app = app_on(steered.services, training)
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press("d")
        assert training.detached_by and "handing over" in text_of(app)
        happen(run, RunMoving(1122, 20.0))
        await catch_up(pilot)
        assert "moving" in text_of(app)
        training.has_moved = True
        app.screen.look()
        await wait_until(pilot, lambda: not app.is_running)


async def test_the_question_offers_to_detach(steered, record_of):
    training = RecordedTraining(record_of("quick-test", 0.5))
    app = app_on(steered.services, training)
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press("q")
        assert "let it train on" in text_of(app)
        await pilot.press("d")
        assert training.detached_by and training.stops == 0


@pytest.mark.parametrize("key", ["q", "d", "ctrl+q"])
async def test_an_attached_screen_just_closes(steered, record_of, key):
    training = RecordedTraining(record_of("quick-test", 0.5), ends_with_screen=False)
    app = app_on(steered.services, training)
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press(key)
        await wait_until(pilot, lambda: not app.is_running)
    assert (training.stops, training.detached_by) == (0, None) and steered.asked == []


async def test_a_run_that_somebody_goes_on_with_is_live_again(steered, record_of):
    run = record_of("quick-test", 0.5)
    training = RecordedTraining(run, is_running=False, ends_with_screen=False)
    app = app_on(steered.services, training)
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        assert not app.screen.can_detach
        training.is_running = True
        await catch_up(pilot)
        assert app.screen.can_detach
        await pilot.press("space")
        assert steered.asked == [("pause", None)]
