"""A run that is resumed under another plan: longer, or at another rate. It says so, and keeps what it says."""

from pathlib import Path
from typing import Any

import pytest
from tiny_runs import changed, events, figures, hold, new, sha_of, tensors_of, tiny_config, trained, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig, read_toml
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    RunFinished,
    RunStarted,
    StepCompleted,
)
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.runs.control import send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import ResumedRun
from tui_trainer.training.session import hold_session


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_trainer.training.interruption.CONTROL_INTERVAL_SECONDS", 0.0)


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def rates(run: RunDirectory) -> dict[int, float]:
    return {event.step: event.learning_rate for event in events(run, StepCompleted)}


def notice(run: RunDirectory, rule: str) -> AdviceRaised:
    (found,) = [event for event in events(run, AdviceRaised) if event.rule == rule]
    assert found.level == "note"
    return found


# Longer


def test_a_longer_cosine_says_where_the_rate_jumps_to(config: RunConfig, run: RunDirectory) -> None:
    trained(config, run.path)
    hold(ResumedRun(run, changed(run.read_config(), max_steps=40), "cpu"))
    before, after = (make_schedule(run.read_config().training, steps) for steps in (20, 40))
    assert rates(run) == {step: (before if step <= 20 else after)(step) for step in range(1, 41)}
    told = notice(run, "schedule")
    assert "over 40 steps" in told.evidence
    assert f"at step 21 the rate goes from {before(20):.2g} to {after(21):.2g}" in told.evidence
    assert "wsd" in told.remedy
    assert "schedule" in [event.rule for event in events(run, AdviceCleared)]


def test_a_longer_constant_needs_no_word(config: RunConfig, run: RunDirectory) -> None:
    trained(changed(config, schedule="constant"), run.path)
    hold(ResumedRun(run, changed(run.read_config(), max_steps=30), "cpu"))
    assert [event for event in events(run, AdviceRaised) if event.rule == "schedule"] == []


@pytest.mark.parametrize("end", ["complete", "in its decay"])
def test_a_longer_wsd_is_the_run_that_was_planned_longer(config: RunConfig, tmp_path: Path, end: str) -> None:
    """It goes back to before the decay; from there on each bit is that of the long run."""
    shape = changed(
        config, schedule="wsd", decay_fraction=0.25, max_steps=24, checkpoint_interval=1000, eval_interval=6
    )
    long = changed(shape, max_steps=40, warmup_steps=2)
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    hold(new(long, whole))
    if end == "complete":
        hold(new(shape, parts))
    else:
        hold_session(new(shape, parts), StopAtStep(parts, 21), lambda directory: None)
    best_before = CheckpointStore(parts.checkpoints).pointer("best")
    hold(ResumedRun(parts, changed(parts.read_config(), max_steps=40), "cpu"))
    assert events(parts, RunStarted)[-1].resumed_from_step == 18
    assert "goes back to step 18, before the decay" in notice(parts, "schedule").evidence
    after = {event.step: figures(event) for event in events(parts, StepCompleted)}
    assert after == {event.step: figures(event) for event in events(whole, StepCompleted)}
    assert sha_of(tensors_of(parts)) == sha_of(tensors_of(whole))
    assert sha_of(tensors_of(parts, "best"), "model.") == sha_of(tensors_of(whole, "best"), "model.")
    assert best_before is not None


class StopAtStep(ProgramLink):
    """Asks for the stop once a step is in the log for the n-th time."""

    def __init__(self, run: RunDirectory, step: int, times: int = 1) -> None:
        super().__init__()
        self._is_there = lambda: [event.step for event in events(run, StepCompleted)].count(step) == times

    def is_stopping(self) -> bool:
        if self._is_there():
            self.stop()
        return super().is_stopping()


def test_the_best_of_the_decay_is_kept_until_it_is_beaten(config: RunConfig, run: RunDirectory) -> None:
    shape = changed(config, schedule="wsd", decay_fraction=0.25, max_steps=24, eval_interval=6)
    hold(new(shape, run))
    best = min(event.val_loss for event in events(run, EvaluationCompleted))
    assert CheckpointStore(run.checkpoints).pointer("best") == 24
    longer = ResumedRun(run, changed(run.read_config(), max_steps=400), "cpu")
    hold_session(longer, StopAtStep(run, 22, times=2), lambda directory: None)
    store = CheckpointStore(run.checkpoints)
    assert store.load("best").metrics["val_loss"] == best
    assert store.load("last").state["progress"]["best_val_loss"] == best


def test_without_the_stable_checkpoint_the_jump_is_told(config: RunConfig, run: RunDirectory) -> None:
    hold(new(changed(config, schedule="wsd", decay_fraction=0.5, max_steps=16), run))
    (run.checkpoints / "stable.json").unlink()
    hold(ResumedRun(run, changed(run.read_config(), max_steps=32), "cpu"))
    assert events(run, RunStarted)[-1].resumed_from_step == 16
    assert "at step 17 the rate goes from" in notice(run, "schedule").evidence


def test_a_longer_run_keeps_the_warm_up_it_began_with(config: RunConfig, run: RunDirectory) -> None:
    """A twentieth of 60 steps, not of 6,000."""
    hold_session(new(changed(config, max_steps=60, schedule="linear"), run), StopAtStep(run, 2), lambda _: None)
    assert read_toml(run.config_file)["training"]["warmup_steps"] == 3
    longer = changed(run.read_config(), max_steps=6000)
    hold_session(ResumedRun(run, longer, "cpu"), StopAtStep(run, 4), lambda _: None)
    assert rates(run)[3] == 1e-2


# Changed while it goes on


class SendAtStep(StopAtStep):
    """Sends a command as soon as one step is in the log, and asks for the stop at another."""

    def __init__(self, run: RunDirectory, step: int, value: Any, stop_at: int = 0) -> None:
        super().__init__(run, stop_at)
        self._run, self._step, self._value = run, step, value
        self._is_sent = False

    def is_stopping(self) -> bool:
        if not self._is_sent and self._step in rates(self._run):
            self._is_sent = True
            send_command(self._run.control, "set", "a test", self._value)
        return super().is_stopping()


def test_a_live_learning_rate_holds_from_the_next_step_and_over_a_resume(config: RunConfig, run: RunDirectory) -> None:
    link = SendAtStep(run, 8, {"key": "training.learning_rate", "value": 0.002})
    hold_session(new(config, run), link, lambda directory: None)
    (applied,) = events(run, ControlApplied)
    assert (applied.action, applied.step, applied.requested_by) == ("set", 9, "a test")
    assert applied.value == {"key": "training.learning_rate", "value": 0.002}
    before, after = (make_schedule(changed(config, learning_rate=rate).training, 20) for rate in (1e-2, 2e-3))
    assert rates(run) == {step: (before if step <= 9 else after)(step) for step in range(1, 21)}
    assert run.read_config().training.learning_rate == 0.002
    longer = changed(run.read_config(), max_steps=25)
    hold(ResumedRun(run, longer, "cpu"))
    assert rates(run)[25] == make_schedule(longer.training, 25)(25)


def test_a_live_change_and_a_stop_resume_exactly(config: RunConfig, tmp_path: Path) -> None:
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    value = {"key": "training.learning_rate", "value": 0.002}
    hold_session(new(config, whole), SendAtStep(whole, 8, value), lambda directory: None)
    hold_session(new(config, parts), SendAtStep(parts, 8, value, stop_at=12), lambda directory: None)
    assert events(parts, RunFinished)[-1].step == 12
    hold(ResumedRun(parts, parts.read_config(), "cpu"))
    assert sha_of(tensors_of(parts)) == sha_of(tensors_of(whole))
    assert rates(parts) == rates(whole)


def test_a_live_weight_decay_reaches_the_optimizer(config: RunConfig, tmp_path: Path) -> None:
    """As a stop and a resume with the new value would, bit for bit."""
    live, resumed = RunDirectory(tmp_path / "live"), RunDirectory(tmp_path / "resumed")
    value = {"key": "training.weight_decay", "value": 5.0}
    hold_session(new(config, live), SendAtStep(live, 8, value), lambda directory: None)
    hold_session(new(config, resumed), StopAtStep(resumed, 9), lambda directory: None)
    hold(ResumedRun(resumed, changed(resumed.read_config(), weight_decay=5.0), "cpu"))
    assert events(live, ControlApplied)[0].step == 9
    assert sha_of(tensors_of(live)) == sha_of(tensors_of(resumed))


def test_a_live_last_step_ends_the_run_there(config: RunConfig, run: RunDirectory) -> None:
    hold_session(
        new(config, run), SendAtStep(run, 8, {"key": "training.max_steps", "value": 12}), lambda directory: None
    )
    assert events(run, RunFinished)[0] == RunFinished("completed", 12, events(run, RunFinished)[0].elapsed_seconds)
    assert [event.step for event in events(run, EvaluationCompleted)][-1] == 12


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"key": "training.learning_rate", "value": -1}, "must be greater than 0"),
        ({"key": "training.learning_rate", "value": "nan"}, "learning_rate"),
        ({"key": "training.max_steps", "value": 3}, "step 9 is done already"),
        ({"key": "model.n_embd", "value": 8}, "cannot change while a run goes on"),
        ({"key": "training.learning_rat", "value": 8}, "learning_rate"),
        ({"key": "x"}, "section.key"),
        (7, "section.key"),
        ({"key": "training.learning_rate", "value": {"a": [1]}}, "learning_rate"),
    ],
)
def test_a_change_that_is_wrong_is_answered_and_changes_nothing(
    config: RunConfig, run: RunDirectory, value: Any, reason: str
) -> None:
    hold_session(new(config, run), SendAtStep(run, 8, value), lambda directory: None)
    (discarded,) = events(run, ControlDiscarded)
    assert reason in discarded.reason and len(discarded.reason.splitlines()) <= 3
    schedule = make_schedule(config.training, 20)
    assert rates(run) == {step: schedule(step) for step in range(1, 21)}


def test_a_change_that_comes_with_a_stop_is_answered(config: RunConfig, run: RunDirectory) -> None:
    value = {"key": "training.learning_rate", "value": 0.002}
    hold_session(new(config, run), SendAtStep(run, 8, value, stop_at=8), lambda directory: None)
    assert len(events(run, ControlDiscarded)) + len(events(run, ControlApplied)) == 1
    assert list(run.control.iterdir()) == []
