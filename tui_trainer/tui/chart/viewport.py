"""Which steps a chart shows, and where on its columns they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

FEWEST_STEPS = 8
FIRST_AXIS_STEPS = 50
LIVE_SHARE = 0.25
"""Of the steps so far, when somebody first asks to follow them."""
LIVE_MOVES = 8
"""A live window moves on by such a part of itself: it holds still in between, and the newest point has room."""
FROZEN_MOVES = 40
"""A frozen one begins at a multiple of such a part of itself."""
ROUND = (10, 15, 20, 30, 40, 50, 60, 80)
"""What a round number of steps begins with: close enough that an axis is at least two thirds full when it grows."""

Mode = Literal["all", "live", "frozen"]


class Extent(NamedTuple):
    """The newest step there is something to see of, and the last step of the whole axis."""

    newest: int
    end: int


class Window(NamedTuple):
    """The first and the last step that are shown."""

    first: int
    last: int


@dataclass(frozen=True)
class Viewport:
    """The whole run, a window that follows the newest step, or one that stands still."""

    mode: Mode = "all"
    first: float = 0.0
    """Of a frozen window."""
    length: float = 0.0
    """Of a live or a frozen window, in steps."""

    def window(self, extent: Extent) -> Window:
        """The steps that are shown, never outside 0 to the end of the axis."""
        if self.mode == "all":
            return Window(0, extent.end)
        length = min(max(1, round(self.length)), extent.end)
        if self.mode == "live":
            move = _round_part(length, LIVE_MOVES)
            first = math.ceil(extent.newest / move) * move - length
        else:
            move = _round_part(length, FROZEN_MOVES)
            first = round(self.first / move) * move
        first = min(max(0, first), extent.end - length)
        return Window(first, first + length)

    def zoom(self, factor: float, extent: Extent, around: float | None = None) -> Viewport:
        """Shows fewer steps, or more: a round number of them.

        Args:
            factor: how many times as many: 0.5 zooms in, 2 zooms out.
            extent: what there is.
            around: the step that stays where it is; None: the newest one, or the middle of a frozen window.
        """
        window = self.window(extent)
        old = window.last - window.first
        length = _round_length(max(old * factor, FEWEST_STEPS))
        if length >= extent.end:
            return ALL
        if around is None and self.mode != "frozen":
            return Viewport("live", length=length)
        center = (window.first + window.last) / 2 if around is None else min(max(around, window.first), window.last)
        return _settle(center - (center - window.first) * length / old, length, extent)

    def pan(self, share: float, extent: Extent) -> Viewport:
        """Moves a window by a share of its length, to the right if positive. The whole run has nowhere to go."""
        if self.mode == "all":
            return self
        window = self.window(extent)
        length = window.last - window.first
        first = window.first + share * length
        return Viewport("frozen", max(0.0, first), length) if share < 0 else _settle(first, length, extent)

    def follow(self, extent: Extent) -> Viewport:
        """Follows the newest step, with a window as wide as now if it is not the whole run."""
        length = self.length if self.mode != "all" else _round_length(max(extent.newest * LIVE_SHARE, FEWEST_STEPS))
        return ALL if length >= extent.end else Viewport("live", length=length)


ALL = Viewport()


def _settle(first: float, length: float, extent: Extent) -> Viewport:
    """Frozen, unless it would reach the newest step: then it follows that."""
    if first + length >= extent.newest:
        return Viewport("live", length=length)
    return Viewport("frozen", max(0.0, first), length)


def axis_end(step: int, max_steps: int | None) -> int:
    """The last step of the axis: the next round number, or the last step of the run if that comes first.

    So the axis holds still while columns fill up, and a long run is not a thin line at the left edge.
    """
    power, least = 1, max(step, FIRST_AXIS_STEPS)
    while ROUND[-1] * power < least:
        power *= 10
    end = next(start * power for start in ROUND if start * power >= least)
    return min(end, max(max_steps or end, 1))


def _round_length(steps: float) -> int:
    """The round number that is closest in proportion; 8 is one as well."""
    power = 1
    while ROUND[0] * power * 10 < steps:
        power *= 10
    return min((start * power for start in (FEWEST_STEPS, *ROUND)), key=lambda length: abs(math.log(length / steps)))


def _round_part(length: int, parts: int) -> int:
    """The largest 1, 2 or 5 times a power of ten that divides a length into at least so many parts; else 1."""
    sizes = (base * 10**power for power in range(len(str(length))) for base in (1, 2, 5))
    return max((size for size in sizes if size * parts <= length and length % size == 0), default=1)


@dataclass(frozen=True)
class Grid:
    """The steps of a window on cells of `wide` columns of dots each, as `Series.columns` lays them out."""

    first: int
    last: int
    cells: int
    wide: int

    @property
    def count(self) -> int:
        """Columns of dots."""
        return self.cells * self.wide

    @property
    def steps_a_column(self) -> float:
        return (self.last - self.first) / max(1, self.count - 1)

    def column(self, step: float) -> int:
        """The column of dots of a step; outside the grid for a step outside the window."""
        return math.floor((step - self.first) * (self.count - 1) / max(1, self.last - self.first) + 0.5)

    def cell(self, step: float) -> int:
        """The cell of a step; the nearest for one outside the window."""
        return min(self.cells - 1, max(0, self.column(step) // self.wide))

    def center(self, cell: int) -> float:
        """The step in the middle of a cell."""
        return self.first + (cell * self.wide + (self.wide - 1) / 2) * self.steps_a_column

    def steps(self, cell: int) -> Window:
        """The steps that fall into a cell; where a step takes more than a cell, the one it belongs to."""
        left = cell * self.wide - 0.5
        first = math.ceil(self.first + left * self.steps_a_column)
        last = math.ceil(self.first + (left + self.wide) * self.steps_a_column) - 1
        if first > last:
            first = last = round(self.center(cell))
        return Window(max(first, self.first), min(last, self.last))

    def holds(self, step: float) -> bool:
        return self.first <= step <= self.last
