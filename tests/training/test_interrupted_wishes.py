"""What somebody wished is not lost when somebody else interrupts it; a pause holds wherever the run goes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tiny_runs import changed, events, hold, new, sha_of, tensors_of, tiny_config, write_text

from tui_trainer.config import RunConfig
from tui_trainer.events import (
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    PhaseStarted,
    RunFinished,
    RunMoving,
    RunPaused,
    SampleGenerated,
    StepCompleted,
)
from tui_trainer.runs.control import send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import ResumedRun, ignore_directory
from tui_trainer.training.session import hold_session


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    sampling = {"prompts": ["abc"], "max_new_tokens": 8}
    training = {"eval_interval": 20, "checkpoint_interval": 7}
    return tiny_config(write_text(tmp_path), training=training, sampling=sampling)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that looks do not depend on the clock."""
    monkeypatch.setattr("tui_trainer.training.interruption.CONTROL_INTERVAL_SECONDS", 0.0)


class Interrupting(ProgramLink):
    """Sends wishes at step 9, something else as soon as the first is acknowledged, and `resume` when it waits."""

    def __init__(self, run: RunDirectory, wishes: tuple[str, ...], then: str) -> None:
        super().__init__()
        self._run, self._wishes, self._then = run, wishes, then

    def is_stopping(self) -> bool:
        if self._wishes and any(event.step == 9 for event in events(self._run, StepCompleted)):
            for wish in self._wishes:
                send_command(self._run.control, wish, "kim")
            self._wishes = ()
        elif self._then and events(self._run, ControlApplied):
            send_command(self._run.control, self._then, "kim")
            self._then = ""
        return super().is_stopping()

    def wait(self, seconds: float) -> None:
        send_command(self._run.control, "resume", "kim")


def play(config: RunConfig, run: RunDirectory, link: ProgramLink) -> None:
    hold_session(new(config, run), link, ignore_directory)


def actions(run: RunDirectory) -> list[str]:
    return [event.action for event in events(run, ControlApplied)]


@pytest.mark.parametrize(("wish", "result"), [("evaluate", EvaluationCompleted), ("sample", SampleGenerated)])
def test_a_wish_that_a_pause_interrupts_is_met_after_it(
    config: RunConfig, tmp_path: Path, wish: str, result: type
) -> None:
    straight, run = RunDirectory(tmp_path / "straight"), RunDirectory(tmp_path / "run")
    hold(new(config, straight))
    play(config, run, Interrupting(run, (wish, "save"), "pause"))
    assert [action for action in actions(run) if action != "resume"] == [wish, "pause", "save"], "each answered once"
    (step,) = {event.step for event in events(run, ControlApplied)}
    assert events(run, RunPaused)[0].step == step
    assert [event.step for event in events(run, result)].count(step) == 1
    assert sha_of(tensors_of(run)) == sha_of(tensors_of(straight))


def test_a_wish_that_a_stop_leaves_is_answered(config: RunConfig, run: RunDirectory) -> None:
    play(config, run, Interrupting(run, ("evaluate", "sample", "save"), "stop"))
    assert events(run, RunFinished)[0].reason == "stopped"
    answered = [*actions(run), *(event.action for event in events(run, ControlDiscarded))]
    assert sorted(answered) == ["evaluate", "sample", "save", "stop"]
    assert {event.reason for event in events(run, ControlDiscarded)} == {"the run had ended"}


def test_a_wish_that_makes_the_planned_evaluation_ends_a_run_that_learns_no_more(
    config: RunConfig, run: RunDirectory
) -> None:
    wild = changed(
        config, learning_rate=1.0, warmup_steps=0, schedule="constant", early_stop_patience=2, eval_interval=3
    )

    class Eager(ProgramLink):
        def is_stopping(self) -> bool:
            done = [event.step for event in events(run, StepCompleted)]
            if done and done[-1] % 3 == 2 and not any(run.control.iterdir()):
                send_command(run.control, "evaluate", "kim")
            return super().is_stopping()

    play(wild, run, Eager())
    assert events(run, RunFinished)[0].reason == "early_stopped"


def test_a_wish_in_a_pause_does_not_make_its_time_count(config: RunConfig, run: RunDirectory) -> None:
    class Slow(ProgramLink):
        waits = 0

        def is_stopping(self) -> bool:
            if self.waits == 0 and any(event.step == 9 for event in events(run, StepCompleted)):
                self.waits = 1
                send_command(run.control, "pause", "kim")
            return super().is_stopping()

        def wait(self, seconds: float) -> None:
            time.sleep(0.4)
            send_command(run.control, {1: "evaluate"}.get(self.waits, "resume"), "kim")
            self.waits += 1

    play(config, run, Slow())
    steps = {event.step: event.elapsed_seconds for event in events(run, StepCompleted)}
    evaluation = next(event for event in events(run, EvaluationCompleted) if event.step not in (0, 20))
    assert evaluation.elapsed_seconds - steps[9] < 0.4
    assert steps[11] - steps[9] < 0.4


def test_a_pause_goes_with_a_run_that_moves(config: RunConfig, run: RunDirectory) -> None:
    class Leaving(Interrupting):
        def wait(self, seconds: float) -> None:
            if not (self.is_moving or any(run.control.iterdir())):
                changes = {"key": "training.max_steps", "value": 12}  # has it saved once more on the way out
                send_command(run.control, "set", "kim", changes)
            if "set" in actions(run):
                self.move()

    play(config, run, Leaving(run, ("save",), "pause"))
    assert len(events(run, RunMoving)) == 1
    status = read_status(run.status_file)
    assert (status.state, status.is_paused) == ("moving", True)

    class Waiting(ProgramLink):
        def wait(self, seconds: float) -> None:
            assert read_status(run.status_file).pid > 0 and events(run, PhaseStarted)[-1].phase == "paused"
            send_command(run.control, "resume", "kim")

    steps_before = len(events(run, StepCompleted))
    hold_session(ResumedRun(run, run.read_config(), "cpu", is_paused=True), Waiting(), ignore_directory)
    assert len(events(run, RunPaused)) == 2
    assert len(events(run, StepCompleted)) > steps_before
    assert events(run, RunFinished)[0].reason == "completed"
    assert not read_status(run.status_file).is_paused
