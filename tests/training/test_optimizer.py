"""Which parameters are treated alike, and Muon against a reference written out here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny_config

from tui_trainer.config import RunConfig
from tui_trainer.model import GPT
from tui_trainer.training.optimizer import Optimizers, group_parameters

MATRICES = {
    "adamw": [("hidden matrices", "adamw", 4, 0.1), ("embeddings, head", "adamw", 2, 0.1)],
    "muon": [("hidden matrices", "muon", 4, 0.1), ("embeddings, head", "adamw", 2, 0.0)],
}
VECTORS = ("biases, norms", "adamw", 10, 0.0)


def config_of(**sections: dict[str, Any]) -> RunConfig:
    return tiny_config(Path("unused"), **sections)


def make(config: RunConfig) -> GPT:
    torch.manual_seed(0)
    return GPT(config.model, 64)


@pytest.mark.parametrize(
    ("architecture", "optimizer", "expected"),
    [
        ("gpt2", "adamw", [*MATRICES["adamw"], VECTORS]),
        ("gpt2", "muon", [*MATRICES["muon"], VECTORS]),
        ("modern", "adamw", MATRICES["adamw"]),
        ("modern", "muon", MATRICES["muon"]),
    ],
)
def test_the_groups_as_a_table(architecture: str, optimizer: str, expected: list[tuple[str, str, int, float]]) -> None:
    config = config_of(model={"architecture": architecture}, training={"optimizer": optimizer})
    model = make(config)
    rows = [group.describe(0.1) for group in group_parameters(model, config.training)]
    assert [(row["name"], row["optimizer"], row["tensors"], row["weight_decay"]) for row in rows] == expected
    assert sum(row["parameters"] for row in rows) == sum(parameter.numel() for parameter in model.parameters())
    assert sum(row["tensors"] for row in rows) == len(list(model.parameters())), "a tied head is one tensor"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_parameter_is_updated_by_exactly_one(optimizer: str) -> None:
    config = config_of(training={"optimizer": optimizer})
    model = make(config)
    parts = Optimizers(model, config.training).parts
    owned = [id(p) for part in parts for group in part.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Five rounds of the quintic Newton-Schulz iteration on the wide form of the matrix."""
    a, b, c = 3.4445, -4.775, 2.0315
    x = matrix.double()
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if is_tall else x


def test_muon_by_hand() -> None:
    """Momentum with Nesterov's look ahead, orthogonalised, and as large as a step of AdamW."""
    config = config_of(training={"optimizer": "muon", "weight_decay": 0.3})
    model = make(config)
    optimizers = Optimizers(model, config.training)
    optimizers.set_learning_rate(0.01)
    generator = torch.Generator().manual_seed(1)
    name = "blocks.0.feed_forward.expansion.weight"
    weight = dict(model.named_parameters())[name]
    start = weight.detach().double()
    expected, momentum = start, torch.zeros_like(start)
    for _ in range(3):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        gradient = weight.grad.double()
        momentum = 0.95 * momentum + 0.05 * gradient
        direction = orthogonal(0.05 * gradient + 0.95 * momentum)
        expected = expected * (1 - 0.01 * 0.3) - 0.01 * 0.2 * max(weight.shape) ** 0.5 * direction
        optimizers.step()
    # torch iterates in bf16, which has three decimal digits.
    assert (weight - expected).norm() < 0.02 * (expected - start).norm()
    moved = (weight - start).square().mean().sqrt()
    assert 0.3 * 0.01 < moved < 3 * 0.01, "about the size of three steps of AdamW, which cancel in part"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_memory_comes_back_under_the_names_of_the_parameters(optimizer: str) -> None:
    config = config_of(training={"optimizer": optimizer})
    first, second = (make(config) for _ in range(2))
    one, other = Optimizers(first, config.training), Optimizers(second, config.training)

    def step(model: GPT, optimizers: Optimizers, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizers.step()

    for seed in range(3):
        step(first, one, seed)
    saved = {name: tensor.clone() for name, tensor in one.tensors().items()}
    assert "optimizer.wte.weight.exp_avg" in saved
    key = "momentum_buffer" if optimizer == "muon" else "exp_avg"
    assert f"optimizer.blocks.0.attention.qkv.weight.{key}" in saved
    second.load_state_dict(first.state_dict())
    other.load(saved)
    step(first, one, 9)
    step(second, other, 9)
    for (name, left), right in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(left, right), name
    assert all(torch.equal(saved[name], tensor) for name, tensor in saved.items())
