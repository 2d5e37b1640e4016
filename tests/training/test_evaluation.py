"""What an evaluation says, when it comes, and what it must not disturb."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import events, figures, tensors_of, tiny_config, trained, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import parse_config
from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.events import (
    AdviceRaised,
    CheckpointSaved,
    EvaluationCompleted,
    RunFinished,
    StepCompleted,
)
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.evaluation import Measurement, evaluate
from tui_trainer.training.learner import Learner
from tui_trainer.training.precision import FP32

ONES = np.ones(50, np.int64)


def make() -> Learner:
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 16, "context_length": 8, "dropout": 0.5}
    learner = Learner.make(parse_config({"model": shape}, "test"), 50, torch.device("cpu"), FP32)
    with torch.no_grad():
        learner.model.wte.weight.mul_(30)
    learner.model.train()
    return learner


def look_away() -> None:
    pass


@pytest.mark.parametrize("count", [2, 8, 9, 10, 16, 17, 24, 25, 101])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_every_token_counts_once(count: int, rows: int) -> None:
    learner = make()
    model = learner.model
    tokens = np.random.default_rng(count).integers(50, size=count).astype(np.uint16)
    lengths = np.arange(1, 51)
    found = evaluate(learner, EvaluationWindows(tokens, 8, rows), lengths, look_away)
    nats, correct = 0.0, 0
    model.eval()
    for start in range(0, count - 1, 8):
        targets = torch.from_numpy(tokens[start + 1 : start + 9].astype(np.int64))
        inputs = torch.from_numpy(tokens[start : start + len(targets)].astype(np.int64))
        log_probabilities = model(inputs[None])[0].detach().double().log_softmax(-1)
        nats -= log_probabilities[torch.arange(len(targets)), targets].sum().item()
        correct += int((log_probabilities.argmax(-1) == targets).sum())
    assert found.tokens == count - 1
    assert found.nats == pytest.approx(nats, rel=1e-5)
    assert found.correct == correct
    assert found.bytes == sum(int(token) + 1 for token in tokens[1:])
    assert found.perplexity == math.exp(found.nats / found.tokens)


def test_the_figures_by_hand() -> None:
    found = Measurement(nats=4 * math.log(8), correct=3, tokens=4, bytes=6)
    assert found.loss == pytest.approx(math.log(8))
    assert found.perplexity == pytest.approx(8)
    assert found.accuracy == 0.75
    assert found.bits_per_byte == pytest.approx(12 / 6)
    assert Measurement(nats=1e6, correct=0, tokens=1, bytes=1).perplexity == math.inf
    assert math.isnan(Measurement(nats=1.0, correct=0, tokens=1, bytes=0).bits_per_byte)


def test_it_measures_without_dropout_draws_nothing_and_goes_back_to_train_mode() -> None:
    learner = make()
    model = learner.model
    windows = EvaluationWindows(np.arange(40, dtype=np.uint16), 8, 2)
    state = torch.get_rng_state()
    first, second = (evaluate(learner, windows, ONES, look_away) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_interrupted_one_goes_back_to_train_mode_too() -> None:
    learner = make()

    def interrupt() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(learner, EvaluationWindows(np.arange(40, dtype=np.uint16), 8, 2), ONES, interrupt)
    assert all(module.training for module in learner.model.modules())


def test_when_evaluations_come(tmp_path: Path) -> None:
    """Training side: 900 tokens, 56 windows of 16, 4 a step, so an epoch ends each 14 steps."""
    text = write_text(tmp_path, 1000)
    config = tiny_config(text, training={"max_steps": 31, "eval_interval": 7})
    steps = [event.step for event in events(trained(config, tmp_path / "run"), EvaluationCompleted)]
    assert steps == [0, 7, 14, 21, 28, 31]
    config = tiny_config(text, training={"max_steps": 31, "eval_interval": 10})
    steps = [event.step for event in events(trained(config, tmp_path / "run2"), EvaluationCompleted)]
    assert steps == [0, 10, 14, 20, 28, 30, 31]


def test_how_often_evaluations_come_does_not_change_the_training(tmp_path: Path) -> None:
    text = write_text(tmp_path)
    runs = [
        trained(tiny_config(text, training={"eval_interval": interval}), tmp_path / str(interval))
        for interval in (1, 1000)
    ]
    first, second = ([figures(event) for event in events(run, StepCompleted)] for run in runs)
    assert first == second
    first, second = (tensors_of(run) for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """140 random characters, learned by heart while the validation loss climbs."""
    folder = tmp_path_factory.mktemp("overfitted")
    config = tiny_config(
        write_text(folder, 280, alphabet="abcdefghijklmnopqrstuvwxyz"),
        model={"n_embd": 32, "dropout": 0.0},
        data={"val_fraction": 0.5, "stride": 1},
        training={"max_steps": 120, "eval_interval": 10, "checkpoint_interval": 10, "keep_checkpoints": 3},
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(folder / name))
        trained(config, folder / "run")
    return folder / "run"


def test_best_is_the_lowest_and_last_the_last(overfitted: Path) -> None:
    run = RunDirectory(overfitted)
    by_step = {event.step: event for event in events(run, EvaluationCompleted)}
    lowest = min(by_step.values(), key=lambda event: event.val_loss)
    store = CheckpointStore(run.checkpoints)
    best, last = store.load("best"), store.load("last")
    assert (best.step, last.step) == (lowest.step, 120)
    assert 0 < best.step < 120
    assert best.warning is None and last.warning is None
    assert best.metrics == {"val_loss": lowest.val_loss} == run.best_metrics()
    assert last.metrics == {"val_loss": by_step[120].val_loss}
    so_far = math.inf
    for event in by_step.values():
        assert event.is_best is (event.val_loss < so_far)
        so_far = min(so_far, event.val_loss)


def test_checkpoints_keep_coming_when_the_best_is_behind(overfitted: Path) -> None:
    """An evaluation that is due at the same step, and is not the best, must not cost the checkpoint."""
    run = RunDirectory(overfitted)
    saved = [event.step for event in events(run, CheckpointSaved)]
    assert saved == sorted(set(saved))
    assert set(range(10, 121, 10)) <= set(saved)
    best = CheckpointStore(run.checkpoints).pointer("best")
    assert best is not None and best < 60
    assert CheckpointStore(run.checkpoints).steps() == [best, *saved[-3:]]


def test_advice_is_raised_and_nothing_ends(overfitted: Path) -> None:
    run = RunDirectory(overfitted)
    raised = events(run, AdviceRaised)
    assert raised[0].rule == "model_size", "said before the first step"
    told = {advice.rule for advice in raised}
    assert "overfitting" in told and not told & {"divergence", "learning_rate_high", "plateau"}
    assert (raised[-1].rule, raised[-1].level) == ("overfitting", "wrong")
    assert raised[-1].remedy
    assert events(run, RunFinished)[0].reason == "completed"


@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (2, 0.0), (3, 0.0), (2, 0.3), (1, 100.0), (0, 0.0)])
def test_early_stopping(tmp_path: Path, patience: int, min_delta: float) -> None:
    training = {"max_steps": 60, "eval_interval": 5, "early_stop_patience": patience, "early_stop_min_delta": min_delta}
    text = write_text(tmp_path, 280, alphabet="abcdefghijklmnopqrstuvwxyz")
    data = {"val_fraction": 0.5, "stride": 1}
    config = tiny_config(text, model={"n_embd": 32, "dropout": 0.0}, data=data, training=training)
    run = trained(config, tmp_path / "run")
    evaluations = events(run, EvaluationCompleted)
    reference, waited = math.inf, []
    for event in evaluations:
        is_better = event.val_loss < reference - min_delta
        reference = event.val_loss if is_better else reference
        waited.append(0 if is_better else waited[-1] + 1)
    finished = events(run, RunFinished)[0]
    if patience:
        assert finished.reason == "early_stopped"
        assert waited.index(patience) == len(waited) - 1
    else:
        assert (finished.reason, max(waited) > 3) == ("completed", True)
    assert finished.step == evaluations[-1].step
    store = CheckpointStore(run.checkpoints)
    assert store.load("last").step == finished.step
    assert store.load("best").step == min(evaluations, key=lambda event: event.val_loss).step
