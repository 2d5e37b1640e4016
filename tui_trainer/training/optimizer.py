"""The optimizers of a run: which parameters are treated alike, by what, and their memory under the parameters' names.

AdamW as "Decoupled Weight Decay Regularization" has it. Muon orthogonalises the momentum of each hidden matrix, as
"Muon: An optimizer for hidden layers in neural networks" has it; its step is scaled to the size of AdamW's, as
"Muon is Scalable for LLM Training" has it, so that both read one learning rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.config import TrainingConfig

PREFIX = "optimizer."


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that one optimizer treats alike; `decays`: whether the run's weight decay is meant for them."""

    name: str
    optimizer: str
    decays: bool
    parameters: list[nn.Parameter]

    def describe(self, weight_decay: float) -> dict[str, Any]:
        """A row of the table that a person sees, for a run's weight decay."""
        return {
            "name": self.name,
            "optimizer": self.optimizer,
            "tensors": len(self.parameters),
            "parameters": sum(parameter.numel() for parameter in self.parameters),
            "weight_decay": weight_decay if self.decays else 0.0,
        }


def group_parameters(model: nn.Module, training: TrainingConfig) -> list[ParameterGroup]:
    """Each trainable parameter in exactly one group; groups without a parameter are left out.

    Biases and norms have nothing to decay to. With AdamW embeddings decay as GPT-2's do; with Muon they do not:
    a token that is seldom seen would forget itself.
    """
    is_muon = training.optimizer == "muon"
    hidden: list[nn.Parameter] = []
    embeddings: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            place = vectors if parameter.dim() < 2 else hidden if name.startswith("blocks.") else embeddings
            place.append(parameter)
    groups = [
        ParameterGroup("hidden matrices", "muon" if is_muon else "adamw", decays=True, parameters=hidden),
        ParameterGroup("embeddings, head", "adamw", decays=not is_muon, parameters=embeddings),
        ParameterGroup("biases, norms", "adamw", decays=False, parameters=vectors),
    ]
    return [group for group in groups if group.parameters]


class Optimizers:
    """What updates the weights: one torch optimizer for each kind of group."""

    def __init__(self, model: nn.Module, training: TrainingConfig) -> None:
        """Makes the optimizers; their memory comes with the first step.

        Args:
            model: its parameters are the same objects from now on.
            training: optimizer, learning_rate, betas, weight_decay.
        """
        self._model = model
        self.groups = group_parameters(model, training)
        self.parts: list[torch.optim.Optimizer] = []
        by_kind: dict[str, list[dict[str, Any]]] = {}
        for group in self.groups:
            row = {"params": group.parameters, "decays": group.decays}
            by_kind.setdefault(group.optimizer, []).append(row)
        for kind, rows in by_kind.items():
            self.parts.append(_make(kind, rows, training))
        self.set_weight_decay(training.weight_decay)

    def set_weight_decay(self, weight_decay: float) -> None:
        """For the groups that decay at all."""
        for part in self.parts:
            for group in part.param_groups:
                group["weight_decay"] = weight_decay if group["decays"] else 0.0

    def set_learning_rate(self, learning_rate: float) -> None:
        """One rate for all groups: how strongly it acts on a matrix is the optimizer's affair."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate

    def zero_grad(self) -> None:
        """Frees the gradients."""
        self._model.zero_grad(set_to_none=True)

    def step(self) -> None:
        """One update of all weights."""
        for part in self.parts:
            part.step()

    def tensors(self) -> dict[str, Tensor]:
        """The memory as `optimizer.<parameter>.<key>`, independent of how parameters are grouped."""
        return {
            f"{PREFIX}{name}.{key}": value
            for name, _, state in self._states()
            for key, value in state.items()
            if isinstance(value, Tensor)
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back copies of what `tensors` gave; a parameter without tensors starts without memory."""
        by_parameter: dict[str, dict[str, Tensor]] = {}
        for full_name, tensor in tensors.items():
            if full_name.startswith(PREFIX):
                name, key = full_name.removeprefix(PREFIX).rsplit(".", 1)
                by_parameter.setdefault(name, {})[key] = tensor
        for name, parameter, state in self._states():
            state.clear()
            for key, tensor in by_parameter.get(name, {}).items():
                # AdamW keeps its step count on the CPU unless it is fused on a GPU, where it must be with the weights.
                place = parameter.device if key != "step" or parameter.is_cuda else torch.device("cpu")
                state[key] = tensor.to(place, copy=True)

    def _states(self) -> Iterator[tuple[str, nn.Parameter, dict[str, Any]]]:
        owners = {p: part for part in self.parts for group in part.param_groups for p in group["params"]}
        for name, parameter in self._model.named_parameters():
            if parameter in owners:
                yield name, parameter, owners[parameter].state[parameter]


def _make(kind: str, rows: list[dict[str, Any]], training: TrainingConfig) -> torch.optim.Optimizer:
    if kind == "muon":
        return torch.optim.Muon(rows, lr=training.learning_rate, adjust_lr_fn="match_rms_adamw")
    has_fused = rows[0]["params"][0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(rows, lr=training.learning_rate, betas=training.betas, fused=has_fused)
