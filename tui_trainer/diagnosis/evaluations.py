"""What the rules look at: the evaluations of a run, each with the steps that led to it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

LARGEST = 1e9
"""No loss or gradient norm means more than this one, and sums of such cannot overflow."""


LEAST_VAL_TOKENS = 128
"""With fewer, chance moves the loss by a fifth of a nat and more: tokens differ by 2 to 3 nats."""


def is_noise_below(val_tokens: int) -> bool:
    """Whether a validation loss over so many tokens says nothing about the model."""
    return val_tokens < LEAST_VAL_TOKENS


class Evaluation(NamedTuple):
    """Both sides of one evaluation, in nats a token, measured in the same way, and the steps since the one before."""

    step: int
    train_loss: float
    val_loss: float
    learning_rate: float | None = None
    """That of the last step."""
    grad_norm: float | None = None
    """The geometric mean: one wild step does not move it."""
    clipped_share: float | None = None
    """The share of the steps whose gradient was clipped."""
    val_loss_error: float | None = None
    """The standard error of the validation loss."""


def best_of(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation with the lowest validation loss; the earlier of two equal ones."""
    return min(evaluations, key=lambda evaluation: evaluation.val_loss)


def recent(evaluations: Sequence[Evaluation], least: int, share: float) -> Sequence[Evaluation]:
    """The evaluations of the last `share` of the steps so far, `least` of them at any rate, or none if there are fewer.

    A share of the run, because a curve that is looked at often enough is level between any two looks.
    """
    if len(evaluations) < least:
        return []
    since = evaluations[-1].step * (1 - share)
    return [*[each for each in evaluations[:-least] if each.step >= since], *evaluations[-least:]]


def fall_of(losses: Sequence[float]) -> float:
    """How far a straight line through the losses falls from its first to its last point, in nats."""
    middle = (len(losses) - 1) / 2
    spread = sum((index - middle) ** 2 for index in range(len(losses)))
    if not spread:
        return 0.0
    return -sum((index - middle) * loss for index, loss in enumerate(losses)) / spread * (len(losses) - 1)


def noise_of(losses: Sequence[float]) -> float:
    """The standard deviation around the trend, in nats.

    Second differences take a straight trend away; their median is not moved by a few steep places, such as the
    start of a training. 0.6745 turns a median deviation into a standard deviation, and a second difference of
    independent values has six times their variance.
    """
    if len(losses) < 3:
        return 0.0
    bends = [abs(a - 2 * b + c) for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)]
    return statistics.median(bends) / (0.6745 * 6**0.5)


def highest_learning_rate(evaluations: Sequence[Evaluation]) -> float | None:
    """The highest learning rate so far, as far as it is known."""
    return max((each.learning_rate for each in evaluations if each.learning_rate is not None), default=None)


def figure(value: float | None) -> float | None:
    """A loss, norm or rate as the rules use it: at least 0 and bounded; None when it is not finite."""
    return min(max(value, 0.0), LARGEST) if value is not None and math.isfinite(value) else None
