"""The axes of a chart: round values up its side, round steps along its foot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tui_trainer.monitor import numbers
from tui_trainer.tui.chart.viewport import Grid
from tui_trainer.tui.dots import Column

GRAINS_PER_TICK = 2
LOG_GRAINS = 10
"""Parts of a decade in which the ends of a logarithmic axis move."""
ROWS_PER_TICK = 3
FEWEST_ROWS = 5
"""With so many, a round value falls into even the shortest logarithmic axis."""
SMALLEST_SPAN = 0.005
"""Of the values themselves: less is noise, which should not fill the chart."""
LARGEST = 1e300
"""Differences of larger values are no numbers, nor are the logarithms of ticks below its inverse."""
TINY = 1e-12
LABEL_DISTANCE = 3
"""Blank cells between two labels of steps."""
WELL_USED = 0.6
"""Of the height: an axis that needs less of it is fitted again."""


@dataclass(frozen=True)
class ValueAxis:
    """From the lowest to the highest, in the values themselves or in their decimal logarithms."""

    low: float
    high: float
    ticks: tuple[float, ...]
    """Round values, as they are."""
    decimals: int = 1
    """Enough to tell one tick from the next."""
    is_log: bool = False

    def place(self, value: float) -> float | None:
        """Where a value lies between `low` and `high`; None where there is no such place."""
        if not self.is_log:
            return value
        return math.log10(value) if value > 0 else None

    def holds(self, column: Column | None) -> bool:
        """Whether a placed column lies between the ends of the axis."""
        return column is not None and self.low <= column[0] <= column[1] <= self.high

    def text(self, tick: float) -> str:
        """A tick without a unit."""
        return f"{tick:g}" if self.is_log else f"{tick:.{self.decimals}f}"

    def place_columns(self, columns: Sequence[Column | None]) -> Sequence[Column | None]:
        """`place` for a whole curve; of a column that reaches below 0, a logarithmic axis shows the top."""
        return [_log_column(column) for column in columns] if self.is_log else columns


class SteadyAxis:
    """Keeps an axis from one drawing to the next, so that noise at one of its ends does not make it jump."""

    def __init__(self) -> None:
        self._axis: ValueAxis | None = None
        self._purpose: tuple[object, ...] = ()

    def settle(self, fitted_axis: ValueAxis, purpose: tuple[object, ...]) -> ValueAxis:
        """The axis of the last drawing while it holds all that the fitted one holds, and is not much too large.

        Args:
            fitted_axis: what the values need now.
            purpose: what is drawn; for anything else the axis is fitted at once.
        """
        held = self._axis if purpose == self._purpose else None
        if held and held.low <= fitted_axis.low and fitted_axis.high <= held.high:
            is_well_used = fitted_axis.high - fitted_axis.low >= WELL_USED * (held.high - held.low)
            fitted_axis = held if is_well_used else fitted_axis
        self._axis, self._purpose = fitted_axis, purpose
        return fitted_axis


def linear_axis(low: float, high: float, rows: int) -> ValueAxis:
    """An axis that holds both values, with ends coarse enough to hold still and fine enough to use the height."""
    low, high = (min(max(value, -LARGEST), LARGEST) for value in (low, high))
    tick = round_number(max(high - low, SMALLEST_SPAN * abs(high), TINY) / max(1, rows / ROWS_PER_TICK))
    grain = tick / GRAINS_PER_TICK
    bottom, top = math.floor(low / grain + 1e-9) * grain, math.ceil(high / grain - 1e-9) * grain
    if top <= bottom:
        top = bottom + grain
    first, last = math.ceil(bottom / tick - 1e-9), math.floor(top / tick + 1e-9)
    ticks = tuple(index * tick for index in range(first, last + 1))
    return ValueAxis(bottom, top, ticks, max(1, -math.floor(math.log10(tick) + 1e-9)))


def log_axis(low: float, high: float, rows: int) -> ValueAxis:
    """An axis of logarithms with ticks at 1, 2 and 5, at powers of ten, or at round values if that leaves too few."""
    low, high = (min(max(value, 1 / LARGEST), LARGEST) for value in (low, high))
    bottom = math.floor(math.log10(low) * LOG_GRAINS) / LOG_GRAINS
    top = math.ceil(math.log10(high) * LOG_GRAINS) / LOG_GRAINS
    if top <= bottom:
        top = bottom + 1 / LOG_GRAINS
    ticks = _log_ticks(bottom, top, max(2, rows * 3 // 4))
    if len(ticks) < 2:
        linear = linear_axis(10**bottom, 10**top, max(rows, FEWEST_ROWS))
        ticks = tuple(tick for tick in linear.ticks if tick > 0 and bottom <= math.log10(tick) <= top)
    return ValueAxis(bottom, top, ticks, is_log=True)


def _log_ticks(bottom: float, top: float, most: int) -> tuple[float, ...]:
    """1, 2 and 5 of each decade, or powers of ten as far apart as they must be."""
    decades = range(math.floor(bottom), math.ceil(top) + 1)
    every = max(1, math.ceil(len(decades) / most))
    for powers, bases in ((decades, (1, 2, 5)), (decades[::every], (1,))):
        ticks = tuple(base * 10.0**power for power in powers for base in bases)
        inside = tuple(tick for tick in ticks if bottom <= math.log10(tick) <= top)
        if len(inside) <= most:
            break
    return inside


def round_number(value: float) -> float:
    """The 1, 2 or 5 times a power of ten that is closest in proportion."""
    power = 10.0 ** math.floor(math.log10(value))
    return min((base * power for base in (1, 2, 5, 10)), key=lambda tick: abs(math.log(tick / value)))


def fitted(text: str, value: float, width: int) -> str:
    """The text, or a shorter one where there is no room for it; none rather than half of one."""
    choices = (text, f"{value:g}", f"{value:.0e}".replace("e+", "e"), "")
    return next(choice for choice in choices if len(choice) <= width)


def step_labels(grid: Grid, width: int) -> list[tuple[int, int, str]]:
    """The cell, the start and the text of each label: both ends, and round steps as far as there is room.

    Args:
        grid: where the steps are.
        width: cells for the labels, from the first of the grid on.
    """
    room = (len(numbers.whole(grid.last)) + LABEL_DISTANCE) * (grid.last - grid.first) / grid.cells
    every = next(base * 10**power for power in count() for base in (1, 2, 5) if base * 10**power >= room)
    between = range((grid.first // every + 1) * every, grid.last, every)
    labels: list[tuple[int, int, str]] = []
    for step in (grid.first, grid.last, *between):
        cell, text = grid.cell(step), numbers.whole(step)
        start = max(0, min(width - len(text), cell - len(text) // 2))
        if all(
            start + len(text) + LABEL_DISTANCE <= other or other + len(known) + LABEL_DISTANCE <= start
            for _, other, known in labels
        ):
            labels.append((cell, start, text))
    return labels


def _log_column(column: Column | None) -> Column | None:
    if column is None or column[1] <= 0:
        return None
    high = math.log10(column[1])
    return (math.log10(column[0]) if column[0] > 0 else high, high)
