"""What a person can do next, at each point of a run's life, and what a key says that cannot do anything."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from recorded import RecordedTraining, RecordedWriter, app_on, catch_up, text_of, wait_until
from test_steering_keys import happen
from textual.widgets import Input

from tui_trainer.events import AdviceRaised, RunFailed, RunFinished, RunPaused
from tui_trainer.monitor.standing import Standing, next_steps
from tui_trainer.runs.control import name_requester
from tui_trainer.tui.screens.monitor import MonitorScreen
from tui_trainer.tui.screens.reading import ReadScreen
from tui_trainer.tui.services import Services
from tui_trainer.tui.widgets.prompt_panel import PromptPanel

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")


def next_line(app) -> str:
    """The line below the verdict."""
    return next((line.strip() for line in text_of(app).splitlines() if "→ next" in line or "watching only" in line), "")


@pytest.fixture
def revivable(steered):
    """What was resumed or started again, and the services that do it."""
    started = []

    def resume(run, overrides):
        started.append(("resume", run.path.name, list(overrides)))
        return RecordedTraining(run)

    def launch(config, preset):
        started.append(("launch", preset, config.training.learning_rate))
        return RecordedTraining(None)

    return replace(steered.services, launch=launch, resume=resume), started


@SIZES
async def test_while_it_trains(steered, record_of, size):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=size) as pilot:
        await catch_up(pilot)
        assert next_line(app).startswith("→ next: p ask the best   r rate   m last step")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (RunFinished("completed", 2244, 50.0), "p ask the best   m train longer   n start again"),
        (RunFinished("stopped", 1122, 50.0), "r resume   p ask the best"),
        (RunFinished("early_stopped", 1122, 50.0), "p ask the best   n start again   v why it stopped"),
        (
            RunFailed("the training diverged: loss nan", 1122, 50.0),
            "v why it failed   r resume from the last checkpoint",
        ),
    ],
)
async def test_when_it_has_ended(steered, record_of, event, words):
    run = record_of("quick-test", 0.5)
    training = RecordedTraining(run, is_running=False)
    app = app_on(steered.services, training)
    async with app.run_test(size=(80, 24)) as pilot:
        happen(run, event)
        await catch_up(pilot)
        assert next_line(app).startswith(f"→ next: {words}")
        assert " left" not in text_of(app).splitlines()[1]


async def test_a_run_whose_process_died_looks_dead_everywhere(steered, record_of):
    run = record_of("quick-test", 0.5, heartbeat=time.time() - 500, pid=2**22 + 1)
    app = app_on(steered.services, RecordedTraining(run, is_running=False, ends_with_screen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        shown = text_of(app)
        assert "✗ interrupted" in shown and "its process is gone" in shown
        assert "still improving" not in shown and " left" not in shown.splitlines()[1]
        assert next_line(app).startswith("→ next: r resume from the last checkpoint")


async def test_a_paused_run_is_paused_everywhere(steered, record_of):
    run = record_of("quick-test", 0.5)
    app = app_on(steered.services, RecordedTraining(run))
    async with app.run_test(size=(80, 24)) as pilot:
        happen(run, RunPaused(1122))
        await catch_up(pilot)
        assert "‖ paused" in text_of(app) and next_line(app).startswith("→ next: space continue")
        await pilot.press("q")
        await wait_until(pilot, lambda: "The training is paused." in text_of(app))
        assert "stay paused" in text_of(app)


async def test_who_may_only_watch_is_told(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5), ends_with_screen=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        assert next_line(app).startswith("watching only   p ask the best   q leave")


@pytest.mark.parametrize(
    ("key", "reason"),
    [("space", "nobody trains this run any more: m trains it longer"), ("r", "it is complete: m trains it longer")],
)
async def test_a_key_that_cannot_act_says_why(steered, record_of, key, reason):
    run = record_of("quick-test", 1.0)
    app = app_on(steered.services, RecordedTraining(run, is_running=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        await pilot.press(key)
        assert reason in text_of(app) and steered.asked == []


async def test_a_person_is_not_told_what_they_asked_for_themselves(steered, record_of):
    from tui_trainer.events import ControlApplied

    run = record_of("quick-test", 0.5)
    app = app_on(steered.services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        happen(run, ControlApplied("1", "pause", None, name_requester(), 1100))
        await catch_up(pilot)
        lines = [line for line in text_of(app).splitlines() if line.strip() == "paused"]
        assert lines, "without a word on who asked"
        assert "quick-test" in text_of(app).splitlines()[0], "the run keeps its name"


async def test_r_resumes_what_was_stopped_and_m_lengthens_what_is_complete(revivable, record_of):
    services, started = revivable
    run = record_of("quick-test", 0.5)
    app = app_on(services, RecordedTraining(run, is_running=False))
    async with app.run_test(size=(80, 24)) as pilot:
        happen(run, RunFinished("stopped", 1122, 50.0))
        await catch_up(pilot)
        first = app.screen
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(app.screen, MonitorScreen) and app.screen is not first)
        assert started == [("resume", run.path.name, [])]
        await catch_up(pilot)
        happen(run, RunFinished("completed", 2244, 50.0))
        app.screen.training.is_running = False
        await catch_up(pilot)
        await pilot.press("m")
        await wait_until(pilot, lambda: bool(app.screen.query("#new-value")))
        app.screen.query_one("#new-value", Input).value = "5000"
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(started) == 2)
        assert started[1] == ("resume", run.path.name, ["training.max_steps=5000"])


async def test_n_starts_again_with_the_same_settings(revivable, record_of):
    services, started = revivable
    app = app_on(services, RecordedTraining(record_of("quick-test", 1.0), is_running=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        rate = app.screen.follower.config.training.learning_rate
        await pilot.press("n")
        await wait_until(pilot, lambda: bool(started))
        assert started == [("launch", "quick-test", rate)]


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("may_steer", [True, False])
def test_there_is_always_a_next_step_once_it_trains(standing, may_steer):
    steps = next_steps(standing, may_steer=may_steer, has_checkpoint=True)
    assert steps or standing in (Standing.STARTING, Standing.MOVING)
    assert may_steer or {key for key, _ in steps} <= {"p", "v", "q"}


# Everything can be reached


async def ask(pilot, writer: RecordedWriter) -> PromptPanel:
    await catch_up(pilot)
    panel = pilot.app.screen.query_one(PromptPanel)
    await pilot.press("p", "enter")
    await wait_until(pilot, lambda: bool(writer.asked) and not panel._answer.is_running)
    await pilot.press("escape")
    return panel


@SIZES
async def test_a_long_answer_can_be_scrolled_and_enlarged(record_of, size):
    writer = RecordedWriter([f"line {number}\n" for number in range(60)])
    app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
    async with app.run_test(size=size) as pilot:
        panel = await ask(pilot, writer)
        assert (
            "line 59" in text_of(app) and "line 0\n" not in text_of(app) and "more lines" in str(panel.border_subtitle)
        )
        for _ in range(80):
            await pilot.press("up")
        assert "The value of line 0 " in text_of(app)
        await pilot.press("pagedown")
        assert "The value of line 0 " not in text_of(app)
        shown = panel._answer.size.height
        await pilot.press("z")
        await wait_until(pilot, lambda: panel._answer.size.height > shown)
        assert panel._answer.size.height > size[1] - 10
        await pilot.press("z")
        await wait_until(pilot, lambda: panel._answer.size.height == shown)


async def test_an_answer_says_when_a_newer_best_exists_and_when_it_was_cancelled(record_of):
    writer = RecordedWriter(["a", "b"], is_slow=True)
    run = record_of("quick-test", 0.55)
    app = app_on(Services(None, lambda run: writer), RecordedTraining(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await catch_up(pilot)
        panel = app.screen.query_one(PromptPanel)
        await pilot.press("p", "enter")
        await wait_until(pilot, lambda: bool(panel._answer.text))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not panel._answer.is_running)
        assert str(panel.border_title) == "answer · step 1,200 (best, val 4.255) · cancelled"
        panel._best_step = 1400
        panel._name_frame()
        assert str(panel.border_title) == "answer · step 1,200, val 4.255 · cancelled"
        assert str(panel.border_subtitle).startswith("newer best: step 1,400")


async def test_the_verdict_opens_to_its_text_and_its_history(steered, record_of):
    run = record_of("quick-test", 0.5)
    app = app_on(steered.services, RecordedTraining(run))
    async with app.run_test(size=(80, 24)) as pilot:
        long = "val rose and rose " * 12
        happen(run, AdviceRaised("overfitting", "warning", long, "Rest. " * 40, 1100, {"rise": 0.5}))
        happen(run, AdviceRaised("plateau", "note", "it stands still", "Wait.", 1110, {}))
        await catch_up(pilot)
        await pilot.press("v")
        await wait_until(pilot, lambda: isinstance(app.screen, ReadScreen))
        await pilot.pause()
        shown = text_of(app)
        assert "plateau" in shown or "advice so far" in shown or "overfitting" in shown
        await pilot.press("end")
        await pilot.pause()
        assert "advice so far, newest first" in text_of(app) and "plateau: it stands still" in text_of(app)
        await pilot.press("escape")
        assert isinstance(app.screen, MonitorScreen)


@pytest.mark.parametrize("size", [(40, 12), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_what_happened_can_be_read_at_every_size(steered, record_of, size):
    app = app_on(steered.services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=size) as pilot:
        await catch_up(pilot)
        await pilot.press("l")
        await wait_until(pilot, lambda: isinstance(app.screen, ReadScreen))
        await pilot.pause()
        assert "evaluated" in text_of(app)


async def test_at_40x12_the_prompt_takes_the_whole_screen(record_of):
    writer = RecordedWriter(["words"])
    app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
    async with app.run_test(size=(40, 12)) as pilot:
        await catch_up(pilot)
        panel = app.screen.query_one(PromptPanel)
        assert not panel.display
        await pilot.press("p")
        await wait_until(pilot, lambda: panel.size.height > 6)
        await pilot.press("enter")
        await wait_until(pilot, lambda: "words" in text_of(app))
        await pilot.press("escape", "z")
        await wait_until(pilot, lambda: app.screen.maximized is None)
