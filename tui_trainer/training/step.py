"""One optimizer update: forward, loss, backward over the micro-batches, clip, update."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.data.batches import Batch
from tui_trainer.errors import UserError
from tui_trainer.training.failures import is_out_of_memory
from tui_trainer.training.learner import Learner

PADDING = -100
"""A target that counts for nothing: torch's own convention."""
SMALLEST_LOSS_SCALE = 1.0
"""Gradients that overflow without being scaled up are no matter of the scale any more."""


@dataclass(frozen=True)
class Outcome:
    """What one step measured; `loss` in nats a token, `grad_norm` before clipping."""

    loss: float
    accuracy: float
    grad_norm: float
    is_clipped: bool
    learning_rate: float


@dataclass(frozen=True)
class Skipped:
    """Why weights and optimizer were left as they are; `is_overflow`: a lower loss scale may mend it."""

    is_overflow: bool
    loss: float
    grad_norm: float
    loss_scale: float | None = None

    def __str__(self) -> str:
        return f"train loss {self.loss:g}, gradient norm {self.grad_norm:g}"


def update(
    learner: Learner,
    batch: Batch,
    learning_rate: float,
    grad_clip: float,
    micro_batch_size: int,
    between_micro_batches: Callable[[], None],
) -> Outcome | Skipped:
    """Learns from one batch; when `between_micro_batches` raises, weights and optimizer are as before.

    The order is that of the fp16 recipe, of which the other precisions leave parts out: scale, backward, unscale,
    look for overflow, clip, step, adjust the scale.
    """
    learner.optimizers.set_learning_rate(learning_rate)
    learner.optimizers.zero_grad()
    inputs, targets = (torch.from_numpy(part).to(learner.device) for part in batch)
    nats, correct, tokens = accumulate_gradients(learner, inputs, targets, micro_batch_size, between_micro_batches)
    loss = nats / tokens
    for part in learner.optimizers.parts:
        learner.scaler.unscale_(part)
    limit = grad_clip or math.inf
    grad_norm = float(torch.nn.utils.clip_grad_norm_(learner.model.parameters(), limit))
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        return _skip(learner, loss, grad_norm)
    _move_weights(learner)
    return Outcome(loss, correct / tokens, grad_norm, grad_norm > limit, learning_rate)


def _move_weights(learner: Learner) -> None:
    """Not through `scaler.step`, which decides for each optimizer alone: either all weights move or none.

    Raises:
        UserError: when memory runs out in the middle of it, for then some have moved.
    """
    try:
        learner.optimizers.step()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "out of memory: the optimizer keeps two numbers for each weight and they do not fit\n"
            "choose a smaller model.n_embd, model.n_layer or data.vocab_size"
        ) from error
    learner.scaler.update()


def _skip(learner: Learner, loss: float, grad_norm: float) -> Skipped:
    """Lowers the loss scale when only the gradients are not finite: the loss itself is computed before it is scaled."""
    before = learner.scaler.get_scale()
    if math.isfinite(loss):
        learner.scaler.update()
    else:
        learner.renew_scaler()
    after = learner.scaler.get_scale()
    is_overflow = SMALLEST_LOSS_SCALE <= after < before
    return Skipped(is_overflow, loss, grad_norm, after if learner.scaler.is_enabled() else None)


def accumulate_gradients(
    learner: Learner,
    inputs: Tensor,
    targets: Tensor,
    micro_batch_size: int,
    between_micro_batches: Callable[[], None] = lambda: None,
) -> tuple[float, int, int]:
    """Adds the gradients of the mean loss over all tokens of (B, T), whatever the micro-batches.

    The divisor is the number of tokens of the whole batch, padding not counted: a mean of the micro-batches' means
    would give the tokens of a short one more weight.

    Returns:
        The summed loss in nats, the number of right first choices, and the number of tokens.
    """
    tokens = max(1, int((targets != PADDING).sum()))
    nats = torch.zeros((), device=inputs.device)
    correct = torch.zeros((), device=inputs.device, dtype=torch.long)
    for x, y in zip(torch.split(inputs, micro_batch_size), torch.split(targets, micro_batch_size), strict=True):
        between_micro_batches()
        with learner.precision.autocast(inputs.device):
            logits = learner.model(x).flatten(0, 1)
        loss = F.cross_entropy(logits.float(), y.flatten(), reduction="sum", ignore_index=PADDING)
        torch.autograd.backward(learner.scaler.scale(loss / tokens))
        nats += loss.detach()
        correct += (logits.detach().argmax(-1) == y.flatten()).sum()
    return float(nats), int(correct), tokens
