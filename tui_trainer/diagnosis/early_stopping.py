"""Early stopping (조기 종료): when enough evaluations in a row were no better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def evaluations_without_gain(val_losses: Iterable[float], min_delta: float = 0.0) -> int:
    """How many evaluations in a row, up to the last one, were no better.

    The first one sets the loss to beat. One that is lower than it by more than `min_delta` nats is a gain and is
    the new one to beat; many small gains in a row are one as soon as their sum is large enough.
    """
    to_beat: float | None = None
    without_gain = 0
    for loss in val_losses:
        if to_beat is None or loss < to_beat - min_delta:
            to_beat, without_gain = loss, 0
        else:
            without_gain += 1
    return without_gain


def has_lost_patience(val_losses: Sequence[float], patience: int, min_delta: float) -> bool:
    """Whether so many evaluations in a row were no better; a patience of 0 never ends."""
    return bool(patience) and evaluations_without_gain(val_losses, min_delta) >= patience
