from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor.eta import ENOUGH_STEPS, RECENT_STEPS, Pace


def paced(step_seconds: float = 1.0, steps: int = ENOUGH_STEPS, evaluation: float = 0.0, save: float = 0.0) -> Pace:
    pace = Pace()
    for _ in range(steps):
        pace.add_step(step_seconds)
    if evaluation:
        pace.add_evaluation(evaluation)
    if save:
        pace.add_save(save)
    return pace


def evaluations_after(step: int, max_steps: int, interval: int, steps_per_epoch: int) -> int:
    """Counted one by one, by the rule of the configuration."""
    return sum(
        late % interval == 0 or late % steps_per_epoch == 0 or late == max_steps
        for late in range(step + 1, max_steps + 1)
    )


def test_too_little_is_not_an_estimate():
    assert paced(steps=ENOUGH_STEPS - 1).seconds_left(4, 100, 10, 50.0) is None
    assert paced().seconds_left(5, 100, 1000, 1000.0) == pytest.approx(95.0)


def test_evaluations_and_saves_count():
    assert paced(evaluation=10.0).seconds_left(0, 100, 25, 1000.0) == pytest.approx(100 + 4 * 10)
    assert paced(evaluation=10.0, save=2.0).seconds_left(0, 100, 25, 1000.0) == pytest.approx(100 + 4 * 12)
    assert paced(evaluation=10.0).seconds_left(0, 100, 1000, 50.0) == pytest.approx(100 + 2 * 10)


def test_the_evaluation_after_the_last_step_counts():
    assert paced(evaluation=10.0).seconds_left(0, 110, 25, 1000.0) == pytest.approx(110 + 5 * 10)
    assert paced(evaluation=10.0).seconds_left(109, 110, 25, 1000.0) == pytest.approx(1 + 10)


@given(st.integers(0, 400), st.integers(1, 400), st.integers(1, 120), st.integers(1, 150))
def test_it_counts_the_evaluations_that_will_be(step, max_steps, interval, steps_per_epoch):
    """Only one that falls on an epoch's end as well is counted twice."""
    pace = paced(step_seconds=1e-9, evaluation=1.0)
    counted = round(pace.seconds_left(step, max_steps, interval, float(steps_per_epoch)))
    expected = evaluations_after(step, max_steps, interval, steps_per_epoch)
    both = sum(late % interval == 0 and late % steps_per_epoch == 0 for late in range(step + 1, max_steps + 1))
    assert expected <= counted <= expected + both


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(1, 10**6), st.just(0.0) | st.floats(1e-6, 1e7))
def test_it_is_never_negative(step, max_steps, interval, steps_per_epoch):
    left = paced(evaluation=1.0, save=1.0).seconds_left(step, max_steps, interval, steps_per_epoch)
    assert left >= 0
    if step >= max_steps:
        assert left == 0


def test_only_the_recent_steps_tell():
    pace = paced(step_seconds=100.0)
    for _ in range(RECENT_STEPS):
        pace.add_step(2.0)
    assert pace.seconds_left(55, 100, 1000, 1000.0) == pytest.approx(90.0)


def test_one_slow_step_does_not_shake_the_speed():
    pace = paced(step_seconds=0.5, steps=9)
    pace.add_step(60.0)
    assert pace.tokens_per_second(256) == pytest.approx(512.0)
    assert Pace().tokens_per_second(256) is None


@pytest.mark.parametrize("slow", [3.0, 60.0, 3600.0])
@pytest.mark.parametrize("steps", [ENOUGH_STEPS, 12, RECENT_STEPS])
def test_one_slow_step_does_not_shake_the_time_left(slow, steps):
    """A process that was stopped, a laptop that slept."""
    pace = paced(steps=steps - 1)
    pace.add_step(slow)
    assert pace.seconds_left(50, 1050, 10_000, 10_000.0) == pytest.approx(1000.0)


def test_nor_does_one_slow_evaluation_or_save():
    pace = paced(evaluation=10.0, save=2.0)
    calm = pace.seconds_left(0, 100, 25, 1000.0)
    pace.add_evaluation(70.0)
    pace.add_save(70.0)
    assert pace.seconds_left(0, 100, 25, 1000.0) == calm


def test_steps_that_are_slow_time_and_again_count():
    pace = Pace()
    for number in range(RECENT_STEPS):
        pace.add_step(2.0 if number % 10 == 0 else 1.0)
    assert pace.seconds_left(50, 1050, 10_000, 10_000.0) == pytest.approx(1100.0, rel=0.04)
