from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replays import evaluation, sample, started, step

from tui_trainer.diagnosis import Diagnosis
from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.memorization import find_memorization
from tui_trainer.diagnosis.repetition import find_repetition
from tui_trainer.diagnosis.samples import Sample, measure_repetition, read_sample
from tui_trainer.events import AdviceRaised

VOCABULARY = (
    "value object name module class function call return list type string integer argument iterator import scope "
    "block statement expression operator sequence mapping key attribute method instance frame code line error"
)
WORDS = VOCABULARY.split()
ENGLISH = (
    "The value of an expression is an object, and the name that it is bound to lives in the scope of the block. "
    "When a function returns, its frame is left behind; whoever holds a reference to one of its cells keeps that "
    "cell alive, but nothing else. A module is imported once, and each later import finds it in the table."
)
KOREAN = (
    "언어모델은다음에올토큰의확률을배우고검증손실이더줄지않을때까지"
    "학습을계속한다그러나데이터가적으면문장을외워버리기쉽다"
)
TABLE = """
name        type        default
=========== =========== ===========
steps       int         1000
rate        float       0.001
"""


def gibberish(seed: int, count: int = 80) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) for _ in range(count))


@pytest.mark.parametrize("text", [ENGLISH, KOREAN, TABLE, gibberish(1), "", "a", "the"])
def test_healthy_and_short_texts_repeat_little(text):
    assert measure_repetition(text)[0] < 0.25


@pytest.mark.parametrize(
    "text",
    [
        "the " * 60,
        "the value of the " * 20,
        ENGLISH[:60] * 4,
        "안녕하세요" * 30,
        KOREAN[:20] * 8,
        "e" + "ab" * 100,
        "the same\n" * 30,
        ENGLISH[:80] + " and so on and so on" * 12,
    ],
)
def test_loops_are_found_in_any_script(text):
    assert measure_repetition(text)[0] > 0.6


def test_the_piece_that_comes_most_often_is_shown():
    assert measure_repetition("ab cd ef " * 30)[1] in "ab cd ef ab cd ef "


@given(st.text(max_size=300))
def test_the_share_is_a_share(text):
    share, piece = measure_repetition(text)
    assert 0 <= share < 1
    assert len(piece) in (0, 8)


def test_a_sample_is_read():
    event = sample(100, "the " * 60, tokens=80, quoted_tokens=20, quote="q" * 90, temperature=0.8)
    read = read_sample(event)
    assert (read.step, read.quoted_share, read.quote_length, read.temperature) == (100, 0.25, 90, 0.8)
    assert read.quote == "q" * 39 + "…"
    assert read_sample(sample(1, "x", tokens=0, temperature="hot")).quoted_share == 0.0
    assert read_sample(sample(1, "x", temperature="hot")).temperature is None


def repeating(*shares: float, step: int = 500) -> list[Sample]:
    return [Sample(step, repeated_share=share, repeated="the the ", temperature=0.8) for share in shares]


def test_repetition_is_a_note_with_the_words_of_the_guide():
    advice = find_repetition(repeating(0.9, 0.6), 1000)
    assert (advice.rule, advice.level) == ("repetition", "note")
    assert (
        advice.evidence
        == "75% of a sample has stood in it before, the median of 2 at temperature 0.8: again and again “the the ”"
    )
    assert all(word in advice.remedy for word in ("higher temperature", "top-k", "top-p", "longer", "more data"))


@pytest.mark.parametrize(
    ("shares", "raised", "holds"),
    [
        ([0.9], None, False),
        ([0.9, 0.0, 0.0], None, False),
        ([0.45, 0.45], None, False),
        ([0.5, 0.5], None, True),
        ([0.45, 0.45], "note", True),
        ([0.3, 0.3], "note", False),
    ],
)
def test_most_samples_must_repeat_and_less_is_enough_to_stay(shares, raised, holds):
    assert (find_repetition(repeating(*shares), 1000, raised) is not None) == holds


@pytest.mark.parametrize(("step", "holds"), [(0, False), (199, False), (200, True)])
def test_young_models_may_repeat(step, holds):
    assert (find_repetition(repeating(0.9, 0.9, step=step), 1000) is not None) == holds


OVERFIT = [Evaluation(0, 6.0, 6.0), Evaluation(500, 1.0, 5.0)]


def quoting(share: float, characters: int = 200, count: int = 3) -> list[Sample]:
    return [Sample(500, quoted_share=share, quote="the frame is left behind…", quote_length=characters)] * count


def test_memorisation_quotes_the_piece():
    advice = find_memorization(quoting(0.8), OVERFIT)
    assert (advice.rule, advice.level) == ("memorization", "warning")
    assert advice.evidence == (
        "80% of a sample stands letter for letter in the training text, 200 characters in one piece: "
        "“the frame is left behind…”; train 1.00, val 5.00"
    )
    assert all(word in advice.remedy for word in ("more data", "smaller model", "dropout", "조기 종료"))


@pytest.mark.parametrize(
    ("samples", "raised", "holds"),
    [
        (quoting(0.8, count=1), None, False),
        (quoting(0.49), None, False),
        (quoting(0.5), None, True),
        (quoting(0.8, characters=59), None, False),
        (quoting(0.8, characters=60), None, True),
        ([*quoting(0.9, count=1), *quoting(0.1, count=2)], None, False),
        (quoting(0.31), "warning", True),
        (quoting(0.29), "warning", False),
        (quoting(0.8, characters=35), "warning", False),
    ],
)
def test_most_samples_must_quote_at_length_and_less_is_enough_to_stay(samples, raised, holds):
    assert (find_memorization(samples, OVERFIT, raised) is not None) == holds


def test_quoting_boilerplate_is_no_memorisation():
    """The unseen text has the same set phrases: there is no gap."""
    assert find_memorization(quoting(0.9), [Evaluation(500, 1.0, 1.05)]) is None
    assert find_memorization(quoting(0.9), []) is None
    assert find_memorization(quoting(0.9), [Evaluation(500, 4.55, 5.0)]) is None
    assert find_memorization(quoting(0.9), [Evaluation(500, 4.45, 5.0)])


def test_two_samples_are_enough():
    assert find_memorization(quoting(0.8, count=2), OVERFIT)


def test_a_phrase_of_eight_characters_is_a_repetition():
    """Ten Korean characters are a whole clause: longer pieces would miss it."""
    assert measure_repetition("".join(f"{number:03d}검증손실이줄어들지" for number in range(30)))[0] > 0.15


def test_samples_raise_and_clear_through_the_door():
    diagnosis = Diagnosis()
    diagnosis.take_in(started())
    said = []
    for number, text in enumerate(["the " * 60] * 4 + [ENGLISH] * 4, 5):
        diagnosis.take_in(step(100 * number, 4.0))
        said += diagnosis.take_in(evaluation(100 * number, 5 - 0.1 * number, 5.2 - 0.1 * number))
        said += diagnosis.take_in(sample(100 * number, text, temperature=0.8))
    kinds = [(type(each) is AdviceRaised, each.step) for each in said if each.rule == "repetition"]
    assert kinds[0] == (True, 600)
    assert kinds[-1] == (False, 1100)
    assert [step for is_raised, step in kinds if not is_raised] == [1100]


@pytest.mark.parametrize(("text", "share"), [("\n" * 32, 1.0), (" \n" * 20, 1.0), ("*" * 64, 0.98), ("\n" * 8, 0.0)])
def test_a_text_of_nothing_but_one_character_repeats_itself(text, share):
    assert measure_repetition(text)[0] == pytest.approx(share, abs=0.01)
