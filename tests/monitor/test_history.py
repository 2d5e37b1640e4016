from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor.history import MAX_MARKS, History, Marks

STEPS = st.integers(-(2**63), 2**63)


def marked(steps) -> Marks:
    marks = Marks()
    for step in steps:
        marks.add("checkpoint", step)
    return marks


def test_marks_are_kept_by_their_kind_in_their_order():
    marks = marked([1, 5, 9])
    marks.add("resume", 5)
    assert (marks.steps("checkpoint"), marks.steps("resume"), marks.steps("roll_back")) == ([1, 5, 9], [5], [])
    marks.drop_after(5)
    assert (marks.steps("checkpoint"), marks.steps("resume")) == ([1, 5], [5])


def test_many_marks_are_thinned_evenly_and_the_newest_is_always_there():
    marks = Marks()
    for step in range(0, 1_000_000, 10):
        marks.add("checkpoint", step)
        assert marks.steps("checkpoint")[-1] == step
    steps = marks.steps("checkpoint")
    assert MAX_MARKS // 4 < len(steps) <= MAX_MARKS
    assert steps == sorted(set(steps))
    assert max(later - earlier for earlier, later in pairwise([0, *steps])) <= 8 * 1_000_000 / MAX_MARKS


@given(st.lists(STEPS, min_size=1, max_size=20))
def test_marks_at_any_steps_take_bounded_memory(steps):
    marks = marked(steps * (MAX_MARKS // len(steps) + 2))
    assert len(marks.steps("checkpoint")) <= MAX_MARKS
    assert marks.steps("checkpoint")[-1] in steps


def test_the_clipped_share_is_that_of_the_newest_steps():
    history = History()
    assert history.clipped_share is None
    for number in range(1, 251):
        history.clip_rate.append(number, number > 225)
    assert history.clipped_share == pytest.approx(0.25)
    history.drop_after(225)
    assert history.clipped_share == 0.0
