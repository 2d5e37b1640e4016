"""A metric over the steps in bounded memory: every spike is kept, however long the run."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tui_trainer.monitor.buckets import Buckets, Column, Span

MAX_BUCKETS = 4096
NEWEST_POINTS = 4096


class Bucket(NamedTuple):
    """Some neighbouring points of a series."""

    first_step: int
    last_step: int
    low: float
    high: float
    last: float
    total: float
    values: int
    gaps: int = 0
    """Values that were no numbers."""


class Series:
    """Values over steps: the newest 4,096 or more as they are, what is older in at most 4,096 buckets.

    When those are full, neighbours are merged: the lowest and the highest value of each survive, and that some
    value was no number. Points become buckets 4,096 at a time, so that it does not matter how many come at once.
    """

    def __init__(self) -> None:
        self._steps, self._values = array("d"), array("d")
        self._older: Buckets | None = None
        self._steps_per_bucket = 1.0

    def __len__(self) -> int:
        return int((self._all.values > 0).sum())

    def __iter__(self) -> Iterator[Bucket]:
        return iter(self._all.as_list())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self._content == other._content

    __hash__ = None  # type: ignore[assignment]

    @property
    def last(self) -> Bucket | None:
        """The newest bucket that holds a value."""
        for step, value in zip(reversed(self._steps), reversed(self._values), strict=True):
            if not math.isnan(value):
                return Bucket(int(step), int(step), value, value, value, value, 1)
        return next(reversed(self._older.as_list()), None) if self._older else None

    def append(self, step: int, value: float | None) -> None:
        """Adds the value of a step that is later than all before; a value that is no number is a gap."""
        self._steps.append(step)
        self._values.append(value if value is not None and math.isfinite(value) else math.nan)
        self._settle()

    def extend(self, steps: Column, values: Column) -> None:
        """Adds many values at once, with the very same result."""
        values = values.astype(float)
        values[~(abs(values) < math.inf)] = math.nan
        start = 0
        while start < len(steps):
            end = start + 2 * NEWEST_POINTS - len(self._steps)
            self._steps.frombytes(steps[start:end].astype(float).tobytes())
            self._values.frombytes(values[start:end].tobytes())
            self._settle()
            start = end

    def drop_after(self, step: int) -> None:
        """Forgets what came after a step, and with it a bucket that straddles it.

        The bounds of such a bucket may be those of a point that never happened, and one wild value would
        spoil the scale of the chart for good; what is lost before the step is less than the chart can show.
        """
        while self._steps and self._steps[-1] > step:
            self._steps.pop()
            self._values.pop()
        if self._older is not None:
            self._older = self._older.until(step)

    def nearest(self, step: float) -> Bucket | None:
        """The bucket whose steps are closest to a step, or None when there is none."""
        return self._all.nearest(step)

    def columns(self, count: int, first_step: float, last_step: float) -> list[Span | None]:
        """Lowest and highest value in each of `count` equal spans of steps; None where there is none."""
        return self._all.bounds(count, first_step, last_step) if count > 0 else []

    def means(self, count: int, first_step: float, last_step: float) -> list[Span | None]:
        """The mean in each of `count` equal spans of steps, as a column of no height; None where there is none."""
        return self._all.means(count, first_step, last_step) if count > 0 else []

    def gaps(self, count: int, first_step: float, last_step: float) -> list[bool]:
        """Whether each of `count` equal spans of steps holds a value that was no number."""
        return self._all.has_gaps(count, first_step, last_step) if count > 0 else []

    @property
    def _all(self) -> Buckets:
        newest = _buckets_of(self._steps, self._values)
        return newest if self._older is None else self._older.joined(newest)

    @property
    def _content(self) -> list[bytes]:
        """All that it holds; bytes, because a gap is not equal to itself."""
        older = [column.tobytes() for column in self._older] if self._older else []
        return [self._steps.tobytes(), self._values.tobytes(), *older]

    def _settle(self) -> None:
        """Turns the older half of the points into buckets when there are too many."""
        if len(self._steps) < 2 * NEWEST_POINTS:
            return
        settled = _buckets_of(self._steps[:NEWEST_POINTS], self._values[:NEWEST_POINTS])
        del self._steps[:NEWEST_POINTS], self._values[:NEWEST_POINTS]
        buckets = settled.merged(self._steps_per_bucket)
        if self._older is not None:
            buckets = self._older.joined(buckets)
        while buckets.size > MAX_BUCKETS:
            self._steps_per_bucket *= 2
            buckets = buckets.merged(self._steps_per_bucket)
        self._older = buckets


def _buckets_of(steps: array[float], values: array[float]) -> Buckets:
    from tui_trainer.monitor.buckets import buckets_of  # numpy comes with the first curve

    return buckets_of(steps, values)
