from __future__ import annotations

import math
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.monitor.history import MAX_BUCKETS, Series

MILLION = 1_000_000


@pytest.fixture(scope="module")
def long_series() -> Series:
    """A million points on a level, with spikes up and down among them."""
    series = Series()
    for step in range(1, MILLION + 1):
        series.append(step, 1.0)
        if step % 99_991 == 0:
            series.append(step, step / 10)
            series.append(step, -step / 10)
    return series


def filled(points) -> Series:
    series = Series()
    for step, value in points:
        series.append(step, value)
    return series


def test_every_spike_of_a_million_points_is_kept_where_it_was(long_series):
    for spike in range(99_991, MILLION, 99_991):
        bucket = next(bucket for bucket in long_series if bucket.first_step <= spike <= bucket.last_step)
        assert (bucket.low, bucket.high) == (-spike / 10, spike / 10)
        assert bucket.last_step - bucket.first_step < MILLION / 1000


def test_a_million_points_take_bounded_memory(long_series):
    assert MAX_BUCKETS // 2 < len(long_series) <= MAX_BUCKETS == 4096
    assert sum(sys.getsizeof(bucket) for bucket in long_series) < 1_000_000


def test_buckets_follow_each_other_and_end_at_the_newest(long_series):
    buckets = list(long_series)
    assert buckets[0].first_step == 1
    assert buckets[-1].last_step == MILLION
    assert all(left.last_step + 1 == right.first_step for left, right in pairwise(buckets))


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(1, 5000))
def test_bounds_and_last_value_are_those_of_all_points(values, gap):
    series = filled((number * gap, value) for number, value in enumerate(values))
    assert min(bucket.low for bucket in series) == min(values)
    assert max(bucket.high for bucket in series) == max(values)
    assert series.last.last == values[-1]
    assert len(series) <= MAX_BUCKETS


@pytest.mark.parametrize("gap", [1, 10, 1000])
def test_memory_is_bounded_whatever_the_log_interval(gap):
    series = filled((step * gap, 1.0) for step in range(20_000))
    assert len(series) <= MAX_BUCKETS
    assert series.last.last_step == 19_999 * gap


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_gap(value):
    assert len(filled([(1, value)])) == 0
    assert filled([(1, value)]).last is None
    assert [bucket.high for bucket in filled([(1, 1.0), (2, value), (3, 3.0)])] == [1.0, 3.0]


@settings(max_examples=30)
@given(st.integers(1, 30_000), st.integers(0, 30_000))
def test_nothing_that_came_after_a_resumed_step_survives(total, resumed_from):
    series = filled((step, 99.0 if step > resumed_from else 1.0) for step in range(1, total + 1))
    series.drop_after(resumed_from)
    assert all(bucket.high == bucket.last == 1.0 for bucket in series)
    assert all(bucket.last_step <= resumed_from for bucket in series)
    kept = series.last.last_step if series.last else 0
    assert min(total, resumed_from) - kept < max(1, 2 * total / MAX_BUCKETS)


def test_a_series_goes_on_after_a_resume_as_if_nothing_else_had_been():
    series = filled((step, 1.0) for step in range(1, 20_001))
    series.drop_after(10_001)
    for step in range(10_002, 20_001):
        series.append(step, 2.0)
    steps = [(bucket.first_step, bucket.last_step) for bucket in series]
    assert steps == sorted(steps)
    assert max(bucket.last_step for bucket in series) == 20_000
    assert {bucket.last for bucket in series} == {1.0, 2.0}


def test_columns_are_the_bounds_of_equal_spans():
    series = filled((step, float(step)) for step in range(9))
    assert series.columns(3, 0, 8) == [(0.0, 1.0), (2.0, 5.0), (6.0, 8.0)]
    assert series.columns(9, 0, 8) == [(float(step), float(step)) for step in range(9)]
    assert series.columns(1, 0, 8) == [(0.0, 8.0)]
    assert series.columns(2, 3, 5) == [(3.0, 3.0), (4.0, 5.0)]


def test_columns_without_points_are_empty():
    assert Series().columns(3, 0, 10) == [None, None, None]
    assert filled([(5, 1.0)]).columns(3, 0, 10) == [None, (1.0, 1.0), None]
    assert filled([(5, 1.0)]).columns(2, 6, 10) == [None, None]
    assert filled([(5, 1.0)]).columns(0, 0, 10) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 50))
def test_no_point_is_lost_between_columns(values, count):
    columns = filled(enumerate(values)).columns(count, 0, len(values) - 1)
    assert min(column[0] for column in columns if column) == min(values)
    assert max(column[1] for column in columns if column) == max(values)
