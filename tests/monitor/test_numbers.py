from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor import numbers

TABLE = [
    (numbers.whole, 1240, "1,240"),
    (numbers.whole, 0, "0"),
    (numbers.short, 0, "0"),
    (numbers.short, 999, "999"),
    (numbers.short, 999.6, "1.00 k"),
    (numbers.short, 1234, "1.23 k"),
    (numbers.short, 9996, "10.0 k"),
    (numbers.short, 18_400, "18.4 k"),
    (numbers.short, 99_960, "100 k"),
    (numbers.short, 999_499, "999 k"),
    (numbers.short, 999_500, "1.00 M"),
    (numbers.short, 124_439_808, "124 M"),
    (numbers.short, 3e11, "300 G"),
    (numbers.short, -1500, "-1.50 k"),
    (numbers.size, 0, "0 B"),
    (numbers.size, 999, "999 B"),
    (numbers.size, 1000, "1.00 kB"),
    (numbers.size, 412_000_000, "412 MB"),
    (numbers.loss, 4.0114, "4.011"),
    (numbers.loss, 0, "0.000"),
    (numbers.perplexity, 1.0, "1.00"),
    (numbers.perplexity, 55.198, "55.20"),
    (numbers.perplexity, 99.996, "100.0"),
    (numbers.perplexity, 520.23, "520.2"),
    (numbers.perplexity, 999.96, "1,000"),
    (numbers.perplexity, 1041.6, "1,042"),
    (numbers.perplexity, 9999.6, "10.0 k"),
    (numbers.perplexity, 50_257, "50.3 k"),
    (numbers.percent, 0.412, "41.2 %"),
    (numbers.percent, 1, "100.0 %"),
    (numbers.rate, 0.00021, "2.1e-4"),
    (numbers.rate, 1e-3, "1.0e-3"),
    (numbers.rate, 9.96e-4, "1.0e-3"),
    (numbers.rate, 0, "0"),
    (numbers.rate, 1.0, "1.0e0"),
    (numbers.duration, 0, "0 s"),
    (numbers.duration, -5, "0 s"),
    (numbers.duration, 21.4, "21 s"),
    (numbers.duration, 59.6, "1 min 00 s"),
    (numbers.duration, 200, "3 min 20 s"),
    (numbers.duration, 3599.7, "1 h 00 min"),
    (numbers.duration, 3840, "1 h 04 min"),
    (numbers.duration, 183_600, "2 d 03 h"),
]
ALL = [
    numbers.whole,
    numbers.short,
    numbers.size,
    numbers.loss,
    numbers.perplexity,
    numbers.percent,
    numbers.rate,
    numbers.duration,
]


@pytest.mark.parametrize(("show", "value", "text"), TABLE)
def test_a_number_as_people_read_it(show, value, text):
    assert show(value) == text


@pytest.mark.parametrize("show", ALL, ids=lambda show: show.__name__)
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash_everywhere(show, value):
    assert show(value) == numbers.UNKNOWN


@given(st.floats(0, 9.99e14))
def test_short_numbers_never_take_more_than_six_cells(value):
    assert len(numbers.short(value)) <= 6


@given(st.floats(0.99, 1e12))
def test_a_perplexity_fits_its_column(value):
    assert len(numbers.perplexity(value)) <= 6


def test_a_number_too_large_for_a_float_is_not_known():
    assert {show(10**400) for show in (numbers.whole, numbers.short, numbers.size, numbers.duration)} == {"–"}


def test_a_perplexity_beyond_all_units_stays_short():
    assert [numbers.perplexity(value) for value in (9.994e14, 9.996e14, 6.01e26, 5.7e54)] == [
        "999 T",
        "1.0e15",
        "6.0e26",
        "5.7e54",
    ]
