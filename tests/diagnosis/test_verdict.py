from __future__ import annotations

from tui_trainer.diagnosis import Evaluation, Verdict, find_verdict

FALLING = [Evaluation(0, 6.9, 7.0), Evaluation(200, 5.0, 5.4), Evaluation(400, 4.5, 4.825)]


def test_it_waits_for_two_evaluations():
    assert find_verdict([]) == Verdict("waiting", "no evaluation yet")
    assert find_verdict(FALLING[:1]).level == "waiting"
    assert "7.000" in find_verdict(FALLING[:1]).text


def test_a_run_that_learns_is_told_so_in_numbers():
    assert find_verdict(FALLING) == Verdict("good", "still improving: val −0.575 in 200 steps")


def test_a_run_that_stands_still_is_noted():
    level = [*FALLING, Evaluation(1600, 4.0, 4.9)]
    assert find_verdict(level) == Verdict("note", "no better for 1,200 steps: best val 4.825")


def test_a_run_that_ended_is_summed_up_by_its_best():
    ended = find_verdict([*FALLING, Evaluation(1600, 4.0, 4.9)], is_over=True)
    assert ended == Verdict("good", "val fell from 7.000 to 4.825, best at step 400")


def test_the_worst_advice_comes_before_everything():
    advice = [("wrong", "it rose", "stop"), ("note", "slow", "wait")]
    assert find_verdict(FALLING, advice, is_over=True) == Verdict("wrong", "it rose", "stop")


def test_patience_is_counted():
    level = [*FALLING, Evaluation(600, 4.2, 4.85), Evaluation(800, 4.1, 4.84), Evaluation(1000, 4.0, 4.9)]
    text = "no better for 3 of 5 evaluations; at 5 it stops: best val 4.825"
    assert find_verdict(level, patience=5) == Verdict("note", text)
    assert find_verdict(level) == Verdict("note", "no better for 600 steps: best val 4.825")


def test_a_gain_below_the_delta_is_counted_as_none():
    slow = [*FALLING, Evaluation(600, 4.4, 4.82)]
    assert find_verdict(slow, patience=5).level == "good"
    assert find_verdict(slow, patience=5, min_delta=0.01).text.startswith("no better for 1 of 5 evaluations")


def test_patience_does_not_matter_once_it_is_over():
    level = [*FALLING, Evaluation(600, 4.2, 4.85)]
    assert find_verdict(level, patience=1, is_over=True).level == "good"
