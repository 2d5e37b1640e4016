"""Axes hold what they are for, and their labels are round, short and apart."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor import numbers
from tui_trainer.tui.chart.axes import SteadyAxis, fitted, linear_axis, log_axis, round_number, step_labels
from tui_trainer.tui.chart.viewport import Grid

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12), st.integers(2, 60))
def test_the_value_axis_holds_every_value(low, span, rows):
    axis = linear_axis(low, low + span, rows)
    slack = 1e-6 * (axis.high - axis.low)
    assert axis.low <= low + slack and low + span <= axis.high + slack
    assert axis.low < axis.high and all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)


@given(FINITE, FINITE, st.integers(2, 60))
def test_no_value_of_a_log_is_too_wild_for_an_axis(one, other, rows):
    low, high = min(one, other), max(one, other)
    assert linear_axis(low, high, rows).low < linear_axis(low, high, rows).high
    if low > 0:
        axis = log_axis(low, high, rows)
        assert axis.low < axis.high and all(axis.place(tick) is not None for tick in axis.ticks)


@given(st.floats(1e-9, 1e9), st.floats(1, 1e9), st.integers(4, 60))
def test_a_logarithmic_axis_holds_every_value_and_has_room_for_its_ticks(low, factor, rows):
    axis = log_axis(low, low * factor, rows)
    assert axis.low <= math.log10(low) + 1e-9 and math.log10(low * factor) <= axis.high + 1e-9
    assert 1 <= len(axis.ticks) <= rows


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 60))
def test_the_value_axis_ends_at_a_tick_or_halfway_to_the_next(low, span, rows):
    axis = linear_axis(low, low + span, rows)
    if len(axis.ticks) > 1:
        half = (axis.ticks[1] - axis.ticks[0]) / 2
        for end in (axis.low, axis.high):
            assert end / half == pytest.approx(round(end / half), abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 10)), min_size=1, max_size=60), st.integers(3, 30))
def test_a_steady_axis_holds_everything_and_never_wastes_much(spans, rows):
    steady = SteadyAxis()
    for low, span in spans:
        needed = linear_axis(low, low + span, rows)
        axis = steady.settle(needed, ("loss",))
        assert axis.low <= needed.low and needed.high <= axis.high
        assert needed.high - needed.low >= 0.6 * (axis.high - axis.low)


def test_noise_at_a_round_value_does_not_move_a_steady_axis():
    steady, noise = SteadyAxis(), [3.99, 4.01] * 20
    fitted_ones = {linear_axis(low, 7.0, 15).low for low in noise}
    settled_ones = [steady.settle(linear_axis(low, 7.0, 15), ("loss",)).low for low in noise]
    assert len(fitted_ones) == 2 and len(set(settled_ones)) == 1
    assert steady.settle(linear_axis(4.01, 7.0, 15), ("loss", "zoomed")).low == 4.0, "another window is fitted at once"


@pytest.mark.parametrize(
    ("low", "high", "rows", "ticks"),
    [
        (3.4, 7.0, 13, ["3.0", "4.0", "5.0", "6.0", "7.0"]),
        (0.6, 6.9, 7, ["0.0", "2.0", "4.0", "6.0"]),
        (0.0, 1.0, 15, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (3.0, 3.1, 9, ["3.00", "3.05", "3.10"]),
    ],
)
def test_ticks_are_round(low, high, rows, ticks):
    axis = linear_axis(low, high, rows)
    assert [axis.text(tick) for tick in axis.ticks] == ticks


def test_ticks_of_a_logarithmic_axis_are_1_2_5_or_decades_or_round_values():
    assert log_axis(18, 1100, 14).ticks == (20, 50, 100, 200, 500, 1000)
    assert log_axis(1e-4, 1e4, 7).ticks == pytest.approx((1e-4, 1e-2, 1, 1e2, 1e4))
    axis = log_axis(3.2, 4.4, 12)
    assert [axis.text(tick) for tick in axis.ticks] == ["3.5", "4", "4.5", "5"]


@given(st.floats(1e-12, 1e300))
def test_round_numbers_are_1_2_or_5_and_close(value):
    tick = round_number(value)
    assert f"{tick:e}"[0] in "125" and float(f"{tick:e}".split("e")[0]) in (1, 2, 5)
    assert 0.6 <= tick / value <= 1.7


@given(st.floats(-1e300, 1e300), st.integers(1, 9))
def test_labels_fit_and_are_never_half_a_number(value, width):
    text = fitted(f"{value:.1f}", value, width)
    assert len(text) <= width
    if text:
        assert float(text) == pytest.approx(value, rel=0.5, abs=0.05)


@given(st.integers(0, 10**6), st.integers(1, 10**7), st.integers(8, 200), st.integers(0, 10))
def test_labels_of_steps_are_apart_inside_and_at_their_cells(first, length, cells, reserve):
    grid = Grid(first, first + length, cells, 2)
    labels = sorted(step_labels(grid, cells + reserve), key=lambda label: label[1])
    assert numbers.whole(first) in {text for _, _, text in labels}
    for cell, start, text in labels:
        assert start >= 0 and start + len(text) <= max(cells + reserve, len(text))
        assert start <= cell + 1 and cell <= start + len(text), "the tick is over its label"
        assert grid.cell(int(text.replace(",", ""))) == cell
    for (_, start, text), (_, after, _) in pairwise(labels):
        assert start + len(text) + 3 <= after


def test_steps_between_the_ends_are_round():
    texts = [text for _, _, text in step_labels(Grid(0, 2244, 60, 2), 66)]
    assert texts == ["0", "2,244", "500", "1,000", "1,500"]
