"""What happened in a cell: everything that did, the worst first."""

from __future__ import annotations

from test_curves import SeriesWithGap

from tui_trainer.monitor.history import Marks, Series
from tui_trainer.tui.chart.marks import KINDS, marked_cells
from tui_trainer.tui.chart.viewport import Grid

GRID = Grid(0, 99, 50, 2)


def kinds_of(marks: Marks, *series: Series) -> dict[int, list[str]]:
    return {cell: [kind.kind for kind in kinds] for cell, kinds in marked_cells(marks, list(series), GRID).items()}


def test_many_marks_in_a_cell_are_told_worst_first():
    marks = Marks()
    for kind in reversed(KINDS):
        marks.add(kind.kind, 20)
        marks.add(kind.kind, 21)
    marks.add("checkpoint", 40)
    assert kinds_of(marks) == {10: ["non_finite", "roll_back", "resume", "checkpoint"], 20: ["checkpoint"]}


def test_marks_outside_the_window_are_not_shown():
    marks = Marks()
    marks.add("checkpoint", 100)
    assert kinds_of(marks) == {}


def test_a_value_that_was_no_number_is_a_mark():
    assert kinds_of(Marks(), SeriesWithGap(60), Series()) == {30: ["non_finite"]}
