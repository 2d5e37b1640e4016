from __future__ import annotations

import random
from itertools import groupby

import pytest

from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.gradient_norm import find_growing_gradients


def history(norms, shares=None) -> list[Evaluation]:
    shares = shares or [1.0] * len(norms)
    columns = enumerate(zip(norms, shares, strict=True))
    return [Evaluation(100 * n, 4.0, 4.0, 1e-3, norm, share) for n, (norm, share) in columns]


def levels(evaluations) -> list[str | None]:
    held: list[str | None] = [None]
    for end in range(1, len(evaluations) + 1):
        advice = find_growing_gradients(evaluations[:end], held[-1])
        held.append(advice.level if advice else None)
    return [level for level, _ in groupby(held)]


def test_clipping_every_step_from_the_start_is_no_news():
    assert levels(history([2.3] * 20)) == [None]


def test_slow_growth_as_in_healthy_runs_is_no_news():
    """From 1.0 to 2.6, as quick-test does; three times as much, as an overfitting run does."""
    assert levels(history([1 + 0.15 * n for n in range(20)])) == [None]


def test_a_norm_far_above_the_usual_is_a_warning_if_it_lasts():
    assert levels(history([*[2.0] * 8, 9.0, 2.0, 2.0])) == [None]
    assert levels(history([*[2.0] * 8, 9.0, 9.0, 9.0])) == [None, "warning"]
    assert levels(history([*[2.0] * 8, 7.0, 7.0, 7.0])) == [None]


def test_what_is_usual_needs_some_evaluations():
    assert levels(history([2.0, 2.0, 2.0, 9.0, 9.0])) == [None]
    assert levels(history([2.0, 2.0, 2.0, 2.0, 9.0, 9.0])) == [None, "warning"]


def test_it_clears_at_twice_the_usual_and_not_before():
    assert levels(history([*[2.0] * 8, 9.0, 9.0, 5.0, 5.0])) == [None, "warning"]
    assert levels(history([*[2.0] * 8, 9.0, 9.0, 3.0, 3.0])) == [None, "warning", None]


def test_clipping_that_becomes_the_rule_is_a_note():
    low, high = [0.25] * 8, [1.0] * 4
    assert levels(history([1.0] * 12, [*low, *high])) == [None, "note"]
    assert levels(history([1.0] * 12, [*low, *[0.8] * 4])) == [None]
    assert levels(history([1.0] * 12, [*[0.4] * 8, *high])) == [None]
    assert levels(history([1.0] * 12, [*low, 1.0, 1.0, 0.7, 0.7])) == [None, "note"]
    assert levels(history([1.0] * 12, [*low, 1.0, 1.0, 0.5, 0.5])) == [None, "note", None]


@pytest.mark.parametrize("spread", [1.1, 1.3])
def test_noise_raises_nothing(spread):
    for seed in range(100):
        chance = random.Random(seed)
        assert levels(history([2 * spread ** chance.gauss(0, 1) for _ in range(60)])) == [None]


def test_unknown_norms_are_left_out():
    evaluations = [Evaluation(100 * n, 4.0, 4.0) for n in range(20)]
    assert levels(evaluations) == [None]
    assert levels([*evaluations, *history([*[2.0] * 8, 9.0, 9.0])]) == [None, "warning"]


def test_evidence_and_remedy():
    advice = find_growing_gradients(history([*[2.0] * 8, 9.0, 10.0]))
    assert advice.evidence == (
        "gradient norm 9.00, usually 2.00 in this run; 100% of the steps are clipped, usually 100%"
    )
    assert all(word in advice.remedy for word in ("learning rate", "학습률", "1.0", "그래디언트 클리핑"))
    assert advice.values == {"grad_norm": 9.0, "usual": 2.0, "clipped_share": 1.0, "usually_clipped": 1.0}
