"""The door: what goes in and comes out, how it goes back, and what a checkpoint keeps of it."""

from __future__ import annotations

import copy
import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from replays import advice_on, changes, evaluation, recorded_events, sample, saved, started, step

from tui_trainer.diagnosis import Diagnosis
from tui_trainer.diagnosis.advice import SILENCED_BY, Advice, without_silenced
from tui_trainer.diagnosis.rules import RULES
from tui_trainer.event_codec import decode, encode
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    Event,
    PhaseStarted,
    Record,
    RolledBack,
    RunFinished,
    StepSkipped,
)

OVERFITTING = [evaluation(20 * n, 5 - 0.3 * n, 4 + 0.6 * max(0, n - 3)) for n in range(8)]

FIGURES = st.none() | st.floats(0, 20) | st.floats(allow_nan=True, allow_infinity=True)
STEPS = st.integers(0, 500)
EVENTS = st.one_of(
    st.builds(step, STEPS, FIGURES, st.floats(allow_nan=False, allow_infinity=False), FIGURES),
    st.builds(evaluation, STEPS, FIGURES, FIGURES),
    st.builds(sample, STEPS, st.text(max_size=200), st.integers(0, 100), st.integers(0, 100), st.text(max_size=100)),
    st.builds(StepSkipped, STEPS, st.sampled_from(["overflow", "non_finite"]), FIGURES, FIGURES),
    st.builds(RolledBack, STEPS, STEPS, st.text(max_size=10), st.floats(0, 1)),
    st.builds(CheckpointSaved, STEPS, st.just("x"), st.booleans(), st.just(0.1)),
    st.builds(
        lambda resumed, baseline, per_epoch, size: started(
            resumed_from_step=resumed, baseline_loss=baseline, steps_per_epoch=per_epoch, parameter_count=size
        ),
        st.none() | STEPS, FIGURES, st.floats(0, 1000), st.integers(0, 10**10),
    ),
    st.just(PhaseStarted("training", None)),
)  # fmt: skip


def as_logged(event: Event) -> Event:
    """The event as a reader of the log gets it."""
    record = decode(encode(Record(0.0, 0, event)))
    assert record
    return record.event


@given(st.lists(EVENTS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_it_takes_in_anything_and_says_finite_numbers_in_plain_json(events):
    diagnosis = Diagnosis()
    for event in events:
        for advice in diagnosis.take_in(event):
            assert advice.rule in RULES
            if isinstance(advice, AdviceRaised):
                assert advice.level in ("note", "warning", "wrong")
                assert advice.evidence
                assert advice.remedy
                assert all(math.isfinite(value) for value in advice.values.values())
                assert as_logged(advice) == advice
    json.dumps(diagnosis.as_state(), allow_nan=False)


@given(st.lists(EVENTS, max_size=40))
@settings(deadline=None)
def test_the_trainers_events_and_those_of_the_log_say_the_same(events):
    """The log has null where a figure was not finite."""
    assert advice_on(events) == advice_on(as_logged(event) for event in events)


@given(st.lists(EVENTS, max_size=40), st.integers(0, 40))
@settings(deadline=None)
def test_a_state_goes_on_as_if_never_interrupted(events, cut):
    whole, first = Diagnosis(), Diagnosis()
    advice_on(events[:cut], whole)
    advice_on(events[:cut], first)
    second = Diagnosis.from_state(json.loads(json.dumps(first.as_state())))
    assert second.as_state() == first.as_state()
    assert advice_on(events[cut:], second) == advice_on(events[cut:], whole)


@given(st.lists(EVENTS, max_size=40))
@settings(deadline=None)
def test_raised_and_cleared_alternate(events):
    standing = set()
    for advice in advice_on(event for event in events if not getattr(event, "run_id", None)):
        if isinstance(advice, AdviceRaised):
            standing.add(advice.rule)
        else:
            standing.remove(advice.rule)


def test_each_kind_of_event_that_matters_not_says_nothing():
    for event in (PhaseStarted("training", 10), RunFinished("completed", 10, 1.0), saved(1)):
        assert Diagnosis().take_in(event) == []


def test_advice_is_raised_again_with_fresh_figures_at_each_evaluation_only():
    diagnosis = Diagnosis()
    advice_on(OVERFITTING, diagnosis)
    assert diagnosis.take_in(step(150, 2.0)) == []
    assert diagnosis.take_in(sample(140, "x")) == []
    again = diagnosis.take_in(evaluation(160, 2.5, 7.5))
    assert [(each.rule, each.level, each.step) for each in again] == [("overfitting", "wrong", 160)]
    assert "val 7.500" in again[0].evidence


def test_an_evaluation_measured_again_replaces_the_first():
    diagnosis = Diagnosis()
    advice_on([*OVERFITTING, evaluation(140, 2.9, 6.4)], diagnosis)
    steps = [values[0] for values in diagnosis.as_state()["evaluations"]]
    assert steps == [20 * n for n in range(8)]


def test_too_large_a_model_is_said_at_the_start():
    assert advice_on([started()]) == []
    advice = advice_on([started(parameter_count=100_000_000, max_steps=5000)])
    assert [(each.rule, each.level, each.step) for each in advice] == [("model_size", "note", 0)]
    assert "100 M parameters for 130 k training tokens" in advice[0].evidence
    assert "10 passes" in advice[0].evidence


def test_a_run_that_begins_forgets_everything():
    diagnosis = Diagnosis()
    advice_on(OVERFITTING, diagnosis)
    diagnosis.take_in(started())
    assert diagnosis.as_state()["evaluations"] == []
    assert diagnosis.as_state()["moment"]["shown"] == {}


def test_only_what_is_nearest_to_the_cause_is_said():
    def found(*rules):
        return {rule: Advice(rule, "note", "e", "r", {}) for rule in rules}

    assert list(without_silenced(found("divergence", "overfitting", "plateau", "learning_rate_high"))) == ["divergence"]
    assert list(without_silenced(found("overfitting", "memorization", "model_size"))) == ["overfitting"]
    assert list(without_silenced(found("learning_rate_low", "plateau", "repetition"))) == ["learning_rate_low"]
    assert list(without_silenced(found("overfitting", "repetition"))) == ["overfitting", "repetition"]


def test_a_note_silences_notes_only():
    def advice(rule, level):
        return {rule: Advice(rule, level, "e", "r", {})}

    assert list(without_silenced(advice("divergence", "note") | advice("overfitting", "wrong"))) == [
        "divergence",
        "overfitting",
    ]
    assert list(without_silenced(advice("divergence", "note") | advice("plateau", "note"))) == ["divergence"]
    assert list(without_silenced(advice("divergence", "warning") | advice("overfitting", "wrong"))) == ["divergence"]


def test_silencing_names_rules_that_exist_and_never_goes_in_circles():
    order = list(RULES)
    for rule, others in SILENCED_BY.items():
        for other in others:
            assert order.index(other) < order.index(rule), (rule, other)


def test_a_divergence_silences_what_stands_and_gives_it_back():
    diagnosis = Diagnosis()
    advice_on([*(step(n, 4.0) for n in range(1, 101)), *OVERFITTING], diagnosis)
    raised = advice_on((step(n, 9.0) for n in range(141, 160)), diagnosis)
    assert [(type(each), each.rule) for each in raised[:2]] == [
        (AdviceCleared, "overfitting"),
        (AdviceRaised, "divergence"),
    ]
    after = changes(advice_on((step(n, 4.0) for n in range(160, 260)), diagnosis))
    assert [(rule, level) for _, rule, level in after][-2:] == [("divergence", ""), ("overfitting", "wrong")]


def interrupted_log(name: str, kept: int, lost: int) -> tuple[list[Event], int]:
    """A recording whose process died: `lost` events after its checkpoint number `kept`, and was resumed from there."""
    events = recorded_events(name)
    checkpoints = [n for n, event in enumerate(events) if isinstance(event, CheckpointSaved)]
    at = checkpoints[min(kept, len(checkpoints) - 1)]
    resumed = next(event for event in events if type(event) is type(started()))
    checkpoint = events[at]
    again = started(**{**vars(resumed), "resumed_from_step": checkpoint.step})
    return [*events[: at + 1 + lost], again, *events[at + 1 :]], at


def test_a_resumed_run_says_in_its_log_what_a_replay_of_the_log_says():
    """Live, the state comes from the checkpoint, which is written just before CheckpointSaved is told."""
    for name, kept, lost in [("overfitting", 5, 40), ("overfitting", 9, 150), ("quick-test", 3, 60)]:
        log, at = interrupted_log(name, kept, lost)
        live = Diagnosis()
        said = advice_on(log[:at], live)
        state = json.loads(json.dumps(live.as_state()))
        said += advice_on(log[at : at + 1 + lost], live)
        said += advice_on(log[at + 1 + lost :], Diagnosis.from_state(state))
        assert said == advice_on(log)


def test_what_stood_at_the_checkpoint_is_said_again_on_resuming():
    """Readers forget what was raised after the checkpoint, fresh figures of earlier advice included."""
    diagnosis = Diagnosis()
    advice_on([started(), *OVERFITTING, saved(140), evaluation(160, 2.5, 7.5)], diagnosis)
    advice = advice_on([started(resumed_from_step=140)], diagnosis)
    assert [(each.rule, each.level, each.step) for each in advice] == [("overfitting", "wrong", 140)]
    assert "val 6.400" in advice[0].evidence


def test_going_back_to_a_checkpoint_is_as_if_the_rest_never_happened():
    events = recorded_events("overfitting")
    at = next(n for n, event in enumerate(events) if isinstance(event, CheckpointSaved) and event.step >= 200)
    there, back = Diagnosis(), Diagnosis()
    advice_on(events[: at + 1], there)
    advice_on(events[: at + 300], back)
    back.go_back(events[at].step)
    assert back.as_state() == there.as_state()
    assert advice_on(events[at + 1 :], back) == advice_on(events[at + 1 :], there)


def test_going_back_to_where_it_is_forgets_nothing():
    diagnosis = Diagnosis()
    advice_on([*(step(n, 4.0) for n in range(1, 101)), *OVERFITTING], diagnosis)
    before = copy.deepcopy(diagnosis.as_state())
    diagnosis.go_back(140)
    assert diagnosis.as_state() == before


def test_going_back_without_a_checkpoint_keeps_the_evaluations_up_to_there():
    diagnosis = Diagnosis()
    advice_on([*(step(n, 4.0) for n in range(1, 101)), *OVERFITTING], diagnosis)
    diagnosis.go_back(60)
    state = diagnosis.as_state()
    assert [values[0] for values in state["evaluations"]] == [0, 20, 40, 60]
    assert state["moment"]["shown"] == {}
    assert state["moment"]["steps"]["count"] == 0


def test_a_state_of_another_version_is_tolerated():
    diagnosis = Diagnosis()
    advice_on([started(), *OVERFITTING, sample(140, "x"), saved(140)], diagnosis)
    state = diagnosis.as_state()
    newer = copy.deepcopy(state) | {"new": 1}
    for part in ("facts", "moment"):
        newer[part]["new"] = 1
    newer["moment"]["steps"]["new"] = newer["moment"]["trouble"]["new"] = newer["moment"]["samples"][0]["new"] = 1
    assert Diagnosis.from_state(newer).as_state() == state
    for key in state:
        Diagnosis.from_state({other: value for other, value in state.items() if other != key})
    for key in state["moment"]:
        older = copy.deepcopy(state)
        del older["moment"][key]
        assert Diagnosis.from_state(older).take_in(evaluation(160, 2.5, 7.5))
    assert Diagnosis.from_state({}).as_state() == Diagnosis().as_state()


def test_a_state_is_no_window_into_the_diagnosis():
    diagnosis = Diagnosis()
    advice_on([started(), *OVERFITTING, saved(140)], diagnosis)
    state = diagnosis.as_state()
    before = copy.deepcopy(state)
    advice_on([step(141, 9.0), evaluation(160, 2.5, 7.5), sample(160, "y")], diagnosis)
    assert state == before


def test_the_state_does_not_grow_with_the_steps():
    diagnosis = Diagnosis()
    for number in range(1, 3001):
        diagnosis.take_in(step(number, 4.0 + 0.001 * (number % 7)))
        if number % 100 == 0:
            diagnosis.take_in(sample(number, "word " * 100, 500, 400, "q" * 2000))
            diagnosis.take_in(saved(number))
    assert len(json.dumps(diagnosis.as_state())) < 20_000
