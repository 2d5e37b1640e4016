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
from tui_trainer.training.failures import Diverged
from tui_trainer.training.optimizer import make_optimizer
from tui_trainer.training.step import accumulate_gradients, update


def config_of(**training: object) -> RunConfig:
    return tiny_config(Path("unused"), model={"dropout": 0.0}, training={"batch_size": 8, **training})


def make(config: RunConfig, seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    return GPT(config.model, 256)


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
    plain, model = make(config_of()), make(config_of())
    logits = plain(inputs)
    loss = -logits.log_softmax(-1).gather(-1, targets[..., None]).mean()
    loss.backward()
    nats, correct = accumulate_gradients(model, inputs, targets, micro_batch_size, "fp32")
    assert nats / targets.numel() == pytest.approx(loss.item(), rel=1e-6)
    assert correct == int((logits.argmax(-1) == targets).sum())
    assert torch.allclose(gradients(model), gradients(plain), rtol=1e-4, atol=1e-7)


def test_adamw_by_hand() -> None:
    """Decoupled weight decay, on matrices only; bias correction; betas of the configuration."""
    config = config_of(weight_decay=0.3, betas=[0.8, 0.9], learning_rate=0.01)
    model = make(config)
    optimizer = make_optimizer(model, config.training)
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
    plain, model = make(config), make(config)
    with torch.no_grad():
        for both in (plain, model):
            both.wte.weight.mul_(30)
    batch = batch_of()
    accumulate_gradients(plain, *map(torch.from_numpy, batch), 8, "fp32")
    norm = gradients(plain).norm().item()
    assert norm > 1
    outcome = update(model, make_optimizer(model, config.training), batch, 1e-3, config, "fp32", go_on)
    assert outcome.grad_norm == pytest.approx(norm, rel=1e-5)
    assert outcome.is_clipped is is_clipped
    wanted = gradients(plain) * (limit / norm if is_clipped else 1)
    assert torch.allclose(gradients(model), wanted, rtol=1e-3, atol=1e-7)


def test_the_learning_rate_is_that_of_the_step() -> None:
    config = config_of(weight_decay=0.0)
    model = make(config)
    before = model.wte.weight.detach().clone()
    update(model, make_optimizer(model, config.training), batch_of(), 0.0, config, "fp32", go_on)
    assert torch.equal(model.wte.weight, before)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing(poison: float) -> None:
    config = config_of()
    model = make(config)
    optimizer = make_optimizer(model, config.training)
    update(model, optimizer, batch_of(), 1e-3, config, "fp32", go_on)
    with torch.no_grad():
        model.blocks[0].feed_forward.expansion.bias[0] = poison
    before = [parameter.detach().clone() for parameter in model.parameters()]
    memory = [value.clone() for state in optimizer.state.values() for value in state.values()]
    with pytest.raises(Diverged):
        update(model, optimizer, batch_of(), 1e-3, config, "fp32", go_on)
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter.nan_to_num(7.0), value.nan_to_num(7.0))
    after = [value for state in optimizer.state.values() for value in state.values()]
    assert all(map(torch.equal, memory, after))


@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
def test_a_tiny_batch_is_learned_by_heart(architecture: str) -> None:
    config = tiny_config(Path("unused"), model={"architecture": architecture, "n_embd": 32, "dropout": 0.0})
    model = make(config)
    optimizer = make_optimizer(model, config.training)
    for _ in range(100):
        outcome = update(model, optimizer, batch_of(2), 1e-2, config, "fp32", go_on)
    assert outcome.loss < 0.05
    assert outcome.accuracy > 0.95


def test_bf16_is_near_fp32() -> None:
    inputs, targets = map(torch.from_numpy, batch_of())
    found = {}
    for precision in ("fp32", "bf16"):
        model = make(config_of())
        nats, _ = accumulate_gradients(model, inputs, targets, 4, precision)
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
    model = make(config, seed=1)
    logits = model(inputs).flatten(0, 1)
    loss = F.cross_entropy(logits, targets.flatten())
    loss.backward()
    assert step.train_loss == pytest.approx(loss.item(), rel=1e-6)
    assert step.train_perplexity == pytest.approx(math.exp(loss.item()), rel=1e-5)
    assert step.train_accuracy == float((logits.argmax(-1) == targets.flatten()).double().mean())
    assert step.grad_norm == pytest.approx(gradients(model).norm().item(), rel=1e-5)
    assert (step.tokens_seen, step.epoch) == (80, 1)
