"""What the rules look at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Evaluation(NamedTuple):
    """Both sides of one evaluation, in nats a token, measured in the same way."""

    step: int
    train_loss: float
    val_loss: float


def best_of(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation with the lowest validation loss; the earlier of two equal ones."""
    return min(evaluations, key=lambda evaluation: evaluation.val_loss)


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
