"""A metric's history in bounded memory: every spike is kept, however long the run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

MAX_BUCKETS = 4096


class Bucket(NamedTuple):
    """Some neighbouring points of a series."""

    first_step: int
    last_step: int
    low: float
    high: float
    last: float
    total: float
    values: int


class Series:
    """Values over steps, in at most 4,096 buckets.

    When they are full, neighbours are merged in pairs: the lowest and the highest value of each survive.
    """

    def __init__(self) -> None:
        self._buckets: list[Bucket] = []
        self._steps_per_bucket = 1

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[Bucket]:
        return iter(self._buckets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self._buckets == other._buckets

    __hash__ = None  # type: ignore[assignment]

    @property
    def last(self) -> Bucket | None:
        """The newest bucket."""
        return self._buckets[-1] if self._buckets else None

    def append(self, step: int, value: float | None) -> None:
        """Adds the value of a step that is later than all before; a value that is no number is a gap."""
        if value is None or not math.isfinite(value):
            return
        newest = self.last
        if newest is not None and step // self._steps_per_bucket == newest.first_step // self._steps_per_bucket:
            self._buckets[-1] = _merge(newest, Bucket(step, step, value, value, value, value, 1))
            return
        self._buckets.append(Bucket(step, step, value, value, value, value, 1))
        if len(self._buckets) > MAX_BUCKETS:
            self._halve()

    def nearest(self, step: float) -> Bucket | None:
        """The bucket whose steps are closest to a step, or None when there is none."""
        return min(
            self._buckets, key=lambda bucket: abs((bucket.first_step + bucket.last_step) / 2 - step), default=None
        )

    def gaps(self, count: int, first_step: float, last_step: float) -> list[bool]:
        """Whether each of `count` equal spans of steps holds a value that was no number."""
        return [False] * count

    def drop_after(self, step: int) -> None:
        """Forgets what came after a step, and with it a bucket that straddles it.

        The bounds of such a bucket may be those of a point that never happened, and one wild value would
        spoil the scale of the chart for good; what is lost before the step is less than the chart can show.
        """
        while self._buckets and self._buckets[-1].last_step > step:
            self._buckets.pop()

    def columns(self, count: int, first_step: float, last_step: float) -> list[tuple[float, float] | None]:
        """Lowest and highest value in each of `count` equal spans of steps; None where there is none."""
        return [
            (min(bucket.low for bucket in span), max(bucket.high for bucket in span)) if span else None
            for span in self._spans(count, first_step, last_step)
        ]

    def means(self, count: int, first_step: float, last_step: float) -> list[tuple[float, float] | None]:
        """The mean in each of `count` equal spans of steps, as a column of no height; None where there is none."""
        means = []
        for span in self._spans(count, first_step, last_step):
            mean = sum(bucket.total for bucket in span) / sum(bucket.values for bucket in span) if span else 0.0
            means.append((mean, mean) if span else None)
        return means

    def _spans(self, count: int, first_step: float, last_step: float) -> list[list[Bucket]]:
        """The buckets that fall into each of `count` equal spans of steps."""
        spans: list[list[Bucket]] = [[] for _ in range(count)]
        scale = (count - 1) / max(1e-9, last_step - first_step)
        for bucket in self._buckets if count > 0 else ():
            if bucket.last_step >= first_step and bucket.first_step <= last_step:
                column = min(count - 1, max(0, int((bucket.first_step - first_step) * scale + 0.5)))
                spans[column].append(bucket)
        return spans

    def _halve(self) -> None:
        self._steps_per_bucket *= 2
        halved: list[Bucket] = []
        for bucket in self._buckets:
            if (
                halved
                and bucket.first_step // self._steps_per_bucket == halved[-1].first_step // self._steps_per_bucket
            ):
                halved[-1] = _merge(halved[-1], bucket)
            else:
                halved.append(bucket)
        self._buckets = halved


def _merge(left: Bucket, right: Bucket) -> Bucket:
    return Bucket(
        left.first_step,
        right.last_step,
        min(left.low, right.low),
        max(left.high, right.high),
        right.last,
        left.total + right.total,
        left.values + right.values,
    )


@dataclass
class Marks:
    """Steps at which something happened, by its kind."""

    _steps: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, step: int) -> None:
        """One more; kinds are checkpoint, resume, roll_back and non_finite."""
        self._steps.setdefault(kind, []).append(step)

    def steps(self, kind: str) -> list[int]:
        """The steps of a kind, oldest first."""
        return self._steps.get(kind, [])

    def drop_after(self, step: int) -> None:
        """Forgets what came after a step."""
        self._steps = {kind: [each for each in steps if each <= step] for kind, steps in self._steps.items()}


@dataclass
class History:
    """Every metric over the steps."""

    train_loss: Series = field(default_factory=Series)
    train_perplexity: Series = field(default_factory=Series)
    train_accuracy: Series = field(default_factory=Series)
    learning_rate: Series = field(default_factory=Series)
    grad_norm: Series = field(default_factory=Series)
    clip_rate: Series = field(default_factory=Series)
    """1 for a step whose gradient was clipped, else 0."""
    tokens_per_second: Series = field(default_factory=Series)
    train_eval_loss: Series = field(default_factory=Series)
    val_loss: Series = field(default_factory=Series)
    gap: Series = field(default_factory=Series)
    """Validation loss minus training loss, both of an evaluation."""
    train_eval_perplexity: Series = field(default_factory=Series)
    val_perplexity: Series = field(default_factory=Series)
    train_eval_accuracy: Series = field(default_factory=Series)
    val_accuracy: Series = field(default_factory=Series)
    cpu_percent: Series = field(default_factory=Series)
    memory_bytes: Series = field(default_factory=Series)
    gpu_percent: Series = field(default_factory=Series)
    gpu_memory_bytes: Series = field(default_factory=Series)
    marks: Marks = field(default_factory=Marks)

    def drop_after(self, step: int) -> None:
        """Forgets what came after a step."""
        for each in fields(self):
            getattr(self, each.name).drop_after(step)
