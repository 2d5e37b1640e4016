"""Whether weights are those of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tui_trainer.config import ModelConfig
from tui_trainer.model.gpt import GPT


def find_mismatches(model: ModelConfig, vocab_size: int, weights: Mapping[str, Any]) -> list[str]:
    """The weights, by name, that do not fit a network of this shape, in words; only their shapes are looked at."""
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in GPT(model, vocab_size).state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    return [
        f"{name} {_shape(found.get(name))} instead of {_shape(expected.get(name))}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "×".join(map(str, shape))
