from __future__ import annotations

import json
import math
import random
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.diagnosis import Evaluation, find_overfitting
from tui_trainer.diagnosis.evaluations import best_of, noise_of
from tui_trainer.event_codec import decode
from tui_trainer.events import EvaluationCompleted

RECORDINGS = Path(__file__).parent.parent / "recordings"


def recorded(name: str) -> list[Evaluation]:
    events = [decode(line).event for line in (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()]
    return [
        Evaluation(event.step, event.train_eval_loss, event.val_loss)
        for event in events
        if isinstance(event, EvaluationCompleted)
    ]


def history(val_losses, train_losses=None) -> list[Evaluation]:
    """Evaluations each 10 steps; the training loss falls slowly unless it is given."""
    trains = train_losses or [4 - 0.01 * number for number in range(len(val_losses))]
    return [Evaluation(10 * n, train, val) for n, (train, val) in enumerate(zip(trains, val_losses, strict=True))]


def levels(evaluations: list[Evaluation]) -> list[str | None]:
    """What stands after each evaluation, when the rule is asked each time as the trainer does."""
    raised: list[str | None] = [None]
    for end in range(1, len(evaluations) + 1):
        advice = find_overfitting(evaluations[:end], raised[-1])
        raised.append(advice.level if advice else None)
    return raised[1:]


def changes(evaluations: list[Evaluation]) -> list[str | None]:
    """The levels one after the other, without repetitions."""
    return [level for level, _ in groupby(levels(evaluations))]


def test_a_healthy_recording_stays_silent_at_every_prefix():
    assert set(levels(recorded("quick-test"))) == {None}


def test_an_overfitting_recording_is_warned_of_and_then_called_wrong():
    evaluations = recorded("overfitting")
    assert changes(evaluations) == [None, "warning", "wrong"]
    first = evaluations[levels(evaluations).index("warning")]
    assert 400 < first.step < 800


def test_the_evidence_has_the_numbers_and_the_remedy_the_words_of_the_guide():
    advice = find_overfitting([Evaluation(0, 5.0, 5.0), Evaluation(1200, 3.0, 4.0), Evaluation(2000, 2.0, 4.75)])
    assert advice.level == "wrong"
    assert advice.evidence == "val 4.750 is 0.75 above its best 4.000 (step 1,200) while train fell 1.00"
    assert advice.values == {"val_loss": 4.75, "best_val_loss": 4.0, "best_step": 1200, "rise": 0.75}
    assert all(
        word in advice.remedy for word in ("dropout", "weight decay", "early stopping", "more data", "조기 종료")
    )
    json.dumps(advice.values, allow_nan=False)


@pytest.mark.parametrize(("rise", "level"), [(0.49, None), (0.5, None), (0.51, "wrong"), (3.0, "wrong")])
def test_the_guides_rule_of_thumb(rise, level):
    advice = find_overfitting(history([5.0, 4.0, 4.0 + rise]))
    assert (advice.level if advice else None) == level


@pytest.mark.parametrize(("rise", "stays"), [(0.26, True), (0.24, False)])
def test_wrong_needs_less_to_stay_than_to_come(rise, stays):
    evaluations = history([5.0, 4.0, 4.6, 4.0 + rise])
    assert (find_overfitting(evaluations, "wrong") is not None) == stays
    assert find_overfitting(evaluations, None) is None


def test_a_warning_needs_a_lasting_rise():
    fall = [6.0, 5.0, 4.5, 4.2, 4.0]
    assert changes(history([*fall, 4.2])) == [None]
    assert changes(history([*fall, 4.2, 4.2])) == [None]
    assert changes(history([*fall, 4.45, 4.1, 4.0, 4.1])) == [None]
    assert changes(history([*fall, 4.1, 4.2, 4.3, 4.4, 4.45])) == [None, "warning"]


@pytest.mark.parametrize(("rise", "level"), [(0.035, None), (0.045, "warning")])
def test_a_rise_below_one_percent_of_the_loss_is_none(rise, level):
    advice = find_overfitting(history([6.0, 5.0, 4.5, 4.2, *[4.0] * 10, *[4.0 + rise] * 10]))
    assert (advice.level if advice else None) == level


def test_one_lucky_evaluation_is_no_low():
    level = [5.0, 4.2, 4.01, 4.0, 4.01, 4.0, 3.9, 4.01, 4.0, 4.01, 4.0, 4.01]
    assert changes(history(level)) == [None]


def test_it_clears_after_a_recovery_and_may_come_again():
    fall, rise = [6.0, 5.0, 4.5, 4.2, 4.0], [4.1, 4.2, 4.3, 4.4, 4.45]
    back = [4.2, 4.05, 3.95, 3.9, 3.85]
    assert changes(history([*fall, *rise, *back])) == [None, "warning", None]
    assert changes(history([*fall, *rise, *back, 3.95, 4.05, 4.15, 4.25, 4.3])) == [None, "warning", None, "warning"]


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05])
def test_a_noisy_plateau_neither_warns_nor_flickers(noise):
    """The training loss falls a little all the time, as it does on a plateau."""
    warned = 0
    for seed in range(100):
        chance = random.Random(seed)
        losses = [4 + 3 * math.exp(-number / 4) + chance.gauss(0, noise) for number in range(80)]
        found = changes(history(losses, [4 - 0.002 * number for number in range(80)]))
        assert len(found) <= 3
        warned += len(found) > 1
    assert warned <= 6


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.05])
def test_a_slow_rise_under_noise_is_found_and_stays_found(noise):
    flickered = 0
    for seed in range(50):
        chance = random.Random(seed)
        losses = [4 + 3 * math.exp(-n / 4) + max(0, n - 20) * 0.01 + chance.gauss(0, noise) for n in range(90)]
        found = changes(history(losses))
        assert found[-1] == "wrong"
        flickered += len(found) > 3
    assert flickered <= 4


def test_losses_that_rise_together_are_no_warning():
    """That is a divergence, not the memorising of a text."""
    vals = [5.0, 4.0, 4.1, 4.2, 4.3, 4.4, 4.45]
    assert changes(history(vals, [4.9, 3.9, 4.0, 4.1, 4.2, 4.3, 4.4])) == [None]
    assert changes(history([5.0, 4.0, 9.0], [4.9, 3.9, 8.9])) == [None]


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=30), st.sampled_from([None, "warning", "wrong"]))
def test_a_new_best_is_never_overfitting(losses, raised):
    assert find_overfitting(history([*losses, min(losses) - 0.001]), raised) is None


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=30), st.sampled_from([None, "warning", "wrong"])
)
def test_any_history_gets_an_answer_with_finite_numbers(losses, raised):
    advice = find_overfitting([Evaluation(n, train, val) for n, (train, val) in enumerate(losses)], raised)
    if advice:
        assert advice.level in ("warning", "wrong")
        assert all(math.isfinite(value) for value in advice.values.values())
        assert advice.values["rise"] > 0


def test_the_best_of_two_equals_is_the_earlier():
    assert best_of(history([5.0, 4.0, 4.0])).step == 10


def test_noise_is_measured_around_the_trend():
    assert noise_of([1.0, 2.0]) == 0.0
    assert noise_of([5 - 0.1 * number for number in range(50)]) == pytest.approx(0.0, abs=1e-12)
    chance = random.Random(1)
    losses = [9 - 0.05 * number + chance.gauss(0, 0.1) for number in range(2000)]
    assert noise_of(losses) == pytest.approx(0.1, rel=0.1)
