from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tui_trainer.config import TrainingConfig
from tui_trainer.lr_schedule import describe_change, make_schedule, settle_warmup

SHAPES = ("cosine", "wsd", "linear", "constant")
STEPS = st.integers(1, 3000)


def rates(max_steps: int, **training) -> list[float]:
    """The rate of each step; the first item is that of step 1."""
    schedule = make_schedule(TrainingConfig(**training), max_steps)
    return [schedule(step) for step in range(1, max_steps + 1)]


@given(st.sampled_from(SHAPES), STEPS, st.none() | st.integers(0, 4000), st.sampled_from([0.0, 1e-5, 1e-3, None]))
def test_every_shape_climbs_to_the_peak_and_never_rises_again(shape, max_steps, warmup, floor):
    curve = rates(max_steps, schedule=shape, warmup_steps=warmup, min_learning_rate=floor, learning_rate=1e-3)
    top = curve.index(max(curve))
    assert curve[0] > 0
    assert curve[top] == pytest.approx(1e-3, rel=1e-12)
    assert all(before < after for before, after in pairwise(curve[: top + 1]))
    assert all(before >= after for before, after in pairwise(curve[top:]))


@given(STEPS, st.integers(1, 3000))
def test_the_warm_up_is_linear_and_starts_above_0(max_steps, warmup):
    assume(warmup <= max_steps)
    curve = rates(max_steps, warmup_steps=warmup, learning_rate=2e-3, min_learning_rate=0.0)
    for step in range(1, warmup + 1):
        assert curve[step - 1] == pytest.approx(2e-3 * step / warmup, rel=1e-12)


@pytest.mark.parametrize("shape", ["cosine", "wsd", "linear"])
@pytest.mark.parametrize("floor", [0.0, 2e-5, None])
@given(max_steps=st.integers(2, 2000))
def test_the_last_step_is_at_the_floor(shape, floor, max_steps):
    curve = rates(max_steps, schedule=shape, warmup_steps=1, min_learning_rate=floor, learning_rate=1e-3)
    assert curve[-1] == pytest.approx(1e-4 if floor is None else floor, abs=1e-15)


@given(st.integers(0, 50), st.integers(51, 600), st.sampled_from([0.0, 1e-4]))
def test_cosine_is_the_curve_of_the_paper(warmup, max_steps, floor):
    curve = rates(max_steps, warmup_steps=warmup, learning_rate=1e-3, min_learning_rate=floor)
    start = max(1, warmup)
    for step in range(start, max_steps + 1):
        angle = math.pi * (step - start) / (max_steps - start)
        assert curve[step - 1] == pytest.approx(floor + (1e-3 - floor) * (1 + math.cos(angle)) / 2, abs=1e-15)


def test_wsd_is_level_until_its_last_part_and_linear_there():
    curve = rates(100, schedule="wsd", warmup_steps=10, decay_fraction=0.2, learning_rate=1.0, min_learning_rate=0.0)
    assert curve[9:80] == [1.0] * 71
    assert curve[80:] == pytest.approx([1 - step / 20 for step in range(1, 21)])


def test_constant_stays_at_the_peak():
    assert set(rates(50, schedule="constant", warmup_steps=5)[4:]) == {3e-4}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("warmup", [None, 0, 1, 7])
def test_the_only_step_of_a_run_is_at_the_peak(shape, warmup):
    assert rates(1, schedule=shape, warmup_steps=warmup, min_learning_rate=0.0) == [3e-4]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_that_is_all_warm_up_ends_at_the_peak(shape):
    assert rates(20, schedule=shape, warmup_steps=20)[-1] == 3e-4
    assert rates(20, schedule=shape, warmup_steps=500)[-1] == 3e-4


def test_the_warm_up_that_is_left_out_is_a_twentieth_and_at_most_200_steps():
    assert make_schedule(TrainingConfig(), 1000).warmup_steps == 50
    assert make_schedule(TrainingConfig(), 1_000_000).warmup_steps == 200


def test_steps_outside_of_the_run_have_the_rates_of_its_ends():
    schedule = make_schedule(TrainingConfig(), 100)
    assert schedule(0) == schedule(-5) == schedule(1)
    assert schedule(101) == schedule(10**9) == schedule(100)


@given(st.sampled_from(SHAPES), STEPS, st.floats(0.01, 1.0))
def test_a_wsd_run_is_stable_until_its_decay_and_no_other_has_such_a_place(shape, max_steps, share):
    schedule = make_schedule(TrainingConfig(schedule=shape, decay_fraction=share, learning_rate=1e-3), max_steps)
    if shape != "wsd":
        assert schedule.stable_until is None
        return
    assert schedule(schedule.stable_until) == pytest.approx(1e-3) or schedule.stable_until < schedule.warmup_steps
    longer = make_schedule(
        TrainingConfig(schedule=shape, decay_fraction=share, warmup_steps=schedule.warmup_steps, learning_rate=1e-3),
        2 * max_steps,
    )
    assert all(schedule(step) == longer(step) for step in range(1, schedule.stable_until + 1))


def test_a_longer_plan_is_told_with_both_rates():
    config = TrainingConfig(learning_rate=1e-3, warmup_steps=10)
    told = describe_change(make_schedule(config, 1000), make_schedule(config, 2000), 1000)
    assert told == (
        "the cosine schedule is planned anew over 2,000 steps: at step 1,001 the rate goes from 0.0001 to 0.00055"
    )


def test_a_plan_that_goes_on_smoothly_is_not_told():
    config = TrainingConfig(learning_rate=1e-3, warmup_steps=10, schedule="constant")
    assert describe_change(make_schedule(config, 1000), make_schedule(config, 2000), 1000) == ""


@pytest.mark.parametrize(("max_steps", "expected"), [(1, 1), (20, 1), (21, 2), (1000, 50), (4000, 200), (10**6, 200)])
def test_the_warm_up_is_a_twentieth_of_the_run(max_steps, expected):
    assert settle_warmup(TrainingConfig(), max_steps) == expected
    assert settle_warmup(TrainingConfig(warmup_steps=7), max_steps) == 7
