"""The curves of a view, read from a run and drawn on a canvas, with their names, the best and the cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tui_trainer.events import EvaluationCompleted
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.tui.chart.axes import ValueAxis, linear_axis, log_axis
from tui_trainer.tui.chart.curves import course_of, last_value, spread_of
from tui_trainer.tui.chart.names import End, write_names
from tui_trainer.tui.chart.viewport import Grid
from tui_trainer.tui.chart.views import Backdrop, ChartView
from tui_trainer.tui.dots import Canvas, Column, Curve, Signs

START_SHARE = 0.1
"""Of the axis of steps: values that high only there may lie above the frame."""
START_GAIN = 0.8
"""They do when the other values then need less of the height than this."""


@dataclass(frozen=True)
class Plot:
    """What is to be drawn, in values."""

    grid: Grid
    backdrop: Backdrop | None
    spreads: tuple[Curve, ...]
    courses: dict[str, Curve]
    """By the name of their source."""
    best: tuple[int, float] | None
    """The cell and the value of the best evaluation, if it is in sight."""


def read_plot(follower: RunFollower, view: ChartView, grid: Grid, *, is_smoothed: bool) -> Plot:
    """Takes from a run what a view shows of some steps."""
    history, spreads, courses = follower.state.history, [], {}
    for source in view.sources:
        series = source.series(history)
        course = spread_of(series, grid)
        if source.spread_role:
            spreads.append(Curve(course, source.spread_role, is_shaded=True))
            course = course_of(series, grid, is_smoothed=is_smoothed)
        courses[source.name] = Curve(course, source.role)
    backdrop = view.backdrop(follower, grid) if view.backdrop else None
    return Plot(grid, backdrop, tuple(spreads), courses, _best_point(view, follower.state.best, grid))


def axis_of(plot: Plot, holds: tuple[float, ...], rows: int, *, is_log: bool) -> ValueAxis | None:
    """An axis that holds every value in sight but a high start, and what a view never leaves out.

    None where there is no value.
    """
    curves = [curve.columns for curve in (*plot.spreads, *plot.courses.values())]
    curves += [plot.backdrop.columns] if plot.backdrop and plot.backdrop.is_held else []
    further = [*holds, *([plot.best[1]] if plot.best else [])]
    values = _values(curves)
    start = max(1, round(START_SHARE * plot.grid.count)) if plot.grid.first == 0 else 0
    later = [columns[start:] for columns in curves]
    has_only_begun = any(_values([whole]) and not _values([rest]) for whole, rest in zip(curves, later, strict=True))
    present = [] if has_only_begun else [*_values(later), *further]
    if is_log:
        values, present, further = ([each for each in some if each > 0] for some in (values, present, further))
    if not values:
        return None
    low, high = min(values + further), max(values + further)
    span = math.log if is_log else float
    if present and span(max(present)) - span(low) < START_GAIN * (span(high) - span(low)):
        high = max(present)
    return (log_axis if is_log else linear_axis)(low, high, rows)


def _values(curves: Sequence[Sequence[Column | None]]) -> list[float]:
    return [value for columns in curves for column in columns if column for value in column]


def start_above(plot: Plot, axis: ValueAxis) -> float | None:
    """The highest value of a curve above the frame: that of the start."""
    highest = max(_values([curve.columns for curve in (*plot.spreads, *plot.courses.values())]), default=0.0)
    place = axis.place(highest)
    return highest if place is not None and place > axis.high * (1 + 1e-9) else None


def draw_plot(plot: Plot, axis: ValueAxis, canvas: Canvas, signs: Signs) -> None:
    """Draws from back to front: what the curves are seen against, their spreads, the curves, the best, the names."""
    ends: list[End] = []
    if plot.backdrop:
        columns = [column if axis.holds(column) else None for column in axis.place_columns(plot.backdrop.columns)]
        canvas.plot(Curve(columns, "quiet"))
        last = last_value(columns)
        ends = [End(plot.backdrop.name, "label", last[0] // plot.grid.wide, last[1])] if last else []
    for spread in plot.spreads:
        canvas.plot(Curve(_in_frame(axis, spread.columns), spread.role, spread.is_shaded))
    courses = {name: Curve(_in_frame(axis, curve.columns), curve.role) for name, curve in plot.courses.items()}
    for course in courses.values():
        canvas.plot(course)
    place = axis.place(plot.best[1]) if plot.best else None
    if plot.best and place is not None:
        canvas.put(plot.best[0], canvas.row(place), signs.best, "best")
    write_names(canvas, [*ends, *_ends(courses, plot.grid)])


def draw_cursor(canvas: Canvas, cell: int, sign: str) -> None:
    """A line between the curves: what they say there shall still be seen."""
    for row in range(canvas.height):
        if canvas.is_free(cell, row, 1):
            canvas.put(cell, row, sign, "accent")


def _in_frame(axis: ValueAxis, columns: Sequence[Column | None]) -> list[Column | None]:
    """What the frame holds of a curve that starts above it; where it comes in, it touches the frame."""
    placed, high = axis.place_columns(columns), axis.high
    inside = [column and (min(column[0], high), min(column[1], high)) for column in placed]
    for index, column in enumerate(placed[:-1]):
        following = placed[index + 1]
        if column and column[0] > high and (following is None or following[0] > high):
            inside[index] = None
    return inside


def _ends(courses: dict[str, Curve], grid: Grid) -> list[End]:
    """Where the curves end: their names stand in one column, at the newest point of all."""
    ends = [
        End(name, course.role, last[0] // grid.wide, last[1])
        for name, course in courses.items()
        if (last := last_value(course.columns))
    ]
    newest = max((end.cell for end in ends), default=0)
    return [end._replace(cell=newest) for end in ends]


def _best_point(view: ChartView, best: EvaluationCompleted | None, grid: Grid) -> tuple[int, float] | None:
    value = view.best(best) if view.best and best else None
    return (grid.cell(best.step), value) if best and value is not None and grid.holds(best.step) else None
