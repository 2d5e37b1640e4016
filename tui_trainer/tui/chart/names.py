"""Names beside the newest points of curves, so that nobody needs colours to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tui_trainer.tui.dots import Canvas

DISTANCE = 2
"""Cells from the end of a curve to its name."""
FARTHEST = 3
"""Rows by which a name may give way to what is drawn there."""


class End(NamedTuple):
    """Where a curve ends: the cell, and how high on the axis of values."""

    name: str
    role: str
    cell: int
    place: float


def write_names(canvas: Canvas, ends: Sequence[End]) -> None:
    """Writes each name at its curve's height or as close to it as there is room, the highest one rather above."""
    for index, end in enumerate(sorted(ends, key=lambda end: -end.place)):
        x, row, rather = end.cell + DISTANCE, canvas.row(end.place), -1 if index == 0 else 1
        rows = [row + away for distance in range(FARTHEST + 1) for away in (rather * distance, -rather * distance)]
        free = (row for row in rows if canvas.is_free(x - 1, row, len(end.name) + 2))
        canvas.put(x, next(free, row), end.name, end.role)
