"""Learner: what learns. Network, optimizers, precision and loss scale: all of a training that is tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tui_trainer.config import RunConfig
from tui_trainer.model import GPT
from tui_trainer.training import random_state
from tui_trainer.training.optimizer import Optimizers
from tui_trainer.training.precision import Precision

MODEL_PREFIX = "model."


@dataclass
class Learner:
    """The parts are made once; what is in them changes with each step."""

    model: GPT
    optimizers: Optimizers
    precision: Precision
    scaler: torch.amp.GradScaler

    @classmethod
    def make(cls, config: RunConfig, vocab_size: int, device: torch.device, precision: Precision) -> Learner:
        """A learner with the first weights that the seed decides."""
        torch.manual_seed(config.training.seed)
        model = GPT(config.model, vocab_size).to(device)
        return cls(model, Optimizers(model, config.training), precision, precision.make_scaler(device))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.wte.weight.device

    def tensors(self) -> dict[str, Tensor]:
        """Weights, optimizer and random numbers as CPU copies, which later steps cannot change."""
        tensors = {f"{MODEL_PREFIX}{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= self.optimizers.tensors()
        tensors |= random_state.capture(self.device)
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights as they are, for a decoder that writes before the next step."""
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in self.model.state_dict().items()}

    def renew_scaler(self) -> None:
        """Forgets a step that broke off between unscaling and updating, which torch's own scaler cannot."""
        state = self.scaler_state()
        self.scaler = self.precision.make_scaler(self.device)
        if state:
            self.scaler.load_state_dict(state)

    def scaler_state(self) -> dict[str, Any]:
        """The loss scale and how long it has held, as plain values; empty when the loss is not scaled."""
        return dict(self.scaler.state_dict())

    def load(self, tensors: Mapping[str, Tensor], scaler_state: Mapping[str, Any]) -> None:
        """Puts back what `tensors` and `scaler_state` gave.

        Raises:
            RuntimeError: when the weights are those of another network.
        """
        weights = {
            name.removeprefix(MODEL_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(MODEL_PREFIX)
        }
        self.model.load_state_dict(weights)
        self.optimizers.load(tensors)
        random_state.restore(tensors, self.device)
        if self.scaler.is_enabled() and scaler_state:
            self.scaler.load_state_dict(dict(scaler_state))


def find_non_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of a tensor with a NaN or an infinity in it: such a state must never replace a good checkpoint."""
    return next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)
