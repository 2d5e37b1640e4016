"""Everything of a training that is a tensor, as one flat table for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tui_trainer.model import GPT
from tui_trainer.training import random_state
from tui_trainer.training.optimizer import load_optimizer_tensors, optimizer_tensors

MODEL_PREFIX = "model."


def state_tensors(model: GPT, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights, optimizer and random numbers as CPU copies, which later steps cannot change."""
    tensors = {f"{MODEL_PREFIX}{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= optimizer_tensors(model, optimizer)
    tensors |= random_state.capture(model.wte.weight.device)
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def load_state_tensors(model: GPT, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `state_tensors` took."""
    weights = {
        name.removeprefix(MODEL_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(MODEL_PREFIX)
    }
    model.load_state_dict(weights)
    load_optimizer_tensors(model, optimizer, tensors)
    random_state.restore(tensors, model.wte.weight.device)


def find_non_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of a tensor with a NaN or an infinity in it: such a state must never replace a good checkpoint."""
    return next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)
