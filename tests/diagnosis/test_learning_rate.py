from __future__ import annotations

import random
from itertools import groupby

import pytest

from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.learning_rate import find_high_learning_rate, find_low_learning_rate

BASELINE = 6.35


def curve(val_losses, peak=1e-3, rates=None) -> list[Evaluation]:
    """Evaluations each 10 steps: a warm-up over the first two, then the peak."""
    rates = rates or [None, peak / 2, *[peak] * len(val_losses)]
    return [Evaluation(10 * n, loss - 0.1, loss, rates[n]) for n, loss in enumerate(val_losses)]


def levels(find, evaluations, max_steps=400, baseline=BASELINE) -> list[str | None]:
    held: list[str | None] = [None]
    for end in range(1, len(evaluations) + 1):
        advice = find(evaluations[:end], max_steps, baseline, held[-1])
        held.append(advice.level if advice else None)
    return [level for level, _ in groupby(held)]


def high(evaluations, **settings):
    return levels(find_high_learning_rate, evaluations, **settings)


def low(evaluations, **settings):
    return levels(find_low_learning_rate, evaluations, **settings)


HEALTHY = [7.6, 6.8, 6.5, *[6.4 - 0.05 * number for number in range(38)]]
STUCK = [7.6, 6.8, *[6.45 + 0.03 * (number % 2) for number in range(39)]]
BOUNCING = [7.6, 4.0, 3.5, 3.3, 3.2, *[3.3, 3.2] * 18]
SLOW = [7.6 - 0.01 * number for number in range(41)]


def test_a_healthy_curve_is_neither_too_high_nor_too_low():
    assert high(curve(HEALTHY, peak=2e-3)) == [None]
    assert low(curve(HEALTHY, peak=3e-4)) == [None]


def test_stuck_at_the_baseline_with_a_rate_above_the_recommended_is_too_high():
    assert high(curve(STUCK, peak=0.02)) == [None, "warning"]
    first = next(n for n in range(41) if find_high_learning_rate(curve(STUCK, peak=0.02)[:n], 400, BASELINE))
    assert curve(STUCK)[first - 1].step == 120  # three tenths of the run


@pytest.mark.parametrize(
    "settings", [{"peak": 1e-3}, {"peak": 0.02, "baseline": None}, {"peak": 0.02, "baseline": 7.0}]
)
def test_otherwise_the_same_curve_says_nothing_about_a_high_rate(settings):
    peak = settings.pop("peak")
    assert high(curve(STUCK, peak=peak), **settings) == [None]


@pytest.mark.parametrize(("fall", "levels_found"), [(0.025, [None, "warning"]), (0.05, [None])])
def test_what_still_falls_is_not_stuck(fall, levels_found):
    """Between two evaluations; 1.5 % of the loss over the last four of them is 0.1."""
    assert high(curve([7.6, *[7.5 - fall * number for number in range(20)]], peak=0.02)) == levels_found


def test_one_level_pair_in_a_fall_is_not_stuck():
    """At step 120 the last two are level, the last four are not."""
    losses = [7.6, 7.5, 7.4, 7.3, 7.2, 7.1, 7.0, 6.95, 6.9, 6.8, 6.7, 6.6, 6.6]
    assert find_high_learning_rate(curve(losses, peak=0.02), 400, BASELINE) is None


def test_stuck_clears_clearly_below_the_baseline():
    """3 % below it; a loss just under the baseline does not end it."""
    assert high(curve([*STUCK[:30], *[6.3] * 11], peak=0.02)) == [None, "warning"]
    assert high(curve([*STUCK[:30], *[6.1] * 11], peak=0.02)) == [None, "warning", None]


def test_both_losses_bouncing_near_the_peak_is_too_high_whatever_the_baseline():
    assert high(curve(BOUNCING), baseline=None) == [None, "warning"]
    advice = find_high_learning_rate(curve(BOUNCING)[:12])
    assert advice.evidence == (
        "both losses rose 3 times in 6 evaluations, by 0.30 together; the learning rate went up to 0.001"
    )


@pytest.mark.parametrize(
    ("rises", "raised", "holds"),
    [
        ([0.06, 0.06, 0.06], None, True),  # 5 % of 3.2 is 0.16
        ([0.05, 0.05, 0.05], None, False),
        ([0.1, 0.1], None, False),  # three times at least
        ([0.035, 0.035], "warning", True),  # 2 % is 0.064
        ([0.03, 0.03], "warning", False),
        ([0.2], "warning", False),
    ],
)
def test_the_limits_of_bouncing(rises, raised, holds):
    losses = [3.2] * 6
    for number, rise in enumerate(rises):
        losses[2 * number + 1] = 3.2 + rise
    evaluations = [Evaluation(0, 7.5, 7.6), *curve(losses, rates=[1e-3] * 6)]
    assert (find_high_learning_rate(evaluations, raised_level=raised) is not None) == holds


@pytest.mark.parametrize(("rate", "holds"), [(5.1e-4, True), (4.9e-4, False)])
def test_bouncing_counts_down_to_half_of_the_peak(rate, holds):
    evaluations = curve(BOUNCING[:12], rates=[*[1e-3] * 11, rate])
    assert (find_high_learning_rate(evaluations) is not None) == holds


def test_bouncing_is_over_once_the_rate_has_decayed():
    decayed = [None, 5e-4, *[1e-3] * 18, *[4e-4] * 22]
    assert high(curve(BOUNCING, rates=decayed)) == [None, "warning", None]


def test_only_one_side_bouncing_is_noise():
    evaluations = [each._replace(train_loss=3.0) for each in curve(BOUNCING)]
    assert high(evaluations) == [None]


@pytest.mark.parametrize("noise", [0.01, 0.02])
def test_noise_on_a_falling_or_level_curve_is_no_bouncing(noise):
    for seed in range(100):
        chance = random.Random(seed)
        noisy = [4 + 3 * 0.9**n + chance.gauss(0, noise) for n in range(60)]
        assert high(curve(noisy)) == [None]


def test_during_the_warm_up_nothing_is_said():
    climbing = [1e-4 * number for number in range(41)]
    assert high(curve(STUCK, rates=climbing)) == [None]
    assert low(curve(SLOW, rates=[rate / 100 for rate in climbing])) == [None]


def test_a_quarter_of_the_way_after_a_fifth_of_the_run_is_too_slow():
    assert low(curve(SLOW, peak=1e-6)) == [None, "warning"]
    found = [n for n in range(42) if find_low_learning_rate(curve(SLOW, peak=1e-6)[:n], 400, BASELINE)]
    assert curve(SLOW)[found[0] - 1].step == 80


@pytest.mark.parametrize(("way", "holds"), [(0.24, True), (0.26, False)])
def test_a_quarter_of_the_way(way, holds):
    """Of the 1.25 from 7.6 to the baseline."""
    evaluations = curve([7.6 - way * 1.25 * number / 8 for number in range(9)], peak=1e-5)
    assert (find_low_learning_rate(evaluations, 400, BASELINE) is not None) == holds


def test_half_of_the_run_above_the_baseline_is_too_slow():
    late = [7.6 - 0.8 * number / 20 for number in range(21)]
    assert find_low_learning_rate(curve(late[:20], peak=1e-4), 400, BASELINE) is None
    assert find_low_learning_rate(curve(late, peak=1e-4), 400, BASELINE).level == "warning"


def test_too_slow_clears_at_the_baseline():
    arriving = [7.6 - 0.04 * number for number in range(41)]
    assert low(curve([*SLOW[:20], *arriving[20:]], peak=1e-4)) == [None, "warning", None]


@pytest.mark.parametrize("settings", [{"baseline": None}, {"max_steps": 0}, {"baseline": 8.0}])
def test_without_something_to_compare_with_slow_is_unknown(settings):
    """A fine-tuning starts below the baseline: its small rate is meant."""
    assert low(curve(SLOW, peak=1e-5), **settings) == [None]


def test_a_high_rate_is_never_called_too_low():
    assert low(curve(SLOW, peak=1e-3)) == [None]


def test_evidence_and_remedies():
    slow = find_low_learning_rate(curve(SLOW[:21], peak=1e-6), 400, BASELINE)
    assert slow.evidence == (
        "val fell only from 7.600 to 7.400 in 50% of the steps; knowing only how often each token occurs gives 6.350; "
        "the learning rate went up to 1e-06"
    )
    assert all(word in slow.remedy for word in ("Raise", "학습률", "1e-04 to 1e-03", "학습이 느림"))
    stuck = find_high_learning_rate(curve(STUCK, peak=0.02), 400, BASELINE)
    assert stuck.evidence == (
        "val 6.450 is stuck: knowing only how often each token occurs gives 6.350; the learning rate went up to 0.02"
    )
    assert all(word in stuck.remedy for word in ("Lower", "학습률", "1e-04 to 1e-03", "발산", "그래디언트 클리핑"))


@pytest.mark.parametrize(("last", "holds"), [(6.36, True), (6.34, False)])
def test_a_run_that_ends_above_the_baseline_learned_nothing_however_it_still_falls(last, holds):
    """Steep to the end, so it is not level; but whoever reads the summary should not read that all is well."""
    losses = [last + 0.2 * number for number in range(4, -1, -1)]
    evaluations = [Evaluation(100 * n, loss, loss, 0.05 - 0.01 * n) for n, loss in enumerate(losses)]
    assert (find_high_learning_rate(evaluations, 400, BASELINE) is not None) is holds
    assert find_high_learning_rate(evaluations, 500, BASELINE) is None
