"""What happened in a cell: everything that did, the worst first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from charted import run_of, step
from test_curves import SeriesWithGap

from tui_trainer.events import ControlApplied, RunPaused, RunResumed
from tui_trainer.monitor.history import Marks, Series
from tui_trainer.tui.chart.marks import KINDS, marked_cells
from tui_trainer.tui.chart.picture import Look, draw_chart, grid_of
from tui_trainer.tui.chart.titles import describe_look
from tui_trainer.tui.chart.viewport import Grid, Window
from tui_trainer.tui.chart.views import LOSS
from tui_trainer.tui.dots import BRAILLE, STYLES

GRID = Grid(0, 99, 50, 2)


def kinds_of(marks: Marks, *series: Series) -> dict[int, list[str]]:
    return {cell: [kind.kind for kind in kinds] for cell, kinds in marked_cells(marks, list(series), GRID).items()}


def test_many_marks_in_a_cell_are_told_worst_first():
    marks = Marks()
    for kind in reversed(KINDS):
        marks.add(kind.kind, 20)
        marks.add(kind.kind, 21)
    marks.add("checkpoint", 40)
    assert kinds_of(marks) == {10: [kind.kind for kind in KINDS], 20: ["checkpoint"]}
    assert kinds_of(marks)[10][0] == "non_finite"


def test_marks_outside_the_window_are_not_shown():
    marks = Marks()
    marks.add("checkpoint", 100)
    assert kinds_of(marks) == {}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_kind_has_a_sign_of_its_own(style):
    signs = [kind.sign(style.signs) for kind in KINDS]
    assert len(set(signs)) == len(signs) and all(len(sign) == 1 for sign in signs)


def test_what_a_person_does_leaves_a_mark_and_a_word_in_the_legend_only_where_it_is():
    steps = [step(number, 3.0) for number in range(1, 1000)]
    run = run_of(
        *steps[:100],
        set_to(100, "training.learning_rate", 5e-4), *steps[100:300], RunPaused(300),
        RunResumed(300, 9.0), *steps[300:500],
        set_to(500, "training.max_steps", 1500), set_to(600, "training.patience", 3), *steps[500:],
    )  # fmt: skip
    marks = run.state.history.marks
    assert (marks.steps("rate"), marks.steps("pause"), marks.steps("last_step")) == ([100], [300], [500])
    look = Look(LOSS, Window(0, 1000), BRAILLE)
    floor = "".join(text for text, _ in draw_chart(run, look, 72, 14)[-2])[len("  7.0 ┤") :]
    grid = grid_of(look, 72)
    assert [floor[grid.cell(number)] for number in (100, 300, 500)] == ["±", "‖", "»"]
    legend = describe_look(look, "all", run.state.history, 100)
    assert all(word in legend for word in ("rate changed", "paused", "last step changed")) and "saved" not in legend
    narrow = describe_look(look, "all", run.state.history, 34)
    assert "rate changed" in narrow and "last step changed" not in narrow
    early = Look(LOSS, Window(0, 200), BRAILLE)
    assert "paused" not in describe_look(early, "frozen", run.state.history, 100)
    assert "‖ paused" in "".join(text for text, _ in draw_chart(run, replace(look, cursor=300), 120, 14)[-1])


def test_a_pause_while_a_text_is_prepared_is_at_no_step():
    assert run_of(RunPaused(0)).state.history.marks.steps("pause") == []


def set_to(at: int, key: str, value: float) -> ControlApplied:
    return ControlApplied("1", "set", {"key": key, "value": value}, "ada on pts/1", at, 2000, 1.0)


def test_a_value_that_was_no_number_is_a_mark():
    assert kinds_of(Marks(), SeriesWithGap(60), Series()) == {30: ["non_finite"]}
