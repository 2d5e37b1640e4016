"""Precision: what is chosen and why, and fp16's loss scale through a whole run."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_runs import changed, events, figures, hold, new, sha_of, tensors_of, tiny_config, train, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.events import RolledBack, RunStarted, StepCompleted, StepSkipped
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training import step as step_module
from tui_trainer.training.launch import ResumedRun
from tui_trainer.training.learner import Learner
from tui_trainer.training.precision import choose_precision

CUDA: Any = SimpleNamespace(type="cuda")
MPS: Any = SimpleNamespace(type="mps")
CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path), training={"precision": "fp16"})


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "device", "has_bf16", "expected", "reason"),
    [
        ("auto", CUDA, True, "bf16", "computes bf16"),
        ("auto", CUDA, False, "fp16", "no bf16"),
        ("auto", MPS, False, "fp32", "auto: mps"),
        ("auto", CPU, False, "fp32", "auto: a CPU"),
        ("bf16", CPU, False, "bf16", "as asked for"),
        ("fp16", CUDA, True, "fp16", "as asked for"),
        ("fp32", CUDA, True, "fp32", "as asked for"),
    ],
)
def test_what_is_chosen(
    monkeypatch: pytest.MonkeyPatch, name: str, device: Any, has_bf16: bool, expected: str, reason: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    precision = choose_precision(name, device)
    assert precision.name == expected and reason in precision.reason


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_what_a_device_cannot_compute_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f'precision = "{name}": not on mps'):
        choose_precision(name, MPS)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_it_is_told_and_learns(config: RunConfig, run: RunDirectory, name: str) -> None:
    hold(new(changed(config, precision=name), run))
    (started,) = events(run, RunStarted)
    assert (started.precision, started.precision_reason) == (name, "as asked for")
    losses = [event.train_loss for event in events(run, StepCompleted)]
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_gradients_are_clipped_after_the_scale_is_taken_out_again(tmp_path: Path, optimizer: str) -> None:
    """Clipped before it, a norm would be 65,536 times too large and every update all but nothing."""
    text = write_text(tmp_path)
    config = tiny_config(text, model={"dropout": 0.0}, training={"optimizer": optimizer, "grad_clip": 0.5})
    norms = {}
    for name in ("fp32", "fp16"):
        run = RunDirectory(tmp_path / name)
        hold(new(changed(config, precision=name), run))
        steps = events(run, StepCompleted)
        assert all(event.is_clipped == (event.grad_norm > 0.5) for event in steps)
        norms[name] = [event.grad_norm for event in steps]
    assert norms["fp16"][:5] == pytest.approx(norms["fp32"][:5], rel=0.05)
    assert norms["fp16"] == pytest.approx(norms["fp32"], rel=0.3)


def test_an_overflow_lowers_the_scale_and_the_same_step_comes_again(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients overflow three times at step 6; neither the schedule nor the data moves on meanwhile."""
    overflow(monkeypatch, {6, 7, 8})
    hold(new(config, run))
    skips = events(run, StepSkipped)
    assert [(event.step, event.reason, event.loss_scale) for event in skips] == [
        (6, "overflow", 2.0**15), (6, "overflow", 2.0**14), (6, "overflow", 2.0**13),
    ]  # fmt: skip
    schedule = make_schedule(config.training, 20)
    steps = events(run, StepCompleted)
    assert [(event.step, event.learning_rate) for event in steps] == [(n, schedule(n)) for n in range(1, 21)]
    last = CheckpointStore(run.checkpoints).load("last").state
    assert last["scaler"]["scale"] == 2.0**13
    assert last["progress"]["skipped_batches"] == 0, "the step learned from the batch that was its own"
    assert events(run, RolledBack) == []


def test_a_scale_that_falls_below_one_is_no_overflow(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """17 halvings from 2^16: then the gradient itself is at fault and the batch is passed over."""
    overflow(monkeypatch, set(range(6, 23)))
    hold(new(config, run))
    skips = events(run, StepSkipped)
    assert [event.reason for event in skips] == ["overflow"] * 16 + ["non_finite"]
    assert {event.step for event in skips} == {6}


def test_a_loss_that_is_not_finite_is_no_matter_of_the_scale(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = torch.nn.functional.cross_entropy, 0

    def cross_entropy(logits: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += logits.requires_grad
        loss = real(logits, *arguments, **options)
        return loss * math.inf if logits.requires_grad and calls == 5 else loss

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", cross_entropy)
    assert train(new(config, run)).exit_code == 0
    assert [(event.step, event.reason) for event in events(run, StepSkipped)] == [(3, "non_finite")]
    scaler = CheckpointStore(run.checkpoints).load("last").state["scaler"]
    assert (scaler["scale"], scaler["_growth_tracker"]) == (2.0**16, 20), "all other steps counted as good ones"


def test_the_scale_is_part_of_the_state(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows after five good steps here: a resume must know both the scale and how long it has held."""
    monkeypatch.setattr(
        "tui_trainer.training.precision.Precision.make_scaler",
        lambda self, device: torch.amp.GradScaler(device.type, init_scale=8.0, growth_interval=5),
    )
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    looks = hold(new(config, whole)).count
    hold(new(config, parts), looks // 2)
    hold(ResumedRun(parts, config, "cpu"))
    states = [CheckpointStore(each.checkpoints).load("last").state["scaler"] for each in (whole, parts)]
    assert states[0] == states[1]
    assert states[0]["scale"] == 8.0 * 2**4 and states[0]["_growth_tracker"] == 0
    assert sha_of(tensors_of(whole)) == sha_of(tensors_of(parts))
    steps = {each: {event.step: figures(event) for event in events(each, StepCompleted)} for each in (whole, parts)}
    assert steps[whole] == steps[parts]


def overflow(monkeypatch: pytest.MonkeyPatch, attempts: set[int]) -> None:
    """The scaled gradients of these attempts, counted from 1, are too large for their type; the loss is not."""
    real, count = step_module.accumulate_gradients, 0

    def accumulate(learner: Learner, *arguments: Any) -> tuple[float, int, int]:
        nonlocal count
        count += 1
        found = real(learner, *arguments)
        if count in attempts:
            learner.optimizers.groups[0].parameters[0].grad[0] = math.inf  # type: ignore[index]
        return found

    monkeypatch.setattr(step_module, "accumulate_gradients", accumulate)
