"""Exact resume: wherever a run was stopped, it goes on as if it never had been."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import events, figures, hold, sha_of, tensors_of, tiny_config, train, trained, write_text

from tui_trainer.checkpoints import Checkpoint, CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.errors import UserError
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    EvaluationCompleted,
    PhaseStarted,
    RunFinished,
    RunStarted,
    SampleGenerated,
    StepCompleted,
)
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.interruption import ProgramLink, StopRequested
from tui_trainer.training.launch import NewRun, ResumedRun, ignore_directory
from tui_trainer.training.progress import Progress
from tui_trainer.training.session import hold_session


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """20 steps of two micro-batches with dropout; evaluations of several batches; patience to be kept."""
    text = write_text(tmp_path_factory.mktemp("text"))
    return tiny_config(text, training={"early_stop_patience": 9, "early_stop_min_delta": 0.05})


@pytest.fixture(autouse=True)
def short_evaluation_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there is a place in the middle of an evaluation to stop at, and looks do not depend on the clock."""
    monkeypatch.setattr("tui_trainer.training.interruption.CONTROL_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("tui_trainer.training.preparation.evaluation_batch_size", lambda config, vocab_size: 5)
    assert len(EvaluationWindows(torch.zeros(301, dtype=torch.uint8).numpy(), 16, 5)) == 5


def outcome_of(run: RunDirectory) -> dict[str, Any]:
    """All that a run left: bits, pointers and what a reader of the log ends up with."""
    figures_by_step: dict[tuple[type, int], dict[str, Any]] = {}
    for event in events(run):
        if isinstance(event, StepCompleted | EvaluationCompleted):
            figures_by_step[type(event), event.step] = figures(event)
    store = CheckpointStore(run.checkpoints)
    last = store.load("last")
    progress = {name: value for name, value in last.state["progress"].items() if name != "elapsed_seconds"}
    return {
        "last": (last.step, sha_of(last.tensors), last.metrics),
        "progress": progress,
        # The newest saves are remembered, too, and a stop saves once more.
        "diagnosis": {name: value for name, value in last.state["diagnosis"].items() if name != "marks"},
        "best": (store.load("best").step, sha_of(tensors_of(run, "best"), "model.")),
        "figures": figures_by_step,
        "samples": [figures(event) for event in events(run, SampleGenerated)],
    }


@pytest.fixture
def straight(config: RunConfig, tmp_path: Path) -> tuple[dict[str, Any], int]:
    """The outcome of the run that nobody stopped, and how often it looked at the link."""
    link = hold(NewRun(config, "tiny", tmp_path / "straight", "cpu"))
    return outcome_of(RunDirectory(tmp_path / "straight")), link.count


def test_stopped_anywhere_and_resumed(config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int]) -> None:
    """Every 23rd look falls between micro-batches, at the start of steps and in evaluations alike."""
    expected, looks = straight
    assert expected["last"][0] == 20
    phases, steps = set(), set()
    for look in range(9, looks, 23):
        run = RunDirectory(tmp_path / str(look))
        hold(NewRun(config, "tiny", run.path, "cpu"), look)
        finished = events(run, RunFinished)
        assert [event.reason for event in finished] == ["stopped"]
        assert CheckpointStore(run.checkpoints).pointer("last") == finished[0].step
        steps.add(finished[0].step)
        phases.add([event.phase for event in events(run, PhaseStarted) if event.phase != "saving"][-1])
        torch.rand(17)  # another process would not have this one's random numbers either
        hold(ResumedRun(run, config, "cpu"))
        assert outcome_of(run) == expected
        assert events(run, RunStarted)[-1].resumed_from_step == finished[0].step
    assert phases == {"training", "evaluating", "sampling"}
    assert len(steps) > 5


def test_stopped_and_resumed_again_and_again(
    config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int]
) -> None:
    run = RunDirectory(tmp_path / "run")
    hold(NewRun(config, "tiny", run.path, "cpu"), 25)
    for _ in range(100):
        if events(run, RunFinished)[-1].reason == "completed":
            break
        hold(ResumedRun(run, config, "cpu"), 61)
    assert events(run, RunStarted)[-1].resumed_from_step
    assert len(events(run, RunStarted)) > 4
    assert outcome_of(run) == straight[0]


class StopWhen(ProgramLink):
    """Asks for the stop as soon as the log fulfils a condition."""

    def __init__(self, is_time: Callable[[], bool]) -> None:
        super().__init__()
        self._is_time = is_time

    def is_stopping(self) -> bool:
        if self._is_time():
            self.stop()
        return super().is_stopping()


def test_an_evaluation_that_was_not_the_best_is_kept_by_a_stop(config: RunConfig, tmp_path: Path) -> None:
    """First stopped within the evaluation, then just after it: the same step is saved twice, and knows more."""
    run = RunDirectory(tmp_path / "run")
    wild = {"learning_rate": 1.0, "warmup_steps": 0, "schedule": "constant"}
    changed = config.model_copy(update={"training": config.training.model_copy(update=wild)})

    def is_evaluating_step_5() -> bool:
        return bool(events(run, StepCompleted)[4:]) and events(run)[-1].__class__ is PhaseStarted

    hold_session(NewRun(changed, "tiny", run.path, "cpu"), StopWhen(is_evaluating_step_5), ignore_directory)
    assert [event.step for event in events(run, EvaluationCompleted)] == [0]
    stop = StopWhen(lambda: len(events(run, EvaluationCompleted)) == 2)
    hold_session(ResumedRun(run, changed, "cpu"), stop, ignore_directory)
    assert [event.step for event in events(run, RunFinished)] == [5, 5]
    hold(ResumedRun(run, changed, "cpu"))
    evaluations = events(run, EvaluationCompleted)
    assert not evaluations[1].is_best
    assert [event.step for event in evaluations] == [0, 5, 10, 15, 20]
    assert [event.step for event in events(run, StepCompleted)] == list(range(1, 21))


BOUNDARIES = {
    "at step 0, before its evaluation": lambda run: bool(events(run, RunStarted)),
    "at step 0, after its evaluation": lambda run: bool(events(run, EvaluationCompleted)),
    "at a best": lambda run: any(event.is_best and event.step for event in events(run, EvaluationCompleted)),
    "before an evaluation": lambda run: len(events(run, StepCompleted)) == 10,
    "after an evaluation": lambda run: len(events(run, EvaluationCompleted)) == 3,
    "after a checkpoint": lambda run: any(event.step == 7 for event in events(run, CheckpointSaved)),
    "before the last step": lambda run: len(events(run, StepCompleted)) == 19,
    "at the last step, before its evaluation": lambda run: len(events(run, StepCompleted)) == 20,
}


@pytest.mark.parametrize("boundary", BOUNDARIES.values(), ids=BOUNDARIES)
def test_stopped_at_a_boundary_and_resumed(
    config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int], boundary: Callable[[RunDirectory], bool]
) -> None:
    run = RunDirectory(tmp_path / "run")
    try:
        hold_session(NewRun(config, "tiny", run.path, "cpu"), StopWhen(lambda: boundary(run)), ignore_directory)
    except StopRequested:
        pytest.fail("there was something to keep")
    assert events(run, RunFinished)[-1].reason == "stopped"
    hold(ResumedRun(run, config, "cpu"))
    assert outcome_of(run) == straight[0]


def leave_out(checkpoint: Checkpoint, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and state of a checkpoint without one of their parts, or with the optimizer's at zero."""
    zeros = {key: torch.zeros_like(tensor) for key, tensor in checkpoint.tensors.items() if key.endswith(f".{name}")}
    tensors = {key: tensor for key, tensor in checkpoint.tensors.items() if not key.startswith(name)} | zeros
    state = {key: dict(value) for key, value in checkpoint.state.items()}
    if name in state["progress"]:
        state["progress"][name] = asdict(Progress())[name]
    elif name in state:
        state[name] = {}
    else:
        assert zeros or len(tensors) < len(checkpoint.tensors)
    return tensors, state


@pytest.mark.parametrize(
    ("left_out", "damaged"),
    [
        ("model.blocks.0.attention", "refused"),
        ("optimizer.", "last"),
        ("exp_avg_sq", "last"),
        ("exp_avg", "last"),
        ("random.cpu", "last"),
        ("diagnosis", "diagnosis"),
        ("step", "last"),
        ("tokens_seen", "figures"),
        ("evaluated_step", "progress"),
        ("best_val_loss", "figures"),
        ("best_step", "progress"),
        ("val_losses", "progress"),
        ("micro_batch_size", "last"),
        ("evaluation_rows", "figures"),
        ("skipped_batches", "last"),
        ("learning_rate_factor", "last"),
        ("skips", "progress"),
        ("rollbacks", "progress"),
        ("failed_step", "progress"),
        ("sampled_step", "samples"),
    ],
)
def test_every_part_of_the_state_is_needed(config: RunConfig, tmp_path: Path, left_out: str, damaged: str) -> None:
    """Each part, made to matter, is taken out of the checkpoint of step 10; the run must go on differently."""
    whole, less = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "less")
    stop = StopWhen(lambda: any(sample.step == 10 for sample in events(whole, SampleGenerated)))
    hold_session(NewRun(config, "tiny", whole.path, "cpu"), stop, ignore_directory)
    store = CheckpointStore(whole.checkpoints)
    checkpoint = store.load("last")
    state = {key: dict(value) for key, value in checkpoint.state.items()}
    state["progress"] |= {"skipped_batches": 3, "skips": [9], "rollbacks": 1, "failed_step": 30}
    state["progress"] |= {"learning_rate_factor": 0.5, "micro_batch_size": 1, "evaluation_rows": 3}
    state["progress"] |= {"best_val_loss": 0.1}
    save: dict[str, Any] = {"metrics": checkpoint.metrics, "is_best": True, "keep": 9}
    store.save(10, checkpoint.tensors, state, **save)
    shutil.copytree(whole.path, less.path)
    tensors, state = leave_out(store.load("last"), left_out)
    CheckpointStore(less.checkpoints).save(10, tensors, state, **save)
    for run in (whole, less):
        torch.manual_seed(99)
        stop_soon = StopWhen(at_step(run, 16))
        if damaged == "refused" and run == less:
            with pytest.raises(UserError, match=r"does not describe the weights of step 10\n.*missing instead of"):
                hold_session(ResumedRun(run, config, "cpu"), stop_soon, ignore_directory)
            return
        hold_session(ResumedRun(run, config, "cpu"), stop_soon, ignore_directory)
    assert outcome_of(less)[damaged] != outcome_of(whole)[damaged]


def at_step(run: RunDirectory, step: int) -> Callable[[], bool]:
    return lambda: len(events(run, StepCompleted)) == step


def test_samples_and_advice_are_the_same_too(config: RunConfig, tmp_path: Path) -> None:
    """What was told after the resume, in order, is what the run that nobody stopped told."""
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    hold(NewRun(config, "tiny", whole.path, "cpu"))
    hold_session(NewRun(config, "tiny", parts.path, "cpu"), StopWhen(at_step(parts, 12)), ignore_directory)
    hold(ResumedRun(parts, config, "cpu"))
    kinds = SampleGenerated | AdviceRaised | AdviceCleared
    told = [[event for event in events(run) if isinstance(event, kinds)] for run in (whole, parts)]
    assert told[0] == told[1] and told[0]


def test_the_modern_network_too(config: RunConfig, tmp_path: Path) -> None:
    modern = config.model_copy(update={"model": config.model.model_copy(update={"architecture": "modern"})})
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    hold(NewRun(modern, "tiny", whole.path, "cpu"))
    hold(NewRun(modern, "tiny", parts.path, "cpu"), 60)
    hold(ResumedRun(parts, modern, "cpu"))
    assert outcome_of(parts) == outcome_of(whole)


def test_a_longer_run_goes_on_from_a_complete_one_and_remembers_it(config: RunConfig, tmp_path: Path) -> None:
    run = trained(config, tmp_path / "run")
    longer = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 30})})
    hold(ResumedRun(run, longer, "cpu"), 20)
    assert 20 <= events(run, RunFinished)[-1].step < 30
    handle = train(ResumedRun(run, run.read_config(), "cpu"))
    assert (handle.exit_code, events(run, RunFinished)[-1].step) == (0, 30)


def test_the_thread_count_of_the_run_is_restored(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")  # nobody asked for a number
    before = torch.get_num_threads()
    run = RunDirectory(tmp_path / "run")
    try:
        torch.set_num_threads(1)
        hold(NewRun(config, "tiny", run.path, "cpu"), 60)
        torch.set_num_threads(2)
        hold(ResumedRun(run, config, "cpu"))
    finally:
        torch.set_num_threads(before)
    assert [event.threads for event in events(run, RunStarted)] == [1, 1]
    said = {event.rule for event in events(run, AdviceRaised)}
    assert not said & {"resume", "schedule", "data"}, "an exact resume has nothing to say"


def test_what_decides_the_last_bit_and_is_another_now_is_announced(config: RunConfig, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    hold(NewRun(config, "tiny", run.path, "cpu"), 60)
    store = CheckpointStore(run.checkpoints)
    checkpoint = store.load("last")
    machine = checkpoint.state["machine"] | {"threads": 999, "torch": "2.99.0"}
    save = {"metrics": checkpoint.metrics, "is_best": False, "keep": 9}
    store.save(checkpoint.step, checkpoint.tensors, checkpoint.state | {"machine": machine}, **save)
    hold(ResumedRun(run, config, "cpu"))
    (notice,) = [event for event in events(run, AdviceRaised) if event.rule == "resume"]
    here = torch.get_num_threads()
    assert notice.level == "note" and notice.evidence.startswith("close, not identical: ")
    assert f"threads 999 → {here}" in notice.evidence and "torch 2.99.0 → " in notice.evidence
    assert [event.rule for event in events(run, AdviceCleared)] == ["resume"]


def test_a_thread_count_that_was_asked_for_wins_and_is_announced(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    run = RunDirectory(tmp_path / "run")
    try:
        torch.set_num_threads(1)
        hold(NewRun(config, "tiny", run.path, "cpu"), 60)
        torch.set_num_threads(2)
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        hold(ResumedRun(run, config, "cpu"))
    finally:
        torch.set_num_threads(before)
    assert [event.threads for event in events(run, RunStarted)] == [1, 2]
    assert "threads 1 → 2" in events(run, AdviceRaised)[0].evidence
    losses = [event.train_loss for event in events(run, StepCompleted)]
    assert len(losses) == 20 and losses[-1] < losses[0], "close: it goes on learning"


def test_a_damaged_last_checkpoint_costs_only_the_steps_since_the_one_before(
    config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int]
) -> None:
    run = RunDirectory(tmp_path / "run")
    hold_session(NewRun(config, "tiny", run.path, "cpu"), StopWhen(at_step(run, 12)), ignore_directory)
    file = run.checkpoints / f"step-{events(run, RunFinished)[0].step:08}.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    hold(ResumedRun(run, config, "cpu"))
    assert outcome_of(run)["last"] == straight[0]["last"]
