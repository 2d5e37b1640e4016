"""What somebody asks of a run that goes on: answered within a step, and never at the cost of its bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import StopAfter, changed, events, figures, hold, new, sha_of, tensors_of, tiny_config, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.events import (
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    PhaseStarted,
    RunFinished,
    RunMoving,
    RunPaused,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepCompleted,
    TerminalLost,
)
from tui_trainer.runs.control import send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status
from tui_trainer.training.hardware import INTERVAL_SECONDS, HardwareMeter
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import ResumedRun, TrainingHandle, ignore_directory
from tui_trainer.training.session import hold_session


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    sampling = {"prompts": ["abc"], "max_new_tokens": 8}
    return tiny_config(write_text(tmp_path), training={"eval_interval": 6, "checkpoint_interval": 7}, sampling=sampling)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that looks do not depend on the clock."""
    monkeypatch.setattr("tui_trainer.training.interruption.CONTROL_INTERVAL_SECONDS", 0.0)


class Script(ProgramLink):
    """Sends a command when a step is in the log, and others while the run is paused, one a wait."""

    def __init__(self, run: RunDirectory, step: int, *actions: str | tuple[str, Any], paused: tuple[Any, ...] = ()):
        super().__init__()
        self._run, self._step, self._actions, self._paused = run, step, list(actions), list(paused)

    def is_stopping(self) -> bool:
        if self._actions and any(event.step == self._step for event in events(self._run, StepCompleted)):
            for action in self._actions:
                self._send(action)
            self._actions = []
        return super().is_stopping()

    def wait(self, seconds: float) -> None:
        if self._paused:
            self._send(self._paused.pop(0))

    def _send(self, action: str | tuple[str, Any]) -> None:
        name, value = (action, None) if isinstance(action, str) else action
        send_command(self._run.control, name, "kim", value)


class PauseAfter(StopAfter):
    """Asks for a pause at the N-th look, and for its end after two waits."""

    def __init__(self, run: RunDirectory, looks: int) -> None:
        super().__init__()
        self._run, self._pause_at, self._waits = run, looks, 0

    def is_stopping(self) -> bool:
        if self.count + 1 == self._pause_at:
            send_command(self._run.control, "pause", "kim")
        return super().is_stopping()

    def wait(self, seconds: float) -> None:
        self._waits += 1
        if self._waits == 2:
            send_command(self._run.control, "resume", "kim")


SHORTER = ("set", {"key": "training.max_steps", "value": 12})


def play(config: RunConfig, run: RunDirectory, link: ProgramLink) -> None:
    hold_session(new(config, run), link, ignore_directory)


def applied(run: RunDirectory) -> list[tuple[str, int, str]]:
    return [(event.action, event.step, event.requested_by) for event in events(run, ControlApplied)]


def training_of(run: RunDirectory) -> list[dict[str, Any]]:
    return [figures(event) for event in events(run, StepCompleted)]


def test_a_pause_anywhere_leaves_every_bit_as_it_was(config: RunConfig, tmp_path: Path) -> None:
    """Between micro-batches, in evaluations, in samples: what was interrupted comes again, and comes the same."""
    straight = RunDirectory(tmp_path / "straight")
    looks = hold(new(config, straight)).count
    phases = set()
    for look in range(20, looks, 31):
        run = RunDirectory(tmp_path / str(look))
        play(config, run, PauseAfter(run, look))
        assert [action for action, _, _ in applied(run)] == ["pause", "resume"]
        assert len(events(run, RunPaused)) == len(events(run, RunResumed)) == 1
        everything = events(run)
        before = everything[: [type(event) for event in everything].index(RunPaused)]
        phases.add([e.phase for e in before if isinstance(e, PhaseStarted) and e.phase not in ("saving", "paused")][-1])
        assert training_of(run) == training_of(straight)
        assert sha_of(tensors_of(run)) == sha_of(tensors_of(straight))
        assert [figures(e) for e in events(run, EvaluationCompleted)] == [
            figures(e) for e in events(straight, EvaluationCompleted)
        ]
        assert [e.text for e in events(run, SampleGenerated)] == [e.text for e in events(straight, SampleGenerated)]
    assert phases == {"training", "evaluating", "sampling"}


def test_a_pause_is_saved_first_and_its_time_does_not_count(config: RunConfig, run: RunDirectory, monkeypatch) -> None:
    import time

    class Slow(Script):
        def wait(self, seconds: float) -> None:
            assert CheckpointStore(run.checkpoints).pointer("last") == events(run, RunPaused)[0].step
            assert events(run, PhaseStarted)[-1].phase == "paused"
            time.sleep(0.5)
            super().wait(seconds)

    play(config, run, Slow(run, 9, "pause", paused=("resume",)))
    (resumed,) = events(run, RunResumed)
    assert resumed.seconds >= 0.5
    after = next(event for event in events(run, StepCompleted) if event.step == 11)
    before = next(event for event in events(run, StepCompleted) if event.step == 9)
    assert after.elapsed_seconds - before.elapsed_seconds < 0.5
    assert events(run, RunFinished)[0].reason == "completed"


@pytest.mark.parametrize(
    "action", ["pause", "save", "evaluate", "sample", ("set", {"key": "training.max_steps", "value": 12})]
)
def test_it_is_acknowledged_within_a_step_with_who_asked(config: RunConfig, run: RunDirectory, action: Any) -> None:
    play(config, run, Script(run, 9, action, paused=("resume",)))
    first = applied(run)[0]
    assert first[0] == (action if isinstance(action, str) else "set")
    assert first[1] in (9, 10) and first[2] == "kim"


def test_save_now(config: RunConfig, run: RunDirectory) -> None:
    play(config, run, Script(run, 9, "save"))
    (step,) = [step for action, step, _ in applied(run)]
    assert step in [event.step for event in events(run, CheckpointSaved)]
    assert [event.reason for event in events(run, RunFinished)] == ["completed"]


def test_evaluating_and_sampling_now_change_no_bit_of_the_training(config: RunConfig, tmp_path: Path) -> None:
    straight, run = RunDirectory(tmp_path / "straight"), RunDirectory(tmp_path / "run")
    hold(new(config, straight))
    play(config, run, Script(run, 9, "evaluate", "sample"))
    (step,) = {step for _, step, _ in applied(run)}
    assert step in [event.step for event in events(run, EvaluationCompleted)]
    assert step in [event.step for event in events(run, SampleGenerated)]
    assert training_of(run) == training_of(straight)
    assert sha_of(tensors_of(run)) == sha_of(tensors_of(straight))


def test_an_evaluation_that_is_the_best_is_saved_as_the_best(config: RunConfig, run: RunDirectory) -> None:
    play(changed(config, eval_interval=1000), run, Script(run, 9, "evaluate"))
    asked = next(event for event in events(run, EvaluationCompleted) if event.step in (9, 10))
    assert asked.is_best
    assert [e.step for e in events(run, CheckpointSaved) if e.is_best][1] == asked.step


def test_looking_often_does_not_use_up_the_patience(config: RunConfig, run: RunDirectory) -> None:
    """Ten evaluations somebody asked for, none a gain, and a patience of two: the run goes on."""
    wild = changed(
        config, learning_rate=1.0, warmup_steps=0, schedule="constant", early_stop_patience=2, eval_interval=30
    )

    class Curious(Script):
        def is_stopping(self) -> bool:
            steps = [event.step for event in events(run, StepCompleted)]
            if steps and steps[-1] < 14 and not any(run.control.iterdir()):
                send_command(run.control, "evaluate", "kim")
            return super().is_stopping()

    play(wild, run, Curious(run, 99))
    assert len(events(run, EvaluationCompleted)) > 5
    assert events(run, RunFinished)[0].reason == "completed"


def test_wishes_are_met_while_it_is_paused(config: RunConfig, run: RunDirectory) -> None:
    change = ("set", {"key": "training.learning_rate", "value": 0.002})
    play(config, run, Script(run, 9, "pause", paused=("evaluate", "sample", "save", change, "resume")))
    (paused,) = events(run, RunPaused)
    assert [action for action, _, _ in applied(run)] == ["pause", "evaluate", "sample", "save", "set", "resume"]
    assert {step for _, step, _ in applied(run)} == {paused.step}
    assert paused.step in [event.step for event in events(run, EvaluationCompleted)]
    assert run.read_config().training.learning_rate == 0.002
    phases = [event.phase for event in events(run, PhaseStarted)]
    assert phases.count("paused") >= 3 and phases[-1] != "paused"


def test_a_stop_ends_a_pause(config: RunConfig, run: RunDirectory) -> None:
    play(config, run, Script(run, 9, "pause", paused=("stop",)))
    (finished,) = events(run, RunFinished)
    assert finished.reason == "stopped"
    assert CheckpointStore(run.checkpoints).pointer("last") == finished.step
    hold(ResumedRun(run, config, "cpu"))
    assert events(run, RunFinished)[-1].reason == "completed"


def test_what_changes_nothing_is_answered_too(config: RunConfig, run: RunDirectory) -> None:
    play(config, run, Script(run, 9, "resume", "dance", paused=()))
    assert [(event.action, event.reason) for event in events(run, ControlDiscarded)] == [
        ("resume", "it is not paused"),
        ("dance", "nobody knows this action"),
    ]


def test_a_second_pause_is_answered(config: RunConfig, run: RunDirectory) -> None:
    play(config, run, Script(run, 9, "pause", paused=("pause", "resume")))
    assert [event.reason for event in events(run, ControlDiscarded)] == ["it is paused already"]


def test_no_prompts_no_sample(config: RunConfig, run: RunDirectory) -> None:
    silent = config.model_copy(update={"sampling": config.sampling.model_copy(update={"prompts": ()})})
    play(silent, run, Script(run, 9, "sample"))
    (discarded,) = events(run, ControlDiscarded)
    assert "sampling.prompts is empty" in discarded.reason


def test_a_pause_while_the_text_is_prepared(tmp_path: Path, run: RunDirectory) -> None:
    """Before there is a step there is nothing to save; the work goes on where it was."""
    config = tiny_config(write_text(tmp_path, 60_000), data={"tokenizer": "bpe", "vocab_size": 300})
    sent: list[str] = []

    class Early(Script):
        def is_stopping(self) -> bool:
            if not sent and events(run, PhaseStarted):
                sent.append(send_command(run.control, "pause", "kim"))
            return super().is_stopping()

    play(config, run, Early(run, 99, paused=("resume",)))
    kinds = [type(event) for event in events(run)]
    assert kinds.index(RunPaused) < kinds.index(RunResumed) < kinds.index(RunStarted)
    assert events(run, RunFinished)[0].reason == "completed"


def test_a_lost_terminal_is_in_the_log(config: RunConfig, run: RunDirectory) -> None:
    class Lost(Script):
        def is_stopping(self) -> bool:
            if self._actions and events(run, StepCompleted):
                self._actions = []
                self.report(TerminalLost())
            return super().is_stopping()

    play(config, run, Lost(run, 0, "never"))
    assert len(events(run, TerminalLost)) == 1
    assert events(run, RunFinished)[0].reason == "completed"


def test_a_run_that_moves_is_saved_and_not_finished(config: RunConfig, run: RunDirectory) -> None:
    class Moving(ProgramLink):
        def is_stopping(self) -> bool:
            if len(events(run, StepCompleted)) == 9:
                self.move()
            return super().is_stopping()

    play(config, run, Moving())
    (moving,) = events(run, RunMoving)
    assert events(run, RunFinished) == []
    assert CheckpointStore(run.checkpoints).pointer("last") == moving.step == 9
    assert read_status(run.status_file).state == "moving"
    hold(ResumedRun(run, config, "cpu"))
    assert events(run, RunFinished)[0].reason == "completed"


def test_the_handle_moves_and_tells(config: RunConfig, run: RunDirectory) -> None:
    handle = TrainingHandle(new(changed(config, max_steps=100_000), run), ignore_directory)
    handle.start()
    wait_for(lambda: run.event_log.exists() and bool(events(run, StepCompleted)))
    handle.lose_terminal()
    wait_for(lambda: bool(events(run, TerminalLost)))
    handle.move()
    handle.join(20)
    assert handle.failure is None and len(events(run, RunMoving)) == 1


def test_the_machine_is_looked_at_every_five_seconds() -> None:
    now = [100.0]
    meter = HardwareMeter(torch.device("cpu"), lambda: now[0])
    assert meter.look(1) is None
    now[0] += INTERVAL_SECONDS - 0.01
    assert meter.look(2) is None
    now[0] += 0.02
    sampled = meter.look(3)
    assert sampled is not None and sampled.step == 3
    assert 0 <= sampled.cpu_percent <= 100
    assert 10_000_000 < sampled.memory_bytes < sampled.memory_total_bytes
    assert (sampled.gpu_percent, sampled.gpu_memory_bytes) == (None, None)
    assert meter.look(4) is None


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    import time

    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
