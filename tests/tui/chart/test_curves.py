"""A metric as columns of dots: nothing is lost, and nothing is drawn where a value was no number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor.history import Series
from tui_trainer.tui.chart.axes import linear_axis
from tui_trainer.tui.chart.curves import bridge_gaps, course_of, last_value, smooth, spread_of
from tui_trainer.tui.chart.viewport import Grid
from tui_trainer.tui.dots import STYLES, Canvas, Curve

VALUES = st.floats(-1e6, 1e6)


def series_of(points: dict[int, float]) -> Series:
    series = Series()
    for step, value in points.items():
        series.append(step, value)
    return series


class SeriesWithGap(Series):
    """One that met a NaN at a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def gaps(self, count, first_step, last_step):
        grid = Grid(first_step, last_step, count, 1)
        return [column == grid.column(self.step) for column in range(count)]


@given(st.lists(VALUES, min_size=2, max_size=300), st.sampled_from(list(STYLES.values())), st.data())
def test_every_spike_is_seen_at_any_zoom(values, style, data):
    """Of any data and any window, the drawn column of a step reaches as high and as low as its value."""
    series = series_of(dict(enumerate(values)))
    first = data.draw(st.integers(0, len(values) - 2))
    last = data.draw(st.integers(first + 1, len(values) - 1))
    cells = data.draw(st.integers(2, 40))
    grid = Grid(first, last, cells, style.wide)
    columns = spread_of(series, grid)
    axis = linear_axis(min(values), max(values), 7)
    canvas = Canvas(style, cells, 7, axis.low, axis.high)
    canvas.plot(Curve(axis.place_columns(columns), "train", is_shaded=True))
    for step in range(first, last + 1):
        low, high = columns[grid.column(step)]
        assert low <= values[step] <= high
        assert not canvas.is_free(grid.cell(step), canvas.row(low), 1)
        assert not canvas.is_free(grid.cell(step), canvas.row(high), 1)


def test_bridged_gaps_are_straight_lines():
    assert bridge_gaps([(0.0, 0.0), None, None, (3.0, 3.0), None]) == [
        (0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0), None,
    ]  # fmt: skip
    assert bridge_gaps([(0.0, 4.0), None, (2.0, 2.0)])[1] == (1.0, 3.0), "a spread becomes narrower"


def test_no_line_passes_a_value_that_was_no_number():
    columns = [(0.0, 0.0), None, None, None, (4.0, 4.0), None, (6.0, 6.0)]
    broken = [False, False, True, False, False, False, False]
    assert bridge_gaps(columns, broken) == [*columns[:5], (5.0, 5.0), (6.0, 6.0)]


def test_a_column_with_numbers_beside_one_that_was_none_is_drawn():
    columns = [(0.0, 0.0), None, (2.0, 2.0)]
    assert bridge_gaps(columns, [False, False, True])[1] == (1.0, 1.0)


def test_a_series_that_met_a_nan_has_a_hole():
    series = SeriesWithGap(5)
    for step in (0, 2, 4, 6, 8):
        series.append(step, 1.0)
    drawn = course_of(series, Grid(0, 8, 9, 1))
    assert [column for column, value in enumerate(drawn) if value is None] == [5]


@given(st.sets(st.integers(0, 400), min_size=1, max_size=40), st.integers(0, 390), st.integers(8, 100))
def test_lines_come_from_and_go_to_the_points_next_to_the_window(steps, first, length):
    """Evaluations are rare: in a narrow window there may be none, and still the curve goes through it."""
    grid = Grid(first, first + length, 30, 2)
    drawn = spread_of(series_of({step: float(step) for step in sorted(steps)}), grid)
    for column, value in enumerate(drawn):
        step = first + column * grid.steps_a_column
        if min(steps) <= step <= max(steps):
            assert value is not None
            assert value[0] - 1e-6 <= value[1] and abs((value[0] + value[1]) / 2 - step) <= 1.5 * grid.steps_a_column
        elif not min(steps) - grid.steps_a_column <= step <= max(steps) + grid.steps_a_column:
            assert value is None


def test_smoothing_follows_a_constant_at_once_and_a_step_without_lagging_behind():
    constant = [mean[0] for mean in smooth([(3.0, 3.0)] * 50)]
    assert constant == pytest.approx([3.0] * 50), "no pull towards zero at the start"
    means = [(0.0, 0.0)] * 200 + [(1.0, 1.0)] * 200
    smoothed = smooth(means)
    assert (smoothed[199][0] + smoothed[200][0]) / 2 == pytest.approx(0.5), "the step stays where it is"
    assert smoothed[200 + 5][0] == pytest.approx(0.75, abs=0.04), "a half-life of 1.25 % of 400 columns"
    assert smoothed[-1][0] == pytest.approx(1.0, abs=1e-3)


@given(st.lists(st.none() | VALUES, min_size=1, max_size=60))
def test_a_smoothed_curve_stays_among_its_values_and_keeps_its_gaps(values):
    smoothed = smooth([None if value is None else (value, value) for value in values])
    known = [value for value in values if value is not None]
    assert [mean is None for mean in smoothed] == [value is None for value in values]
    assert all(min(known) - 1e-3 <= mean[0] <= max(known) + 1e-3 for mean in smoothed if mean)


def test_the_last_value_is_the_middle_of_the_newest_column():
    assert last_value([(0.0, 1.0), (2.0, 4.0), None]) == (1, 3.0)
    assert last_value([None]) is None
