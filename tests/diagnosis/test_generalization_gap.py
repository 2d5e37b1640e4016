from __future__ import annotations

import random
from itertools import groupby

import pytest

from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.generalization_gap import find_generalization_gap


def both(train_losses, val_losses) -> list[Evaluation]:
    return [Evaluation(100 * n, *losses) for n, losses in enumerate(zip(train_losses, val_losses, strict=True))]


def levels(evaluations) -> list[str | None]:
    held: list[str | None] = [None]
    for end in range(1, len(evaluations) + 1):
        advice = find_generalization_gap(evaluations[:end], held[-1])
        held.append(advice.level if advice else None)
    return [level for level, _ in groupby(held)]


TOGETHER = [7 - 0.3 * number for number in range(10)]
TRAIN = [*TOGETHER, *[4.3 - 0.15 * number for number in range(1, 11)]]
LEVEL = [*TOGETHER, *[4.3] * 10]


def test_a_growing_gap_is_a_note():
    assert levels(both(TRAIN, LEVEL)) == [None, "note"]


def test_falling_together_is_none_however_wide_the_gap():
    assert levels(both(TRAIN, [loss + 1.0 for loss in TRAIN])) == [None]
    assert levels(both(TRAIN, [4.3 + 0.4 * (loss - 4.3) for loss in TRAIN])) == [None]


def test_level_together_is_none():
    assert levels(both(LEVEL, [loss + 1 for loss in LEVEL])) == [None]


def test_a_slow_fall_of_the_training_loss_is_not_enough():
    """Below 5 % of the loss in the window."""
    level = [4.3] * 10
    assert levels(both([3.0 - 0.03 * number for number in range(10)], level)) == [None]
    assert levels(both([3.0 - 0.04 * number for number in range(10)], level)) == [None, "note"]


def test_a_quarter_of_the_steps_is_looked_at():
    """Looked at often, the last five evaluations alone are too short to fall by 5 %."""
    trains = [4 - 0.02 * number for number in range(60)]
    assert levels(both(trains, [4.3] * 60)) == [None, "note"]


def test_one_window_is_not_enough():
    """The first five evaluations that are level end at step 1,300."""
    first = next(n for n in range(21) if find_generalization_gap(both(TRAIN, LEVEL)[:n]))
    assert both(TRAIN, LEVEL)[first - 1].step == 1400


def test_it_clears_when_the_validation_loss_follows_again():
    following = [4.3 - 0.1 * number for number in range(1, 9)]
    trains = [*TRAIN, *[2.8 - 0.15 * number for number in range(1, 9)]]
    assert levels(both(trains, [*LEVEL, *following])) == [None, "note", None]


def test_it_needs_less_to_stay_than_to_come():
    """The validation loss falls by a sixth of what the training loss falls."""
    some = both([5 - 0.15 * n for n in range(8)], [5 - 0.025 * n for n in range(8)])
    assert find_generalization_gap(some) is None
    assert find_generalization_gap(some, "note")
    more = both([5 - 0.15 * n for n in range(8)], [5 - 0.045 * n for n in range(8)])
    assert find_generalization_gap(more, "note") is None


def test_noise_of_the_validation_loss_hides_whether_it_follows():
    """The training loss falls by 0.3 in a window: more than eight deviations of 0.03, less than those of 0.1."""
    trains = [4 - 0.075 * number for number in range(12)]

    def zigzag(height):
        return [4.3 + height * (number % 2) for number in range(12)]

    assert levels(both(trains, zigzag(0.02))) == [None, "note"]
    assert levels(both(trains, zigzag(0.05))) == [None]


@pytest.mark.parametrize(("following", "level"), [(0.08, "note"), (0.12, None)])
def test_a_tenth_of_the_fall_is_following(following, level):
    trains = [5 - 0.15 * number for number in range(12)]
    assert levels(both(trains, [5 - following * (5 - loss) for loss in trains]))[-1] == level


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_noise_on_a_healthy_fall_is_no_gap(noise):
    raised = 0
    for seed in range(100):
        chance = random.Random(seed)
        trains = [3 + 4 * 0.93**n + chance.gauss(0, noise) for n in range(60)]
        vals = [4 + 3 * 0.93**n + chance.gauss(0, noise) for n in range(60)]
        raised += levels(both(trains, vals)) != [None]
    assert raised <= 2


def test_evidence_and_remedy():
    advice = find_generalization_gap(both(TRAIN, LEVEL))
    assert advice.evidence == "since step 1,500 train fell 0.60 and val fell 0.00: the gap grew from 0.90 to 1.50"
    assert all(word in advice.remedy for word in ("dropout", "weight decay", "early stopping", "조기 종료"))
    assert advice.values["gap"] == pytest.approx(1.5)
    assert advice.values["since_step"] == 1500
    rising = find_generalization_gap(both(TRAIN, [*LEVEL[:-1], 4.4]))
    assert "val rose 0.10" in rising.evidence
