"""Whether weights are those of a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tui_trainer.config import ModelConfig
from tui_trainer.errors import UserError
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


def demand_match(config_file: Path, model: ModelConfig, vocab_size: int, weights: Mapping[str, Any]) -> None:
    """Raises UserError, with the first five mismatches, when a configuration does not describe its weights."""
    if mismatches := find_mismatches(model, vocab_size, weights):
        raise UserError(
            f"{config_file}: [model] does not describe the weights; put the old values back\n"
            f"{'; '.join(mismatches[:5])}"
        )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "×".join(map(str, shape))
