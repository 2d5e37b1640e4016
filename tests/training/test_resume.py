"""Exact resume: wherever a run was stopped, it goes on as if it never had been."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import events, figures, hold, sha_of, tensors_of, tiny_config, train, trained, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.events import EvaluationCompleted, PhaseStarted, RunFinished, RunStarted, StepCompleted
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.interruption import StopSwitch
from tui_trainer.training.launch import NewRun, ResumedRun, ignore_directory
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
        "last": (last.step, sha_of(last.tensors), last.metrics, progress),
        "best": (store.load("best").step, sha_of(tensors_of(run, "best"), "model.")),
        "figures": figures_by_step,
    }


@pytest.fixture
def straight(config: RunConfig, tmp_path: Path) -> tuple[dict[str, Any], int]:
    """The outcome of the run that nobody stopped, and how often it looked at the switch."""
    switch = hold(NewRun(config, "tiny", tmp_path / "straight", "cpu"))
    return outcome_of(RunDirectory(tmp_path / "straight")), switch.count


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
    assert phases == {"training", "evaluating"}
    assert len(steps) > 5


def test_stopped_and_resumed_again_and_again(
    config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int]
) -> None:
    run = RunDirectory(tmp_path / "run")
    hold(NewRun(config, "tiny", run.path, "cpu"), 45)
    for _ in range(100):
        if events(run, RunFinished)[-1].reason == "completed":
            break
        hold(ResumedRun(run, config, "cpu"), 151)
    assert events(run, RunStarted)[-1].resumed_from_step
    assert len(events(run, RunStarted)) > 4
    assert outcome_of(run) == straight[0]


class StopWhen(StopSwitch):
    """Asks for the stop as soon as the log fulfils a condition."""

    def __init__(self, is_time: Callable[[], bool]) -> None:
        super().__init__()
        self._is_time = is_time

    def check(self) -> None:
        if self._is_time():
            self.set()
        super().check()


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


@pytest.mark.parametrize("left_out", ["optimizer.", "random."])
def test_every_part_of_the_state_is_needed(
    config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int], left_out: str
) -> None:
    run = RunDirectory(tmp_path / "run")
    hold(NewRun(config, "tiny", run.path, "cpu"), 121)
    store = CheckpointStore(run.checkpoints)
    checkpoint = store.load("last")
    kept = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(left_out)}
    assert len(kept) < len(checkpoint.tensors)
    store.save(checkpoint.step, kept, checkpoint.state, checkpoint.metrics, is_best=False, keep=9)
    torch.manual_seed(99)
    hold(ResumedRun(run, config, "cpu"))
    assert outcome_of(run)["last"] != straight[0]["last"]


def test_the_modern_network_too(config: RunConfig, tmp_path: Path) -> None:
    modern = config.model_copy(update={"model": config.model.model_copy(update={"architecture": "modern"})})
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    hold(NewRun(modern, "tiny", whole.path, "cpu"))
    hold(NewRun(modern, "tiny", parts.path, "cpu"), 121)
    hold(ResumedRun(parts, modern, "cpu"))
    assert outcome_of(parts) == outcome_of(whole)


def test_a_longer_run_goes_on_from_a_complete_one_and_remembers_it(config: RunConfig, tmp_path: Path) -> None:
    run = trained(config, tmp_path / "run")
    longer = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 30})})
    hold(ResumedRun(run, longer, "cpu"), 50)
    assert 20 <= events(run, RunFinished)[-1].step < 30
    handle = train(ResumedRun(run, run.read_config(), "cpu"))
    assert (handle.exit_code, events(run, RunFinished)[-1].step) == (0, 30)


def test_the_thread_count_of_the_run_is_restored(config: RunConfig, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run = RunDirectory(tmp_path / "run")
    try:
        torch.set_num_threads(1)
        hold(NewRun(config, "tiny", run.path, "cpu"), 121)
        torch.set_num_threads(2)
        hold(ResumedRun(run, config, "cpu"))
    finally:
        torch.set_num_threads(before)
    assert [event.threads for event in events(run, RunStarted)] == [1, 1]


def test_a_damaged_last_checkpoint_costs_only_the_steps_since_the_one_before(
    config: RunConfig, tmp_path: Path, straight: tuple[dict[str, Any], int]
) -> None:
    run = RunDirectory(tmp_path / "run")
    hold(NewRun(config, "tiny", run.path, "cpu"), 121)
    file = run.checkpoints / f"step-{events(run, RunFinished)[0].step:08}.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    hold(ResumedRun(run, config, "cpu"))
    assert outcome_of(run)["last"] == straight[0]["last"]
