"""Which steps a chart shows: always some of the run's, never too few, and the newest one unless somebody looks back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor.history import Series
from tui_trainer.tui.chart.viewport import ALL, FEWEST_STEPS, Extent, Grid, Viewport, Window, axis_end

RUN = Extent(1000, 2000)
EXTENTS = st.tuples(st.integers(0, 10**7), st.integers(1, 10**7)).map(lambda pair: Extent(min(pair), max(pair)))
OPERATIONS = st.one_of(
    st.tuples(st.just("zoom"), st.floats(0.1, 10), st.none() | st.integers(0, 10**7)),
    st.tuples(st.just("pan"), st.floats(-2, 2)),
    st.tuples(st.just("follow")),
)


def after(operations, extent: Extent, viewport: Viewport = ALL) -> Viewport:
    for name, *arguments in operations:
        if name == "zoom":
            viewport = viewport.zoom(arguments[0], extent, arguments[1])
        elif name == "pan":
            viewport = viewport.pan(arguments[0], extent)
        else:
            viewport = viewport.follow(extent)
    return viewport


@given(EXTENTS, st.lists(OPERATIONS, max_size=12))
def test_whatever_somebody_does_there_are_steps_of_the_run_to_see(extent, operations):
    viewport = after(operations, extent)
    first, last = viewport.window(extent)
    assert 0 <= first < last <= extent.end
    assert last - first >= min(FEWEST_STEPS, extent.end) - 1, "rounded to whole steps"
    if viewport.mode == "all":
        assert (first, last) == (0, extent.end)
    if viewport.mode == "live":
        assert first <= extent.newest <= last


@given(EXTENTS, EXTENTS, st.lists(OPERATIONS, max_size=6))
def test_a_window_stays_inside_a_run_that_became_another(extent, other, operations):
    """A resume may go back, or make the run longer."""
    viewport = after(operations, extent)
    first, last = viewport.window(other)
    assert 0 <= first < last <= other.end
    if viewport.mode == "live":
        assert first <= other.newest <= last


@given(st.integers(0, 2000), st.lists(OPERATIONS, max_size=6))
def test_a_frozen_window_holds_still_while_the_run_goes_on(newest, operations):
    viewport = after(operations, Extent(newest, 2000))
    if viewport.mode == "frozen":
        assert viewport.window(Extent(newest, 2000)) == viewport.window(Extent(2000, 2000))


def test_a_live_window_moves_with_the_newest_step_by_parts_of_itself():
    live = ALL.zoom(0.25, RUN)
    assert (live.mode, live.length) == ("live", 500)
    windows = [live.window(Extent(newest, 2000)) for newest in range(1000, 1100)]
    assert {window.last - window.first for window in windows} == {500}
    assert len(set(windows)) == 3, "it holds still in between"
    assert all(0 <= window.last - newest < 500 / 8 for newest, window in zip(range(1000, 1100), windows, strict=True))


def test_zooming_keeps_the_step_under_the_cursor_where_it_is():
    frozen = Viewport("frozen", 200, 400)
    assert frozen.zoom(0.5, RUN, around=300).window(RUN) == Window(250, 450)
    assert frozen.zoom(0.5, RUN).window(RUN) == Window(300, 500), "else the middle"
    assert ALL.zoom(0.5, RUN, around=400).mode == "live", "the newest step is still in sight"
    assert ALL.zoom(0.25, RUN, around=200).window(RUN) == Window(150, 650)


def test_zooming_out_ends_with_the_whole_run_and_zooming_in_with_a_few_steps():
    assert Viewport("frozen", 200, 1500).zoom(2, RUN) == ALL
    assert ALL.zoom(2, RUN) == ALL
    assert after([("zoom", 0.1, 500)] * 9, RUN).length == FEWEST_STEPS
    assert ALL.zoom(0.1, Extent(3, 5)) == ALL, "a run of five steps has no parts"


def test_panning_left_freezes_and_panning_to_the_newest_step_is_live_again():
    live = ALL.zoom(0.25, RUN)
    back = live.pan(-0.25, RUN)
    assert (back.mode, back.window(RUN)) == (
        "frozen",
        Window(live.window(RUN).first - 120, live.window(RUN).last - 120),
    )
    assert back.pan(-99, RUN).window(RUN) == Window(0, 500)
    assert back.pan(0.05, RUN).mode == "frozen"
    assert back.pan(0.25, RUN) == live
    assert ALL.pan(-1, RUN) == ALL == ALL.pan(1, RUN)


def test_following_begins_with_a_quarter_of_the_run_and_keeps_a_chosen_length():
    assert ALL.follow(RUN) == Viewport("live", length=300)
    assert Viewport("frozen", 100, 333).follow(RUN) == Viewport("live", length=333)
    assert ALL.follow(Extent(0, 50)).window(Extent(0, 50)) == Window(0, FEWEST_STEPS)


def is_round(steps: int) -> bool:
    """Two figures and zeros."""
    return steps < 100 or not steps % 10 ** (len(str(steps)) - 2)


@given(st.integers(0, 10**7), st.integers(1, 10**7))
def test_the_axis_always_reaches_the_step_and_ends_at_a_round_one_or_at_the_last(step, max_steps):
    step = min(step, max_steps)
    end = axis_end(step, max_steps)
    assert step <= end <= max_steps
    assert is_round(end) or end == max_steps
    assert step >= end * 0.6 or step < 50, "most of it is full"


@given(st.integers(1, 10**6), st.none() | st.integers(1, 10**6))
def test_the_axis_grows_in_few_steps_while_a_run_goes_on(last, max_steps):
    ends = [axis_end(step, max_steps) for step in range(0, min(last, max_steps or last) + 1, max(1, last // 500))]
    assert ends == sorted(ends)
    assert len(set(ends)) <= 8 * len(str(last)), "eight for each power of ten"


@given(EXTENTS, st.lists(OPERATIONS, min_size=1, max_size=6))
def test_whatever_somebody_does_a_window_is_round(extent, operations):
    viewport = after(operations, extent)
    first, last = viewport.window(extent)
    assert is_round(last - first) or viewport.mode == "all"
    if viewport.mode != "all" and 0 < first < extent.end - (last - first):
        assert first % max(1, (last - first) // 100) <= first, "between the ends of the run it begins at a round part"
        assert is_round(math.gcd(first, last - first) or 1) or last - first < 100


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(2, 200), st.sampled_from([1, 2]), st.data())
def test_a_step_lies_in_the_cell_whose_steps_hold_it(first, length, cells, wide, data):
    grid = Grid(first, first + length, cells, wide)
    step = data.draw(st.integers(first, first + length))
    steps = grid.steps(grid.cell(step))
    assert steps.first <= step <= steps.last
    assert 0 <= grid.cell(step) < cells


@pytest.mark.parametrize("wide", [1, 2])
def test_a_grid_lays_steps_out_as_a_series_does(wide):
    for step in range(100, 164):
        series, grid = Series(), Grid(100, 163, 20, wide)
        series.append(step, 1.0)
        columns = series.columns(grid.count, grid.first, grid.last)
        assert columns.index((1.0, 1.0)) == grid.column(step)
