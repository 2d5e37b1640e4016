"""One optimizer update: forward, loss, backward over the micro-batches, clip, AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config import RunConfig
from tui_trainer.data.batches import Batch
from tui_trainer.model import GPT
from tui_trainer.training.device import autocast
from tui_trainer.training.failures import Diverged


@dataclass(frozen=True)
class Outcome:
    """What one step measured; `loss` in nats a token, `grad_norm` before clipping."""

    loss: float
    accuracy: float
    grad_norm: float
    is_clipped: bool
    learning_rate: float


def update(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    learning_rate: float,
    config: RunConfig,
    precision: str,
    between_micro_batches: Callable[[], None],
) -> Outcome:
    """Learns from one batch; when `between_micro_batches` raises, the weights are as before.

    Raises:
        Diverged: when the loss or the gradient is not finite; the weights are as before.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    inputs, targets = (torch.from_numpy(part).to(model.wte.weight.device) for part in batch)
    nats, correct = accumulate_gradients(
        model, inputs, targets, config.micro_batch_size, precision, between_micro_batches
    )
    loss = nats / targets.numel()
    limit = config.training.grad_clip or math.inf
    grad_norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        raise Diverged(f"train loss {loss:g}, gradient norm {grad_norm:g}")
    optimizer.step()
    return Outcome(loss, correct / targets.numel(), grad_norm, grad_norm > limit, learning_rate)


def accumulate_gradients(
    model: GPT,
    inputs: Tensor,
    targets: Tensor,
    micro_batch_size: int,
    precision: str,
    between_micro_batches: Callable[[], None] = lambda: None,
) -> tuple[float, int]:
    """Adds the gradients of the mean loss over all tokens of (B, T), whatever the micro-batches.

    Returns:
        The summed loss in nats and the number of right first choices.
    """
    nats = torch.zeros((), device=inputs.device)
    correct = torch.zeros((), device=inputs.device, dtype=torch.long)
    for x, y in zip(torch.split(inputs, micro_batch_size), torch.split(targets, micro_batch_size), strict=True):
        between_micro_batches()
        with autocast(precision, inputs.device):
            logits = model(x).flatten(0, 1)
        loss = F.cross_entropy(logits.float(), y.flatten(), reduction="sum")
        torch.autograd.backward(loss / targets.numel())
        nats += loss.detach()
        correct += (logits.detach().argmax(-1) == y.flatten()).sum()
    return float(nats), int(correct)
