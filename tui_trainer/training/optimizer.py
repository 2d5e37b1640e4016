"""AdamW as "Decoupled Weight Decay Regularization" has it, and its state under the names of the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tui_trainer.config import TrainingConfig

PREFIX = "optimizer."


def make_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: biases and norms have nothing to decay to."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    has_fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=training.betas, fused=has_fused)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's memory as `optimizer.<parameter>.<key>`, independent of the order of its groups."""
    return {
        f"{PREFIX}{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` took; a parameter without tensors starts without memory."""
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        if full_name.startswith(PREFIX):
            name, key = full_name.removeprefix(PREFIX).rsplit(".", 1)
            by_parameter.setdefault(name, {})[key] = tensor
    for name, parameter in model.named_parameters():
        if name in by_parameter:
            # AdamW keeps its step count on the CPU unless it is fused on a GPU, where it must be beside the weights.
            optimizer.state[parameter] = {
                key: tensor.to(parameter.device) if key != "step" or parameter.is_cuda else tensor
                for key, tensor in by_parameter[name].items()
            }
