from __future__ import annotations

import random

import pytest
from replays import advice_on, changes, evaluation, step

from tui_trainer.diagnosis import Diagnosis
from tui_trainer.diagnosis.divergence import find_divergence
from tui_trainer.diagnosis.steps import Steps
from tui_trainer.diagnosis.trouble import Trouble
from tui_trainer.events import RolledBack, StepSkipped

NOISE = 0.1


def losses(count: int, start: float = 7.0, end: float = 4.0, noise: float = NOISE, seed: int = 1) -> list[float]:
    """A healthy fall with the noise of single batches around it."""
    chance = random.Random(seed)
    return [end + (start - end) * 0.98**number + chance.gauss(0, noise) for number in range(count)]


def found(train_losses) -> list[tuple[int, str, str]]:
    return changes(advice_on(step(number, loss) for number, loss in enumerate(train_losses, 1)))


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3, 0.6])
def test_a_healthy_fall_and_a_long_level_end_raise_nothing(noise):
    for seed in range(10):
        assert found(losses(4000, noise=noise, seed=seed)) == []


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_short_spike_raises_nothing(length):
    assert found(losses(300) + [4.0 + 8 * NOISE] * length + losses(100, start=4.0, seed=2)) == []


@pytest.mark.parametrize("height", [7 * NOISE, 4.5])
def test_five_steps_of_a_spike_are_a_warning_that_clears(height):
    """Above six deviations, and above twice the lowest loss."""
    calm, after = losses(300), losses(100, start=4.0, seed=2)
    raised, *_, cleared = found(calm + [4.0 + height] * 5 + after)
    assert raised[0] <= 305
    assert raised[1:] in [("divergence", "warning"), ("divergence", "wrong")]
    assert cleared[1:] == ("divergence", "")
    assert 305 < cleared[0] < 340


def test_five_steps_of_four_deviations_are_no_spike():
    assert found(losses(300, noise=0.0) + losses(300, start=4.0) + [4.0 + 4 * NOISE] * 5 + losses(100, start=4.0)) == []


@pytest.mark.parametrize(("height", "is_raised"), [(0.08, False), (0.13, True)])
def test_less_than_a_tenth_of_a_nat_is_no_spike(height, is_raised):
    """Of losses without noise, so that six deviations are nothing."""
    assert bool(found([4.0] * 100 + [4.0 + height] * 6 + [4.0] * 20)) == is_raised


@pytest.mark.parametrize(("share", "is_raised"), [(0.017, False), (0.023, True)])
def test_less_than_two_percent_of_the_loss_is_no_rise(share, is_raised):
    steps = Steps()
    for number, loss in enumerate([4.0] * 100 + [4.0 * (1 + share)] * 100, 1):
        steps.add(step(number, loss))
    assert (steps.rise > steps.margin) == is_raised


def test_the_noise_is_the_deviation_of_a_step():
    steps, chance = Steps(), random.Random(1)
    for number in range(1, 2001):
        steps.add(step(number, 4.0 + chance.gauss(0, NOISE)))
    assert steps.noise == pytest.approx(NOISE, rel=0.25)
    steps.add(step(2001, 9.0))
    assert steps.noise == pytest.approx(NOISE, rel=0.3)


def test_twice_the_loss_counts_before_the_noise_is_known():
    assert found([7.0, 6.9, *[15.0] * 5])[0][0] <= 7


def test_a_lasting_rise_is_a_warning_and_a_far_one_wrong():
    rise = [4.0 + 0.02 * number + random.Random(number).gauss(0, NOISE) for number in range(150)]
    assert [(rule, level) for _, rule, level in found(losses(300) + rise)] == [
        ("divergence", "warning"),
        ("divergence", "wrong"),
    ]


@pytest.mark.parametrize(("rise", "level"), [(0.9, "warning"), (1.2, "wrong")])
def test_one_nat_is_far(rise, level):
    up = losses(100, start=4 + rise, end=4 + rise, noise=0.02, seed=3)
    assert found(losses(300, noise=0.02) + up)[-1][1:] == ("divergence", level)


def test_wrong_needs_less_to_stay_than_to_come():
    """Of one nat, half."""
    up = losses(60, start=5.3, end=5.3, noise=0.02, seed=3)
    assert found(losses(300, noise=0.02) + up + losses(60, start=4.7, end=4.7, noise=0.02))[-1][2] == "wrong"
    assert found(losses(300, noise=0.02) + up + losses(60, start=4.4, end=4.4, noise=0.02))[-1][2] == "warning"


@pytest.mark.parametrize(("smoothed", "stays"), [(4.21, True), (4.19, False)])
def test_half_of_the_margin_clears(smoothed, stays):
    """The margin is four deviations: 0.4."""
    steps = Steps(count=100, first_loss=7.0, smoothed_loss=smoothed, lowest_loss=4.0, noise=NOISE)
    assert (find_divergence(steps, Trouble(), "warning") is not None) == stays
    assert find_divergence(steps, Trouble()) is None


def test_it_clears_after_a_recovery_and_does_not_flicker():
    """Up by four deviations for long, then back."""
    up = losses(200, start=4.0 + 5 * NOISE, end=4.0 + 5 * NOISE, seed=3)
    assert [level for _, _, level in found(losses(300) + up + losses(200, start=4.2, seed=4))] == ["warning", ""]


def test_a_rise_that_falls_back_only_in_part_stays():
    """What raised it was above four deviations; three of them are left."""
    up = losses(100, start=4.5, end=4.5, seed=3) + losses(300, start=4.3, end=4.3, seed=4)
    assert [level for _, _, level in found(losses(600) + up)] == ["warning"]


def test_a_text_known_by_heart_has_losses_that_double_over_nothing():
    assert found([0.01, 0.03] * 200) == []


def test_the_evidence_has_the_figures():
    advice = advice_on(step(number, 4.0 if number <= 50 else 8.0) for number in range(1, 60))[0]
    assert advice.evidence.startswith("train loss 5.64 is 1.64 above its lowest 4.00 (step ")
    assert advice.evidence.endswith("; the first step had 4.00")
    assert all(word in advice.remedy for word in ("learning rate", "학습률", "clipping", "그래디언트 클리핑"))
    assert advice.values["rise"] == pytest.approx(1.638, abs=0.01)


def test_one_skipped_step_is_a_note_and_two_are_a_warning():
    skips = [StepSkipped(101, "non_finite", None, None), StepSkipped(103, "non_finite", 5.0, None)]
    diagnosis = Diagnosis()
    advice_on((step(number, 4.0) for number in range(1, 101)), diagnosis)
    note = advice_on(skips[:1], diagnosis)[0]
    assert (note.rule, note.level, note.step) == ("divergence", "note", 101)
    assert note.evidence == (
        "the update to step 101 was skipped: loss not finite, gradient norm not finite; skipped once of late"
    )
    warning = advice_on([step(101, 4.0), step(102, 4.0), *skips[1:]], diagnosis)[0]
    assert warning.level == "warning"
    assert "loss 5, gradient norm not finite; skipped 2 times" in warning.evidence
    good = changes(advice_on((step(number, 4.0) for number in range(103, 200)), diagnosis))
    assert good == [(123, "divergence", "")]


def test_an_overflow_of_half_precision_is_no_news():
    assert advice_on([StepSkipped(7, "overflow", 4.0, None, 512.0)]) == []


def rolled_back(to: int, since: int) -> RolledBack:
    return RolledBack(to, since, "3 steps in a row were not finite", 0.5)


def test_a_roll_back_is_raised_with_its_figures_and_clears_beyond_where_it_came_from():
    diagnosis = Diagnosis()
    advice_on((step(number, 4.0) for number in range(1, 141)), diagnosis)
    advice = advice_on([rolled_back(100, 140)], diagnosis)
    assert [(each.rule, each.level, each.step) for each in advice] == [("divergence", "warning", 100)]
    assert advice[0].evidence == (
        "went back from step 140 to 100: 3 steps in a row were not finite; the learning rate is now 0.5 of what was "
        "planned"
    )
    assert changes(advice_on((step(number, 4.0) for number in range(101, 200)), diagnosis)) == [(160, "divergence", "")]


def test_a_second_roll_back_soon_after_is_wrong():
    diagnosis = Diagnosis()
    advice_on([*(step(number, 4.0) for number in range(1, 141)), rolled_back(100, 140)], diagnosis)
    advice_on((step(number, 4.0) for number in range(101, 150)), diagnosis)
    assert advice_on([rolled_back(100, 149)], diagnosis)[-1].level == "wrong"


def test_skips_and_roll_backs_are_said_each_time_with_their_figures():
    diagnosis = Diagnosis()
    skips = [StepSkipped(number, "non_finite", None, None) for number in (5, 6, 7)]
    advice = advice_on([*skips, rolled_back(4, 7)], diagnosis)
    assert [(each.level, each.evidence.split(":")[0]) for each in advice] == [
        ("note", "the update to step 5 was skipped"),
        ("warning", "the update to step 6 was skipped"),
        ("warning", "the update to step 7 was skipped"),
        ("warning", "went back from step 7 to 4"),
    ]


def test_a_roll_back_clears_what_came_of_the_steps_that_never_happened():
    overfits = [evaluation(20 * n, 5 - 0.3 * n, 4 + 0.6 * max(0, n - 3)) for n in range(8)]
    diagnosis = Diagnosis()
    assert "overfitting" in {each.rule for each in advice_on(overfits, diagnosis)}
    assert [(each.rule, each.step) for each in advice_on([rolled_back(40, 140)], diagnosis)] == [
        ("overfitting", 40),
        ("divergence", 40),
    ]
