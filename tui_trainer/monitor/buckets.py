"""Buckets of a series as columns of numbers.

Apart from `series`, which imports it with the first curve: the picker starts without numpy.
"""

from __future__ import annotations

import math
from array import array
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tui_trainer.monitor.series import Bucket

Column: TypeAlias = npt.NDArray[np.float64]
Span: TypeAlias = tuple[float, float]
"""Lowest and highest value."""


class Buckets(NamedTuple):
    """One row a bucket; a bucket without a value has `low` above `high` and no `last`."""

    first_step: Column
    last_step: Column
    low: Column
    high: Column
    last: Column
    total: Column
    values: Column
    gaps: Column

    @property
    def size(self) -> int:
        """How many buckets."""
        return len(self.first_step)

    def joined(self, later: Buckets) -> Buckets:
        """These, then `later`."""
        return Buckets(*map(np.concatenate, zip(self, later, strict=True)))

    def until(self, step: float) -> Buckets:
        """Those that end at a step or before it."""
        return self._part(self.last_step <= step)

    def merged(self, width: float) -> Buckets:
        """Neighbours that begin within the same `width` steps as one: lowest, highest and sum survive."""
        place = np.trunc(self.first_step / width)
        starts = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
        ends = np.concatenate([starts[1:], [self.size]]) - 1
        newest = np.maximum.reduceat(np.where(self.values > 0, np.arange(self.size), -1), starts)
        with np.errstate(over="ignore"):  # a mean that no float holds is not drawn
            total = np.add.reduceat(self.total, starts)
        return Buckets(
            self.first_step[starts],
            self.last_step[ends],
            np.minimum.reduceat(self.low, starts),
            np.maximum.reduceat(self.high, starts),
            np.where(newest < 0, np.nan, self.last[newest]),
            total,
            np.add.reduceat(self.values, starts),
            np.add.reduceat(self.gaps, starts),
        )

    def as_list(self) -> list[Bucket]:
        """The buckets that hold a value, one by one."""
        rows = zip(*(column.tolist() for column in self._part(self.values > 0)), strict=True)
        return [
            Bucket(int(first), int(last), low, high, newest, total, int(values), int(gaps))
            for first, last, low, high, newest, total, values, gaps in rows
        ]

    def nearest(self, step: float) -> Bucket | None:
        """The bucket with a value whose steps are closest to a step."""
        distance = np.abs((self.first_step + self.last_step) / 2 - step)
        distance[self.values == 0] = math.inf
        index = int(np.argmin(distance)) if self.size else 0
        return next(iter(self._part(slice(index, index + 1)).as_list()), None)

    def bounds(self, count: int, first_step: float, last_step: float) -> list[Span | None]:
        """Lowest and highest value in each of `count` equal spans of steps."""
        place = self._places(count, first_step, last_step)
        low, high = np.full(count + 1, math.inf), np.full(count + 1, -math.inf)
        np.minimum.at(low, place, self.low)
        np.maximum.at(high, place, self.high)
        spans = zip(low[:-1].tolist(), high[:-1].tolist(), strict=True)
        return [span if span[0] <= span[1] else None for span in spans]

    def means(self, count: int, first_step: float, last_step: float) -> list[Span | None]:
        """The mean in each of `count` equal spans of steps."""
        place = self._places(count, first_step, last_step)
        totals = np.bincount(place, self.total, count + 1)[:-1].tolist()
        values = np.bincount(place, self.values, count + 1)[:-1].tolist()
        means = [total / known if known else math.nan for total, known in zip(totals, values, strict=True)]
        return [(mean, mean) if math.isfinite(mean) else None for mean in means]

    def has_gaps(self, count: int, first_step: float, last_step: float) -> list[bool]:
        """Whether each of `count` equal spans of steps holds a value that was no number."""
        place = self._places(count, first_step, last_step)
        return [gaps > 0 for gaps in np.bincount(place, self.gaps, count + 1)[:-1].tolist()]

    def _part(self, which: slice | npt.NDArray[np.bool_]) -> Buckets:
        return Buckets(*(column[which] for column in self))

    def _places(self, count: int, first_step: float, last_step: float) -> npt.NDArray[np.intp]:
        """In which of `count` equal spans each bucket begins; `count` for one that is not in sight."""
        scale = (count - 1) / max(1e-9, last_step - first_step)
        place = np.clip((self.first_step - first_step) * scale + 0.5, 0, count - 1)
        place[(self.last_step < first_step) | (self.first_step > last_step)] = count
        return place.astype(np.intp)


def buckets_of(steps: array[float], values: array[float]) -> Buckets:
    """A bucket a point; NaN is a gap."""
    step, value = np.array(steps), np.array(values)
    is_gap = np.isnan(value)
    return Buckets(
        step,
        step,
        np.where(is_gap, math.inf, value),
        np.where(is_gap, -math.inf, value),
        value,
        np.where(is_gap, 0.0, value),
        (~is_gap).astype(np.float64),
        is_gap.astype(np.float64),
    )
