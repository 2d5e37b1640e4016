"""Numbers that are not finite: a batch is passed over, then the run goes back, then it stops, and says why."""

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import (
    assert_good,
    changed,
    events,
    hold,
    new,
    sha_of,
    tensors_of,
    tiny_config,
    train,
    write_text,
)

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.batches import Batch, TrainingWindows
from tui_trainer.events import CheckpointSaved, RolledBack, RunFailed, RunFinished, StepCompleted, StepSkipped
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status
from tui_trainer.training import updater
from tui_trainer.training.launch import ResumedRun, TrainingHandle
from tui_trainer.training.learner import Learner
from tui_trainer.training.optimizer import Optimizers
from tui_trainer.training.step import Outcome, Skipped


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path), training={"checkpoint_interval": 4})


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[Collection[int]], list[int]]:
    """Makes the loss of certain batches of the training text NaN; returns the numbers of all that are tried."""

    def apply(numbers: Collection[int]) -> list[int]:
        tried: list[int] = []
        real_batch, real_update = TrainingWindows.batch, updater.update

        def batch(windows: TrainingWindows, number: int) -> Batch:
            tried.append(number)
            return real_batch(windows, number)

        def update(learner: Learner, *arguments: Any) -> Outcome | Skipped:
            if tried[-1] not in numbers:
                return real_update(learner, *arguments)
            weight = learner.model.final_norm.weight
            kept = weight.detach().clone()
            weight.data[0] = math.nan  # what a broken batch would do, without leaving a trace
            outcome = real_update(learner, *arguments)
            weight.data.copy_(kept)
            return outcome

        monkeypatch.setattr(TrainingWindows, "batch", batch)
        monkeypatch.setattr(updater, "update", update)
        return tried

    return apply


def assert_diverged(handle: TrainingHandle, run: RunDirectory) -> None:
    assert handle.exit_code == 3
    assert handle.failure is not None and len(handle.failure.splitlines()) <= 3
    assert "diverged" in handle.failure and "learning_rate" in handle.failure
    assert events(run)[-1] == events(run, RunFailed)[0]
    assert events(run, RunFailed)[0].reason == handle.failure
    status = read_status(run.status_file)
    assert status is not None and status.state == "failed"
    assert_good(run)


def rates(run: RunDirectory) -> list[tuple[int, float]]:
    return [(event.step, event.learning_rate) for event in events(run, StepCompleted)]


def test_one_bad_batch_is_passed_over(config: RunConfig, run: RunDirectory, poison: Any) -> None:
    """The step comes again with the next batch, and the schedule does not move on meanwhile."""
    tried = poison({7})
    assert train(new(config, run)).exit_code == 0
    assert tried == list(range(1, 22))
    skipped = events(run, StepSkipped)
    assert [(event.step, event.reason, event.train_loss) for event in skipped] == [(7, "non_finite", None)]
    schedule = make_schedule(config.training, 20)
    assert rates(run) == [(step, schedule(step)) for step in range(1, 21)]
    assert events(run, RolledBack) == []
    assert_good(run)


def test_bad_batches_far_from_each_other_are_passed_over(config: RunConfig, run: RunDirectory, poison: Any) -> None:
    """Three skips within 20 steps are too many, three in 60 are not."""
    poison({5, 30, 55})
    assert train(new(changed(config, max_steps=60), run)).exit_code == 0
    assert len(events(run, StepSkipped)) == 3 and events(run, RolledBack) == []


def test_three_bad_batches_send_it_back_with_half_the_rate_and_other_data(
    config: RunConfig, run: RunDirectory, poison: Any
) -> None:
    tried = poison({7, 8, 9})
    assert train(new(config, run)).exit_code == 0
    (back,) = events(run, RolledBack)
    assert (back.step, back.from_step, back.learning_rate_factor) == (5, 6, 0.5)
    assert "train loss nan" in back.reason
    # To step 6; then 7, 8 and 9 in vain; then back to the best of step 5, and on from batch 10.
    assert tried == [*range(1, 10), *range(10, 25)]
    schedule = make_schedule(config.training, 20)
    expected = [(step, schedule(step)) for step in range(1, 7)]
    expected += [(step, schedule(step) / 2) for step in range(6, 21)]
    assert rates(run) == expected
    assert events(run, RunFinished)[0].reason == "completed"
    assert_good(run)


def test_weights_and_optimizer_both_go_back(config: RunConfig, run: RunDirectory, poison: Any) -> None:
    """Stopped right after going back, the run holds exactly what its checkpoint of that step held."""
    poison({7, 8, 9})
    before: dict[str, torch.Tensor] = {}
    handle = TrainingHandle(new(config, run), lambda directory: None)
    real = updater.update

    def update(learner: Learner, *arguments: Any) -> Outcome | Skipped:
        if not before and CheckpointStore(run.checkpoints).pointer("last") == 5:
            before.update(tensors_of(run))
        if events(run, RolledBack):
            assert sha_of(learner.tensors()) == sha_of(before)
            handle.stop()
        return real(learner, *arguments)

    updater.update = update  # the fixture puts the original back
    handle.start()
    handle.join(60)
    assert handle.exit_code == 0 and before
    assert any(name.startswith("optimizer.") for name in before)


def test_it_stops_after_three_roll_backs_and_says_why(config: RunConfig, run: RunDirectory, poison: Any) -> None:
    tried = poison(range(7, 1000))
    handle = train(new(config, run))
    assert_diverged(handle, run)
    assert "step 6: train loss nan" in str(handle.failure) or "step 7: train loss nan" in str(handle.failure)
    assert [event.learning_rate_factor for event in events(run, RolledBack)] == [0.5, 0.25, 0.125]
    assert len(events(run, StepSkipped)) == 4 * 3
    assert tried[-1] == 6 + 12
    assert {event.step for event in events(run, CheckpointSaved)} <= {0, 4, 5}


def test_getting_past_the_place_forgets_the_roll_backs(config: RunConfig, run: RunDirectory, poison: Any) -> None:
    """Five bad places in a long run are not one place that defeats it five times."""
    bad = [number + offset for number in (10, 30, 50, 70, 90) for offset in range(3)]
    poison(bad)
    assert train(new(changed(config, max_steps=90), run)).exit_code == 0
    assert len(events(run, RolledBack)) == 5
    assert events(run, RolledBack)[-1].learning_rate_factor == 0.5**5


def test_a_run_that_went_back_resumes_exactly(config: RunConfig, tmp_path: Path, poison: Any) -> None:
    """Passed-over batches, the lower rate and the counts are part of the state."""
    poison({3, 7, 8, 9, 14})
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    looks = hold(new(config, whole)).count
    hold(new(config, parts), looks // 8)
    for _ in range(40):
        if events(parts, RunFinished)[-1].reason == "completed":
            break
        hold(ResumedRun(parts, config, "cpu"), looks // 5)
    assert len(events(parts, RunFinished)) > 3
    assert sha_of(tensors_of(parts)) == sha_of(tensors_of(whole))
    states = [CheckpointStore(each.checkpoints).load("last").state["progress"] for each in (whole, parts)]
    for state in states:
        del state["elapsed_seconds"]
    assert states[0] == states[1] and states[0]["learning_rate_factor"] == 0.5


@pytest.mark.parametrize("step", [1, 4, 5, 7, 14, 20])
def test_weights_that_went_bad_never_replace_a_checkpoint(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The step itself is fine and its update is not; a step, an evaluation, a checkpoint or the end may come next."""
    real, calls = Optimizers.step, 0

    def spoiled(optimizers: Optimizers) -> None:
        nonlocal calls
        calls += 1
        real(optimizers)
        if calls == step:
            with torch.no_grad():
                optimizers.groups[-1].parameters[0][0] = math.nan

    monkeypatch.setattr(Optimizers, "step", spoiled)
    assert train(new(config, run)).exit_code == 0
    assert len(events(run, RolledBack)) == 1
    assert_good(run)


def test_weights_that_go_bad_again_and_again_end_the_run(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Optimizers.step

    def spoiled(optimizers: Optimizers) -> None:
        real(optimizers)
        optimizers.groups[0].parameters[0].data.fill_(math.inf)

    monkeypatch.setattr(Optimizers, "step", spoiled)
    assert_diverged(train(new(config, run)), run)


def test_a_stop_after_weights_went_bad_keeps_the_good_ones(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = Optimizers.step, 0
    handle = TrainingHandle(new(config, run), lambda directory: None)

    def spoiled(optimizers: Optimizers) -> None:
        nonlocal steps
        steps += 1
        real(optimizers)
        if steps == 3:
            optimizers.groups[0].parameters[0].data.fill_(math.inf)
            handle.stop()

    monkeypatch.setattr(Optimizers, "step", spoiled)
    handle.start()
    handle.join(60)
    assert handle.exit_code == 0
    assert (events(run, RunFinished)[0].reason, events(run, RunFinished)[0].step) == ("stopped", 0)
    assert_good(run)


def test_a_learning_rate_that_is_far_too_high(config: RunConfig, run: RunDirectory) -> None:
    """No fault is injected here: the numbers run away by themselves."""
    wild = changed(
        config, learning_rate=10.0, weight_decay=10.0, warmup_steps=0, schedule="constant", max_steps=200,
        eval_interval=1, checkpoint_interval=1,
    )  # fmt: skip
    handle = train(new(wild, run))
    assert events(run, RolledBack)
    if handle.exit_code:
        assert_diverged(handle, run)
    assert_good(run)
