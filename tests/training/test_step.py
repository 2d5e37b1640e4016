"""One update: gradients, the clip and AdamW against references written out here."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_runs import events, tiny_config, trained, write_text

from tui_trainer.config import RunConfig
from tui_trainer.data.batches import Batch, TrainingWindows
from tui_trainer.events import StepCompleted
from tui_trainer.model import GPT
from tui_trainer.training.learner import Learner
from tui_trainer.training.precision import FP32, Precision
from tui_trainer.training.step import PADDING, Outcome, Skipped, accumulate_gradients, update


def config_of(**training: object) -> RunConfig:
    return tiny_config(Path("unused"), model={"dropout": 0.0}, training={"batch_size": 8, **training})


def make(config: RunConfig, precision: Precision = FP32) -> Learner:
    return Learner.make(config, 256, torch.device("cpu"), precision)


def learn(learner: Learner, config: RunConfig, batch: Batch, learning_rate: float = 1e-3) -> Outcome | Skipped:
    return update(learner, batch, learning_rate, config.training.grad_clip, config.training.batch_size, go_on)


def batch_of(rows: int = 8, length: int = 16, vocabulary: int = 256) -> Batch:
    windows = np.random.default_rng(3).integers(vocabulary, size=(rows, length + 1))
    return windows[:, :-1].copy(), windows[:, 1:].copy()


def go_on() -> None:
    pass


def gradients(model: GPT) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("micro_batch_size", [8, 4, 2, 1, 3, 5])
def test_micro_batches_change_nothing_but_the_rounding(micro_batch_size: int) -> None:
    """3 and 5 leave a smaller last one, where a mean of means would be wrong."""
    inputs, targets = map(torch.from_numpy, batch_of())
    plain, learner = make(config_of()).model, make(config_of())
    logits = plain(inputs)
    loss = -logits.log_softmax(-1).gather(-1, targets[..., None]).mean()
    loss.backward()
    nats, correct, tokens = accumulate_gradients(learner, inputs, targets, micro_batch_size)
    assert tokens == targets.numel()
    assert nats / targets.numel() == pytest.approx(loss.item(), rel=1e-6)
    assert correct == int((logits.argmax(-1) == targets).sum())
    assert torch.allclose(gradients(learner.model), gradients(plain), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("micro_batch_size", [8, 4, 2, 1, 3, 5])
def test_padding_counts_for_nothing_however_it_is_spread(micro_batch_size: int) -> None:
    """Sequences of 1 to 16 tokens: a mean of the micro-batches' means would favour the short ones."""
    inputs, targets = map(torch.from_numpy, batch_of())
    lengths = [16, 1, 7, 3, 16, 2, 9, 4]
    for row, length in enumerate(lengths):
        targets[row, length:] = PADDING
    plain, learner = make(config_of()).model, make(config_of())
    kept = targets != PADDING
    loss = -plain(inputs).log_softmax(-1)[kept].gather(-1, targets[kept][:, None]).mean()
    loss.backward()
    nats, _, tokens = accumulate_gradients(learner, inputs, targets, micro_batch_size)
    assert tokens == sum(lengths)
    assert nats / tokens == pytest.approx(loss.item(), rel=1e-6)
    assert torch.allclose(gradients(learner.model), gradients(plain), rtol=1e-4, atol=1e-7)


def test_adamw_by_hand() -> None:
    """Decoupled weight decay, on matrices only; bias correction; betas of the configuration."""
    config = config_of(weight_decay=0.3, betas=[0.8, 0.9], learning_rate=0.01)
    learner = make(config)
    model, optimizer = learner.model, learner.optimizers
    optimizer.set_learning_rate(0.01)
    generator = torch.Generator().manual_seed(1)
    expected = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    mean = {name: torch.zeros_like(value) for name, value in expected.items()}
    square = {name: torch.zeros_like(value) for name, value in expected.items()}
    for step in range(1, 5):
        for name, parameter in model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            gradient = parameter.grad.double()
            mean[name] = 0.8 * mean[name] + 0.2 * gradient
            square[name] = 0.9 * square[name] + 0.1 * gradient**2
            decay = 0.3 if parameter.dim() == 2 else 0.0
            change = mean[name] / (1 - 0.8**step) / ((square[name] / (1 - 0.9**step)).sqrt() + 1e-8)
            expected[name] = expected[name] * (1 - 0.01 * decay) - 0.01 * change
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.detach().double(), expected[name], rtol=1e-4, atol=1e-6), name
    assert any(parameter.dim() == 1 for parameter in model.parameters())


@pytest.mark.parametrize(("limit", "is_clipped"), [(1.0, True), (0.05, True), (1e6, False), (0.0, False)])
def test_clipping(limit: float, is_clipped: bool) -> None:
    config = config_of(grad_clip=limit)
    plain, learner = make(config), make(config)
    with torch.no_grad():
        for both in (plain, learner):
            both.model.wte.weight.mul_(30)
    batch = batch_of()
    accumulate_gradients(plain, *map(torch.from_numpy, batch), 8)
    norm = gradients(plain.model).norm().item()
    assert norm > 1
    outcome = learn(learner, config, batch)
    assert isinstance(outcome, Outcome)
    assert outcome.grad_norm == pytest.approx(norm, rel=1e-5)
    assert outcome.is_clipped is is_clipped
    wanted = gradients(plain.model) * (limit / norm if is_clipped else 1)
    assert torch.allclose(gradients(learner.model), wanted, rtol=1e-3, atol=1e-7)


def test_the_learning_rate_is_that_of_the_step() -> None:
    config = config_of(weight_decay=0.0)
    learner = make(config)
    before = learner.model.wte.weight.detach().clone()
    learn(learner, config, batch_of(), 0.0)
    assert torch.equal(learner.model.wte.weight, before)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing(poison: float, optimizer: str) -> None:
    config = config_of(optimizer=optimizer)
    learner = make(config)
    learn(learner, config, batch_of())
    with torch.no_grad():
        learner.model.blocks[0].feed_forward.expansion.bias[0] = poison
    before = learner.tensors()
    outcome = learn(learner, config, batch_of())
    assert isinstance(outcome, Skipped) and not outcome.is_overflow
    after = learner.tensors()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value.nan_to_num(7.0), after[name].nan_to_num(7.0)), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
def test_a_tiny_batch_is_learned_by_heart(architecture: str, optimizer: str) -> None:
    config = tiny_config(
        Path("unused"),
        model={"architecture": architecture, "n_embd": 32, "dropout": 0.0},
        training={"optimizer": optimizer},
    )
    learner = make(config)
    for _ in range(100):
        outcome = learn(learner, config, batch_of(2), 1e-2)
    assert outcome.loss < 0.05
    assert outcome.accuracy > 0.95


def test_bf16_is_near_fp32() -> None:
    inputs, targets = map(torch.from_numpy, batch_of())
    found = {}
    for precision in ("fp32", "bf16"):
        learner = make(config_of(), Precision(precision))
        model = learner.model
        nats, _, _ = accumulate_gradients(learner, inputs, targets, 4)
        found[precision] = nats, gradients(model)
        assert all(
            parameter.grad is not None and parameter.grad.dtype == torch.float32 for parameter in model.parameters()
        )
    assert found["bf16"][0] == pytest.approx(found["fp32"][0], rel=1e-2)
    assert F.cosine_similarity(found["bf16"][1], found["fp32"][1], dim=0) > 0.99


def test_the_reported_loss_is_that_of_all_tokens_of_the_step(tmp_path: Path) -> None:
    """The whole way: the first weights, the first batch, a ragged last micro-batch, the line in the log."""
    text = write_text(tmp_path)
    config = tiny_config(
        text, model={"dropout": 0.0}, training={"max_steps": 1, "batch_size": 5, "micro_batch_size": 3}
    )
    step = events(trained(config, tmp_path / "run"), StepCompleted)[0]
    content = text.read_bytes()
    tokens = np.frombuffer(content[: int(len(content) * 0.9)], np.uint8)
    inputs, targets = map(torch.from_numpy, TrainingWindows(tokens, 16, 16, 5, seed=1).batch(1))
    model: GPT = make(config).model
    logits = model(inputs).flatten(0, 1)
    loss = F.cross_entropy(logits, targets.flatten())
    loss.backward()
    assert step.train_loss == pytest.approx(loss.item(), rel=1e-6)
    assert step.train_perplexity == pytest.approx(math.exp(loss.item()), rel=1e-5)
    assert step.train_accuracy == float((logits.argmax(-1) == targets.flatten()).double().mean())
    assert step.grad_norm == pytest.approx(gradients(model).norm().item(), rel=1e-5)
    assert (step.tokens_seen, step.epoch) == (80, 1)


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_leaves_the_scale_and_the_next_update_is_made(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scaler that had unscaled and was not updated would refuse the next step."""
    config = config_of(grad_clip=1.0)
    learner = make(config, Precision("fp16"))
    assert isinstance(learn(learner, config, batch_of()), Outcome)
    before = learner.scaler_state()
    with monkeypatch.context() as context:
        real = torch.nn.functional.cross_entropy
        context.setattr(torch.nn.functional, "cross_entropy", lambda *given, **more: real(*given, **more) * factor)
        found = learn(learner, config, batch_of())
    assert isinstance(found, Skipped) and not found.is_overflow and found.loss_scale == 2.0**16
    assert learner.scaler_state() == before
    assert isinstance(learn(learner, config, batch_of()), Outcome)
    assert learner.scaler_state() == before | {"_growth_tracker": 2}
