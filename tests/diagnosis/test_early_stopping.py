from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.diagnosis import evaluations_without_gain

LOSSES = st.lists(st.floats(0, 20), max_size=40)
DELTAS = st.floats(0, 2)


@pytest.mark.parametrize(
    ("val_losses", "min_delta", "without_gain"),
    [
        ([], 0.0, 0),
        ([5.0], 0.0, 0),
        ([5.0, 4.0], 0.0, 0),
        ([5.0, 5.0], 0.0, 1),
        ([5.0, 4.0, 4.5, 4.2], 0.0, 2),
        ([5.0, 4.0, 4.5, 3.9], 0.0, 0),
        ([5.0, 4.5], 0.5, 1),
        ([5.0, 4.49], 0.5, 0),
    ],
)
def test_examples(val_losses, min_delta, without_gain):
    assert evaluations_without_gain(val_losses, min_delta) == without_gain


def test_small_gains_add_up():
    """The loss to beat stays where it was, so that a slow fall is a gain in the end."""
    assert [evaluations_without_gain([5.0, 4.7, 4.4, 4.1][:end], 0.8) for end in range(1, 5)] == [0, 1, 2, 0]


@given(LOSSES, DELTAS)
def test_it_counts_as_the_description_says(val_losses, min_delta):
    """Looked at from the end: the last gain is the last loss that beat the gain before it."""
    gains = [0] if val_losses else []
    for index in range(1, len(val_losses)):
        if val_losses[index] < val_losses[gains[-1]] - min_delta:
            gains.append(index)
    expected = len(val_losses) - 1 - gains[-1] if gains else 0
    assert evaluations_without_gain(val_losses, min_delta) == expected


@given(st.lists(st.floats(0, 20), min_size=1, max_size=40), DELTAS)
def test_a_clear_new_low_is_a_gain(val_losses, min_delta):
    assert evaluations_without_gain([*val_losses, min(val_losses) - min_delta - 0.001], min_delta) == 0


@given(st.lists(st.floats(0, 20), min_size=1, max_size=40), DELTAS)
def test_a_loss_as_high_as_the_highest_is_none(val_losses, min_delta):
    before = evaluations_without_gain(val_losses, min_delta)
    assert evaluations_without_gain([*val_losses, max(val_losses)], min_delta) == before + 1
