"""What happened to a run, as signs on the axis of steps: quiet ones, unless something was wrong."""

from __future__ import annotations

from typing import NamedTuple

from tui_trainer.monitor.history import Marks, Series
from tui_trainer.tui.chart.viewport import Grid
from tui_trainer.tui.dots import Signs


class MarkKind(NamedTuple):
    """A kind of `Marks`, with the word for it; `field` names its sign in `Signs`."""

    kind: str
    field: str
    word: str
    role: str

    def sign(self, signs: Signs) -> str:
        sign: str = getattr(signs, self.field)
        return sign


KINDS = (
    MarkKind("non_finite", "non_finite", "not finite", "wrong"),
    MarkKind("roll_back", "roll_back", "rolled back", "warning"),
    MarkKind("resume", "resume", "resumed", "note"),
    MarkKind("rate", "rate", "rate changed", "note"),
    MarkKind("last_step", "last_step", "last step changed", "note"),
    MarkKind("pause", "pause", "paused", "note"),
    MarkKind("checkpoint", "checkpoint", "saved", "label"),
)
"""Worst first: where several fall into a cell, that is the one to see."""


def marked_cells(marks: Marks, series: list[Series], grid: Grid) -> dict[int, list[MarkKind]]:
    """What happened in each cell of a grid, worst first; a value that was no number is a mark as well."""
    cells: dict[int, list[MarkKind]] = {}
    for kind in KINDS:
        steps = marks.steps(kind.kind)
        hit = {grid.cell(step) for step in steps if grid.holds(step)}
        if kind.kind == "non_finite":
            hit |= {
                column // grid.wide
                for each in series
                for column, is_gap in enumerate(each.gaps(grid.count, grid.first, grid.last))
                if is_gap
            }
        for cell in hit:
            cells.setdefault(cell, []).append(kind)
    return cells
