"""The diagnosis of recorded runs: the healthy ones raise nothing, the others the right thing, in time and once.

Each was recorded with `tui-trainer train PRESET --headless` and the settings below; `baseline_loss` was computed from
the tokens of the run and written into the line of RunStarted. Advice in the logs is that of the time and not used.

    quick-test, overfitting   before there was a baseline
    modern                    quick-test, model.architecture=modern
    shakespeare-char          500 steps
    diverging                 quick-test, learning_rate=1.0
    exploding                 quick-test, learning_rate=0.03, betas=[0.9,0.5], grad_clip=0
    stuck                     quick-test, learning_rate=0.05
    bouncing                  shakespeare-char, learning_rate=0.1
    too-low                   quick-test, learning_rate=1e-6
    unlearnable               quick-test on random characters
    plateau                   one layer of width 4 on tinyshakespeare, constant learning_rate=0.02
    memorizing                quick-test on the-verdict, learning_rate=2e-3, no dropout
    gradients                 width 32 on 60 random letters, validated on 60, learning_rate=0.01: clipped once learned
    sampling                  quick-test, 400 steps, with the samples and the baseline of the trainer itself
    looping                   the same at temperature 0
    reciting                  quick-test on this project's ARCHITECTURE.md, muon, learning_rate=3e-3, temperature 0.3
"""

from __future__ import annotations

import json

import pytest
from replays import RECORDINGS, advice_on, changes, recorded_events

from tui_trainer.diagnosis import Diagnosis, Evaluation
from tui_trainer.diagnosis.memorization import find_memorization
from tui_trainer.diagnosis.samples import read_sample
from tui_trainer.event_codec import decode, encode
from tui_trainer.events import AdviceCleared, AdviceRaised, EvaluationCompleted, Record, RunStarted, SampleGenerated

HEALTHY = ["quick-test", "modern", "shakespeare-char", "sampling"]
FAULTY = {
    "diverging": [("divergence", "wrong", 20), ("divergence", "", 290), ("learning_rate_high", "warning", 290)],
    "exploding": [("divergence", "wrong", 45)],
    "stuck": [("learning_rate_high", "warning", 125)],
    "bouncing": [
        ("learning_rate_high", "warning", 150),
        ("learning_rate_high", "", 250),
        ("plateau", "note", 250),
        ("plateau", "", 275),
    ],
    "too-low": [("learning_rate_low", "warning", 100)],
    "unlearnable": [("plateau", "warning", 200)],
    "plateau": [("plateau", "note", 525), ("plateau", "", 775)],
    "gradients": [
        ("model_size", "note", 0),
        ("validation_noise", "warning", 0),
        ("model_size", "", 40),
        ("gradient_norm", "note", 40),
        ("gradient_norm", "", 50),
    ],
    "looping": [("repetition", "note", 80)],
    "reciting": [("model_size", "note", 0), ("model_size", "", 300), ("overfitting", "wrong", 300)],
    "overfitting": [
        ("model_size", "note", 0),
        ("model_size", "", 503),
        ("generalization_gap", "note", 503),
        ("generalization_gap", "", 718),
        ("overfitting", "warning", 718),
        ("overfitting", "wrong", 790),
    ],
    "memorizing": [
        ("model_size", "note", 0),
        ("model_size", "", 148),
        ("generalization_gap", "note", 148),
        ("generalization_gap", "", 220),
        ("overfitting", "warning", 220),
        ("overfitting", "wrong", 280),
    ],
}
"""(rule, level, the step by which it is so); "" is cleared. Nothing else may be raised or cleared."""


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_raises_nothing_at_any_step(name):
    assert advice_on(recorded_events(name)) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_that_ends_at_any_evaluation_raises_nothing(name):
    """As if it had been planned that short: what is late in such a run comes early in the recorded one."""
    events = recorded_events(name)
    started = next(event for event in events if isinstance(event, RunStarted))
    for end, event in enumerate(events):
        if isinstance(event, EvaluationCompleted) and event.step >= started.max_steps / 2:
            shorter = RunStarted(**{**vars(started), "max_steps": event.step})
            assert advice_on([shorter, *[each for each in events[: end + 1] if each is not started]]) == []


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_run_raises_the_right_rule_in_time_and_does_not_flicker(name):
    found = changes(advice_on(recorded_events(name)))
    assert [(rule, level) for _, rule, level in found] == [(rule, level) for rule, level, _ in FAULTY[name]]
    assert all(step <= by for (step, _, _), (_, _, by) in zip(found, FAULTY[name], strict=True))


@pytest.mark.parametrize("name", [*HEALTHY, *FAULTY])
def test_a_recording_may_be_interrupted_at_any_evaluation(name):
    events = recorded_events(name)
    expected = advice_on(events)
    said, diagnosis = [], Diagnosis()
    for event in events:
        said += diagnosis.take_in(event)
        if isinstance(event, EvaluationCompleted):
            diagnosis = Diagnosis.from_state(json.loads(json.dumps(diagnosis.as_state())))
    assert said == expected


@pytest.mark.parametrize("name", [*HEALTHY, *FAULTY])
def test_a_replay_of_a_log_gives_exactly_the_advice_in_it(name):
    """The log as the trainer writes it: each event, then what the diagnosis says to it."""
    diagnosis = Diagnosis()
    log = [each for event in recorded_events(name) for each in (event, *diagnosis.take_in(event))]
    read = [decode(encode(Record(0.0, 0, event))).event for event in log]
    advice = [event for event in read if isinstance(event, AdviceRaised | AdviceCleared)]
    assert advice_on(event for event in read if event not in advice) == advice


@pytest.mark.parametrize("name", FAULTY)
def test_evidence_has_numbers_and_remedies_are_short(name):
    for advice in advice_on(recorded_events(name)):
        if isinstance(advice, AdviceRaised):
            assert sum(character.isdigit() for character in advice.evidence) >= 4
            assert len(advice.evidence) < 200
            assert len(advice.remedy) < 220


def test_samples_that_recite_the_text_are_noticed_beside_the_overfitting_that_says_it_first():
    """Real samples: from step 600 on, half of one and more stands so in the text; before step 400 none does."""
    held, samples, evaluations = {}, [], []
    for event in recorded_events("reciting"):
        if isinstance(event, EvaluationCompleted):
            evaluations.append(Evaluation(event.step, event.train_eval_loss, event.val_loss))
        if isinstance(event, SampleGenerated):
            samples = [*samples, read_sample(event)][-4:]
            level = "warning" if any(held.values()) else None
            held[event.step] = find_memorization(samples, evaluations, level)
    assert not any(held[step] for step in held if step < 400)
    late = [held[step] for step in held if step >= 700]
    assert len(late) > 3 and all(advice and advice.level == "warning" for advice in late)
    assert "letter for letter" in late[0].evidence


def test_recordings_are_small():
    assert all(path.stat().st_size <= 160_000 for path in RECORDINGS.glob("*.jsonl"))
