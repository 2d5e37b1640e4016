"""A metric's history as columns of dots: its spread, its course, and that course made smooth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from tui_trainer.monitor.history import Bucket, Series
from tui_trainer.tui.chart.viewport import Grid
from tui_trainer.tui.dots import Column

HALF_LIFE_SHARE = 0.0125
"""Of the columns that are shown, to each side."""
HALF_LIFE_POINTS = 2.0
"""But at least so many known columns, or a chart of few points would not become smoother at all."""


def spread_of(series: Series, grid: Grid) -> list[Column | None]:
    """The lowest and highest value of each column, joined where nothing was measured in between."""
    return _joined(series, series.columns(grid.count, grid.first, grid.last), grid)


def course_of(series: Series, grid: Grid, *, is_smoothed: bool = False) -> list[Column | None]:
    """The mean of each column, joined where nothing was measured in between."""
    means = series.means(grid.count, grid.first, grid.last)
    return _joined(series, smooth(means) if is_smoothed else means, grid)


def bridge_gaps(
    columns: Sequence[Column | None],
    broken: Sequence[bool] = (),
    before: tuple[int, float] | None = None,
    after: tuple[int, float] | None = None,
) -> list[Column | None]:
    """Draws straight lines over the columns in which nothing was measured.

    Args:
        columns: None where there is no value.
        broken: where no line may pass, because a value was no number.
        before: the column, below 0, and the value of the last point to the left.
        after: the same of the first point to the right.
    """
    bridged = list(columns)
    known = [(index, *column) for index, column in enumerate(columns) if column is not None]
    known = [*([(before[0], before[1], before[1])] if before else []), *known]
    known += [(after[0], after[1], after[1])] if after else []
    breaks = [index for index, is_broken in enumerate(broken) if is_broken and columns[index] is None]
    for (left, low, high), (right, end_low, end_high) in pairwise(known):
        if right - left < 2 or any(left < index < right for index in breaks):
            continue
        for index in range(max(0, left + 1), min(len(bridged), right)):
            share = (index - left) / (right - left)
            bridged[index] = (low + (end_low - low) * share, high + (end_high - high) * share)
    return bridged


def smooth(means: Sequence[Column | None]) -> list[Column | None]:
    """A moving average with weights that fall off exponentially to both sides, so that it lags behind nothing.

    Gaps stay gaps.
    """
    known = sum(mean is not None for mean in means)
    half_life = max(len(means) * HALF_LIFE_SHARE, HALF_LIFE_POINTS * len(means) / max(1, known))
    keep = math.exp2(-1 / half_life)
    before, after = _decaying(means, keep), _decaying(means[::-1], keep)[::-1]
    smoothed: list[Column | None] = []
    for mean, (total, weight), (further, more) in zip(means, before, after, strict=True):
        value = (total + further - mean[0]) / (weight + more - 1) if mean else None
        smoothed.append((value, value) if value is not None else None)
    return smoothed


def _decaying(means: Sequence[Column | None], keep: float) -> list[tuple[float, float]]:
    """The weighted sum and the sum of the weights up to each column, itself with a weight of 1."""
    sums = []
    total = weight = 0.0
    for mean in means:
        total, weight = total * keep, weight * keep
        if mean is not None:
            total, weight = total + mean[0], weight + 1.0
        sums.append((total, weight))
    return sums


def last_value(columns: Sequence[Column | None]) -> tuple[int, float] | None:
    """The newest column that is drawn, and the middle of it."""
    for index in range(len(columns) - 1, -1, -1):
        column = columns[index]
        if column is not None:
            return index, (column[0] + column[1]) / 2
    return None


def _joined(series: Series, columns: list[Column | None], grid: Grid) -> list[Column | None]:
    if None not in columns:
        return columns
    broken = series.gaps(grid.count, grid.first, grid.last)
    before = _neighbour(series, grid.first, -1) if columns[0] is None else None
    after = _neighbour(series, grid.last, 1) if columns[-1] is None else None
    return bridge_gaps(columns, broken, before and _point(before, grid), after and _point(after, grid))


def _point(bucket: Bucket, grid: Grid) -> tuple[int, float]:
    return grid.column(bucket.first_step), bucket.total / bucket.values


def _neighbour(series: Series, edge: int, direction: int) -> Bucket | None:
    """The point closest to a window on one side of it.

    A probe that finds one inside the window moves as far away again: nothing can lie in between.
    """
    probe = float(edge)
    newest = series.last
    while newest is not None and 0 <= probe <= newest.last_step:
        found = series.nearest(probe)
        if found is None:
            return None
        center = (found.first_step + found.last_step) / 2
        if (center - edge) * direction > 0:
            return found
        probe += direction * max(1.0, abs(center - probe))
    return None
