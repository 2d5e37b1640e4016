from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tui_trainer.monitor import series as series_module
from tui_trainer.monitor.series import MAX_BUCKETS, NEWEST_POINTS, Bucket, Series

MILLION = 1_000_000
VALUES = st.floats(-1e9, 1e9) | st.sampled_from([None, math.nan, math.inf, -math.inf])
POINT = st.tuples(st.integers(0, 6), VALUES)
POINTS = st.lists(POINT, max_size=20) | st.lists(POINT, min_size=60, max_size=120)
"""How many steps each point is after the one before, and its value."""


AT_ANY_SIZE = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""Each of the three sizes gets so many."""


@pytest.fixture(scope="module")
def long_series() -> Series:
    """A million points on a level, with spikes up and down among them."""
    steps, values = np.arange(1.0, MILLION + 1), np.ones(MILLION)
    spikes = np.arange(99_991, MILLION, 99_991)
    values[spikes - 1] = spikes / 10
    values[spikes] = -spikes / 10
    series = Series()
    series.extend(steps, values)
    return series


@pytest.fixture(params=[(8, 8), (4, 16), (16, 4)], ids=str)
def small(request, monkeypatch):
    """A series is full after a few points."""
    buckets, points = request.param
    monkeypatch.setattr(series_module, "MAX_BUCKETS", buckets)
    monkeypatch.setattr(series_module, "NEWEST_POINTS", points)
    return 2 * points + buckets


def filled(points) -> Series:
    series = Series()
    for step, value in points:
        series.append(step, value)
    return series


def at_steps(points) -> list[tuple[int, float | None]]:
    step, placed = 0, []
    for gap, value in points:
        step += gap
        placed.append((step, value))
    return placed


def known(points) -> list[tuple[int, float]]:
    return [(step, value) for step, value in points if value is not None and math.isfinite(value)]


def test_every_spike_of_a_million_points_is_kept_where_it_was(long_series):
    buckets = list(long_series)
    for spike in range(99_991, MILLION, 99_991):
        up = next(bucket for bucket in buckets if bucket.first_step <= spike <= bucket.last_step)
        down = next(bucket for bucket in buckets if bucket.first_step <= spike + 1 <= bucket.last_step)
        assert (down.low, up.high) == (-spike / 10, spike / 10)
        assert up.last_step - up.first_step < MILLION / 1000


def test_a_million_points_take_bounded_memory(long_series):
    assert MAX_BUCKETS // 2 + NEWEST_POINTS <= len(long_series) <= MAX_BUCKETS + 2 * NEWEST_POINTS
    assert sum(map(len, long_series._content)) < 500_000


def test_buckets_follow_each_other_and_end_at_the_newest(long_series):
    buckets = list(long_series)
    assert buckets[0].first_step == 1
    assert buckets[-1].last_step == MILLION
    assert all(left.last_step + 1 == right.first_step for left, right in pairwise(buckets))


def test_the_newest_steps_of_a_long_run_are_kept_one_by_one(long_series):
    newest = list(long_series)[-NEWEST_POINTS:]
    assert [bucket.first_step for bucket in newest] == list(range(MILLION - NEWEST_POINTS + 1, MILLION + 1))
    assert len(long_series.columns(100, MILLION - 99, MILLION)) == 100
    assert None not in long_series.columns(100, MILLION - 99, MILLION)


@given(points=POINTS, cuts=st.lists(st.integers(0, 120)), drops=st.dictionaries(st.integers(0, 5), st.integers(0, 400)))
@settings(AT_ANY_SIZE, max_examples=80)
def test_many_at_once_are_the_same_as_one_by_one(small, points, cuts, drops):
    single, bulk = Series(), Series()
    borders = sorted({0, len(points), *(cut for cut in cuts if cut < len(points))})
    for number, (start, end) in enumerate(pairwise(borders)):
        piece = at_steps(points)[start:end]
        for step, value in piece:
            single.append(step, value)
        numbers = [math.nan if value is None else value for _, value in piece]
        bulk.extend(np.array([float(step) for step, _ in piece]), np.array(numbers))
        assert bulk == single
        if number in drops:
            single.drop_after(drops[number])
            bulk.drop_after(drops[number])
    assert bulk == single
    assert list(bulk) == list(single)


def test_two_series_that_differ_are_not_equal(small):
    points = [(step, float(step % 7)) for step in range(200)]
    assert filled(points) == filled(points)
    for other in (points[:-1], [*points[:-1], (199, None)], [(0, 9.0), *points[1:]], [(0, None), *points[1:]]):
        assert filled(points) != filled(other)


@AT_ANY_SIZE
@given(points=POINTS)
def test_bounds_sums_and_last_value_are_those_of_all_points(small, points):
    placed = at_steps(points)
    series, numbers = filled(placed), [value for _, value in known(placed)]
    buckets = list(series)
    assert min((bucket.low for bucket in buckets), default=None) == min(numbers, default=None)
    assert max((bucket.high for bucket in buckets), default=None) == max(numbers, default=None)
    assert sum(bucket.values for bucket in buckets) == len(numbers)
    assert sum(bucket.total for bucket in buckets) == pytest.approx(sum(numbers), abs=1)
    assert (series.last.last if series.last else None) == (numbers[-1] if numbers else None)
    assert len(series) == len(buckets) <= small


@AT_ANY_SIZE
@given(points=POINTS)
def test_each_bucket_is_the_summary_of_its_points(small, points):
    placed = at_steps(points)
    left = known(placed)
    for bucket in filled(placed):
        inside, left = left[: bucket.values], left[bucket.values :]
        assert bucket.first_step <= inside[0][0] <= inside[-1][0] <= bucket.last_step
        numbers = [value for _, value in inside]
        assert (bucket.low, bucket.high, bucket.last) == (min(numbers), max(numbers), numbers[-1])


@given(points=POINTS, count=st.integers(1, 60), first=st.integers(0, 300), width=st.integers(1, 400))
@settings(AT_ANY_SIZE, max_examples=80)
def test_every_spike_is_visible_at_any_zoom(small, points, count, first, width):
    """What happened in sight is within the bounds of the column of its bucket."""
    series, last = filled(at_steps(points)), first + width
    columns = series.columns(count, first, last)
    for bucket in series:
        if bucket.last_step >= first and bucket.first_step <= last:
            place = (bucket.first_step - first) * ((count - 1) / width)  # rounds as the drawing does
            low, high = columns[min(count - 1, max(0, int(place + 0.5)))]
            assert low <= bucket.low <= bucket.high <= high
    shown = [column for column in columns if column]
    bounds = [bucket for bucket in series if bucket.last_step >= first and bucket.first_step <= last]
    assert min((low for low, _ in shown), default=None) == min((bucket.low for bucket in bounds), default=None)
    assert max((high for _, high in shown), default=None) == max((bucket.high for bucket in bounds), default=None)


@AT_ANY_SIZE
@given(points=POINTS, count=st.integers(1, 60))
def test_a_gap_is_kept_and_seen_where_it_was(small, points, count):
    placed = at_steps(points)
    series, last = filled(placed), placed[-1][0] if placed else 1
    missing = [step for step, value in placed if value is None or not math.isfinite(value)]
    assert any(series.gaps(count, 0, last)) == bool(missing)
    assert all(series.gaps(1, step, step) == [True] for step in missing)
    if len(placed) < 2 * series_module.NEWEST_POINTS:
        scale = (count - 1) / max(1, last)
        places = {int(step * scale + 0.5) for step in missing}
        assert [place for place, is_gap in enumerate(series.gaps(count, 0, last)) if is_gap] == sorted(places)


@AT_ANY_SIZE
@given(points=POINTS, count=st.integers(1, 60))
def test_means_lie_between_the_bounds(small, points, count):
    series = filled(at_steps(points))
    for mean, column in zip(series.means(count, 0, 200), series.columns(count, 0, 200), strict=True):
        assert (mean is None) == (column is None)
        if mean and column:
            assert mean[0] == mean[1]
            assert column[0] - 1e-3 <= mean[0] <= column[1] + 1e-3


def test_means_weigh_each_value_alike(small):
    series = filled((step, 1.0 if step < 100 else 4.0) for step in range(150))
    assert series.means(1, 0, 150) == [(2.0, 2.0)]


@AT_ANY_SIZE
@given(points=POINTS, step=st.integers(-10, 900))
def test_the_nearest_bucket_is_found(small, points, step):
    series = filled(at_steps(points))
    found = series.nearest(step)
    distances = [abs((bucket.first_step + bucket.last_step) / 2 - step) for bucket in series]
    assert (found is None) == (not distances)
    if found:
        assert found in list(series)
        assert abs((found.first_step + found.last_step) / 2 - step) == min(distances)


@pytest.mark.parametrize("gap", [1, 10, 1000])
def test_memory_is_bounded_whatever_the_log_interval(gap):
    series = filled((step * gap, 1.0) for step in range(40_000))
    assert len(series) <= MAX_BUCKETS + 2 * NEWEST_POINTS
    assert series.last.last_step == 39_999 * gap


@AT_ANY_SIZE
@given(steps=st.lists(st.integers(-(2**63), 2**63), max_size=150), count=st.integers(1, 30))
@example(steps=[-1, 1] * 75, count=1)
def test_steps_in_any_order_take_bounded_memory_and_can_be_drawn(small, steps, count):
    """Somebody else may have written into the log."""
    series = filled((step, 1.0) for step in steps)
    assert len(series) <= small
    assert len(series.columns(count, 0, 10**6)) == len(series.means(count, 0, 10**6)) == count
    series.drop_after(0)
    assert series.nearest(5) is None or isinstance(series.nearest(5), Bucket)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_gap(value):
    assert len(filled([(1, value)])) == 0
    assert filled([(1, value)]).last is None
    series = filled([(1, 1.0), (2, value), (3, 3.0), (4, value)])
    assert [bucket.high for bucket in series] == [1.0, 3.0]
    assert series.last == Bucket(3, 3, 3.0, 3.0, 3.0, 3.0, 1)
    assert series.gaps(4, 1, 4) == [False, True, False, True]
    assert series.columns(4, 1, 4) == [(1.0, 1.0), None, (3.0, 3.0), None]


def test_sums_that_no_float_holds_have_no_mean(small):
    series = filled((step, 1.7e308) for step in range(100))
    assert series.means(1, 0, 100) == [None]
    assert series.columns(1, 0, 100) == [(1.7e308, 1.7e308)]


@AT_ANY_SIZE
@given(points=POINTS, resumed_from=st.integers(0, 700))
def test_what_was_dropped_is_gone(small, points, resumed_from):
    placed = at_steps(points)
    series = filled((step, 1.0 if step <= resumed_from else 99.0) for step, _ in placed)
    series.drop_after(resumed_from)
    assert all(bucket.high == bucket.last == 1.0 and bucket.last_step <= resumed_from for bucket in series)


def test_every_step_can_be_gone_back_to(small):
    for resumed_from in range(81):
        series = filled((step, 1.0 if step <= resumed_from else 99.0) for step in range(1, 81))
        series.drop_after(resumed_from)
        assert all(bucket.high == 1.0 and bucket.last_step <= resumed_from for bucket in series)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30_000), st.integers(0, 30_000))
def test_a_resume_costs_little_of_what_came_before_its_step(total, resumed_from):
    steps = np.arange(1.0, total + 1)
    series = Series()
    series.extend(steps, np.where(steps > resumed_from, 99.0, 1.0))
    series.drop_after(resumed_from)
    assert all(bucket.high == 1.0 for bucket in series)
    kept = series.last.last_step if series.last else 0
    assert min(total, resumed_from) - kept < max(1, 2 * total / MAX_BUCKETS)


def test_a_series_goes_on_after_a_resume_as_if_nothing_else_had_been():
    series = filled((step, 1.0) for step in range(1, 40_001))
    series.drop_after(10_001)
    for step in range(10_002, 40_001):
        series.append(step, 2.0)
    steps = [(bucket.first_step, bucket.last_step) for bucket in series]
    assert steps == sorted(steps)
    assert max(bucket.last_step for bucket in series) == 40_000
    assert {bucket.last for bucket in series} == {1.0, 2.0}


def test_columns_are_the_bounds_of_equal_spans():
    series = filled((step, float(step)) for step in range(9))
    assert series.columns(3, 0, 8) == [(0.0, 1.0), (2.0, 5.0), (6.0, 8.0)]
    assert series.columns(9, 0, 8) == [(float(step), float(step)) for step in range(9)]
    assert series.columns(1, 0, 8) == [(0.0, 8.0)]
    assert series.columns(2, 3, 5) == [(3.0, 3.0), (4.0, 5.0)]


def test_columns_without_points_are_empty():
    assert Series().columns(3, 0, 10) == Series().means(3, 0, 10) == [None, None, None]
    assert Series().gaps(2, 0, 10) == [False, False]
    assert filled([(5, 1.0)]).columns(3, 0, 10) == [None, (1.0, 1.0), None]
    assert filled([(5, 1.0)]).columns(2, 6, 10) == [None, None]
    empty = filled([(5, 1.0), (6, None)])
    assert empty.columns(0, 0, 10) == empty.means(0, 0, 10) == empty.gaps(0, 0, 10) == []
