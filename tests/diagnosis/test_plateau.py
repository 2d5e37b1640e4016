from __future__ import annotations

import math
import random
from itertools import groupby

import pytest

from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.plateau import find_plateau


def curve(losses, rate=1e-3, train_losses=None) -> list[Evaluation]:
    """Evaluations each 10 steps; one learning rate, or one for each."""
    rates = rate if isinstance(rate, list) else [rate] * len(losses)
    trains = train_losses or [loss - 0.2 for loss in losses]
    columns = enumerate(zip(trains, losses, rates, strict=True))
    return [Evaluation(10 * n, train, val, each) for n, (train, val, each) in columns]


def levels(evaluations, max_steps=0, baseline=None) -> list[str | None]:
    """What holds after each evaluation, without repetitions."""
    held: list[str | None] = [None]
    for end in range(1, len(evaluations) + 1):
        advice = find_plateau(evaluations[:end], max_steps, baseline, held[-1])
        held.append(advice.level if advice else None)
    return [level for level, _ in groupby(held)]


def falling(count: int, noise: float = 0.0, seed: int = 1) -> list[float]:
    """A power law, as losses of language models follow."""
    chance = random.Random(seed)
    return [3 + 4 * (1 + number) ** -0.5 + chance.gauss(0, noise) for number in range(count)]


LEVEL = [*falling(20), *[3.9] * 20]


def test_a_level_curve_while_the_rate_is_high_is_noted():
    assert levels(curve(LEVEL)) == [None, "note"]


def test_at_the_end_of_the_schedule_a_level_curve_is_as_it_should_be():
    cosine = [1e-4 + 9e-4 * (1 + math.cos(math.pi * n / 40)) / 2 for n in range(40)]
    assert levels(curve([*falling(24), *[3.8] * 16], cosine)) == [None]


@pytest.mark.parametrize("side", ["train", "val"])
def test_both_sides_must_be_level(side):
    fall = falling(40)
    flat, moving = LEVEL, [6 - 0.05 * number for number in range(40)]
    assert levels(curve(flat if side == "train" else moving, train_losses=moving if side == "train" else flat)) == [
        None
    ]
    assert levels(curve(fall)) == [None]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
def test_a_falling_curve_under_noise_is_no_plateau(noise):
    raised = sum(levels(curve(falling(60, noise, seed))) != [None] for seed in range(100))
    assert raised <= 2


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05])
def test_a_noisy_level_curve_is_found_and_stays_found(noise):
    flickered = 0
    for seed in range(50):
        chance = random.Random(seed)
        noisy = [loss + chance.gauss(0, noise) for loss in [*falling(20), *[3.9] * 60]]
        found = levels(curve(noisy))
        assert "note" in found
        flickered += len(found) > 4
    assert flickered <= 2


def test_how_often_it_is_looked_at_does_not_matter():
    """Looked at every few steps, any healthy curve is level between two looks."""
    often = [3 + 4 * (1 + number / 20) ** -0.5 for number in range(800)]
    assert levels(curve(often)) == [None]


def test_what_stays_level_late_and_at_the_baseline_is_a_warning_at_any_rate():
    """At 1e-5 of a peak of 1e-3; half of the 400 steps is step 200."""
    low = [*[1e-3] * 5, *[1e-5] * 35]
    evaluations = curve([*[5.0] * 5, *[3.9] * 35], low)
    assert levels(evaluations, max_steps=400, baseline=3.9) == [None, "warning"]
    assert levels(evaluations, max_steps=400, baseline=4.1) == [None]
    assert levels(evaluations, max_steps=400) == [None]
    assert levels(evaluations, max_steps=4000, baseline=3.9) == [None]
    advice = find_plateau(evaluations, 400, 3.9)
    assert "knowing only how often each token occurs gives 3.900" in advice.evidence
    assert advice.values["baseline_loss"] == 3.9


def test_it_clears_when_the_loss_falls_again():
    assert levels(curve([*LEVEL, *[3.9 - 0.05 * number for number in range(10)]])) == [None, "note", None]


@pytest.mark.parametrize(
    ("fall", "raised", "holds"),
    [(0.006, None, True), (0.008, None, False), (0.012, "note", True), (0.016, "note", False)],
)
def test_how_little_is_level(fall, raised, holds):
    """A straight fall by this share of the loss in each eight evaluations; it needs less to stay than to come."""
    straight = curve([4 * (1 - fall * number / 7) for number in range(10)], train_losses=[1.0] * 10)
    assert (find_plateau(straight, raised_level=raised) is not None) == holds


def test_three_windows_in_a_row_must_be_level():
    flat = curve([5.0, 4.5, *[4.0] * 20])
    levels_at = [find_plateau(flat[:end]) is not None for end in range(1, 20)]
    assert levels_at.index(True) + 1 == 12  # the first eight level evaluations end with the tenth


@pytest.mark.parametrize(("rate", "holds"), [(5.1e-4, True), (4.9e-4, False)])
def test_the_rate_is_high_down_to_half_of_its_peak(rate, holds):
    evaluations = curve(LEVEL, [*[1e-3] * 39, rate])
    assert (find_plateau(evaluations) is not None) == holds


@pytest.mark.parametrize(("max_steps", "holds"), [(770, True), (790, False)])
def test_late_is_half_of_the_run(max_steps, holds):
    evaluations = curve(LEVEL, [*[1e-3] * 39, 1e-5])
    assert (find_plateau(evaluations, max_steps, 3.9) is not None) == holds


def test_noise_keeps_what_stands():
    """Of 0.05 around a level curve, which seems to fall by two percent."""
    noisy = [4.06, 4.02, 4.07, 3.98, 4.03, 3.96, 4.01, 3.97]
    assert find_plateau(curve(noisy), raised_level="note")
    assert find_plateau(curve([4.06 - 0.0125 * number for number in range(8)]), raised_level="note") is None


def test_evidence_and_remedy():
    advice = find_plateau(curve(LEVEL))
    assert advice.evidence == "no fall since step 300: train 3.700 → 3.700, val 3.900 → 3.900"
    assert all(
        word in advice.remedy
        for word in ("1e-4 → 1e-5", "gradient clipping", "quality of the data", "데이터 품질 확인", "bigger model")
    )
    assert advice.values == pytest.approx({"train_loss": 3.7, "val_loss": 3.9, "since_step": 300})


def test_without_learning_rates_it_is_silent():
    assert find_plateau([Evaluation(10 * n, 3.0, 3.0) for n in range(20)]) is None
