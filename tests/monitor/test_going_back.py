"""What a resume and a roll-back take back, and what they leave."""

from __future__ import annotations

import pytest
from facts import advice, evaluated, fold, saved, started

from tui_trainer.events import ControlApplied, Record, RolledBack, RunFailed, SampleGenerated
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.event_log import EventLogWriter

BACK_TO_30 = [
    started(resumed_from_step=30),
    Record(60.0, 0, RolledBack(30, 60, "loss 9.1 after 2.0", 0.5)),
]


def sampled(step: int, prompt: str = "The ") -> Record:
    return Record(float(step), 0, SampleGenerated(step, prompt, f"text of {step}", {}))


@pytest.mark.parametrize("back", BACK_TO_30, ids=["resume", "roll-back"])
def test_everything_after_the_step_is_taken_back(step_event, back):
    first = [started(), *(step_event(step) for step in range(1, 61))]
    first += [evaluated(20, 2.0, is_best=True), saved(20), sampled(20, "a"), evaluated(40, 3.0, is_best=False)]
    first += [sampled(40), advice(20, "note", "plateau"), advice(40, "wrong")]
    state = fold([*first, back])
    assert (state.current_step, state.step, state.ended) == (30, None, None)
    assert [event.step for event in state.evaluations] == [20]
    assert (state.best.step, state.best_checkpoint_step) == (20, 20)
    assert [event.rule for event in state.standing_advice] == ["plateau"]
    assert list(state.samples) == ["a"]
    for series in (state.history.train_loss, state.history.train_perplexity, state.history.learning_rate):
        assert [bucket.last_step for bucket in series] == list(range(1, 31))
    state.apply(step_event(31, loss=7.0, segment=1))
    assert (state.current_step, state.history.train_loss.last.last) == (31, 7.0)


@pytest.mark.parametrize("back", BACK_TO_30, ids=["resume", "roll-back"])
def test_a_best_that_was_saved_stays_the_best_though_its_step_is_taken_back(step_event, back):
    first = [started(), evaluated(20, 3.0, is_best=True), saved(20), evaluated(40, 2.0, is_best=True), saved(40)]
    state = fold([*first, back, evaluated(32, 2.5, is_best=False), saved(32, is_best=False)])
    assert (state.best.step, state.best.val_loss, state.best_checkpoint_step) == (40, 2.0, 40)
    assert [event.step for event in state.evaluations] == [20, 32]
    state.apply(evaluated(44, 1.5, is_best=True))
    assert state.best.step == 44


def test_a_best_that_was_never_saved_gives_way_to_the_one_that_was():
    first = [started(), evaluated(20, 3.0, is_best=True), saved(20), evaluated(40, 2.0, is_best=True)]
    state = fold([*first, started(resumed_from_step=30)])
    assert (state.best.step, state.best_checkpoint_step) == (20, 20)


def test_a_run_that_failed_goes_on_when_it_is_resumed():
    state = fold([started(), Record(60.0, 0, RunFailed("power", 60, 6.0)), started(resumed_from_step=30)])
    assert (state.ended, state.current_step) == (None, 30)


def test_the_planned_rate_is_multiplied_from_a_roll_back_on_and_no_more_before_it():
    state = fold([started(), Record(60.0, 0, RolledBack(40, 60, "diverged", 0.5))])
    assert state.learning_rate_factor == 0.5
    state.apply(Record(70.0, 0, RolledBack(40, 58, "diverged", 0.25)))
    assert state.learning_rate_factor == 0.25
    state.apply(started(resumed_from_step=50, learning_rate_factor=0.25))
    assert state.learning_rate_factor == 0.25
    state.apply(Record(80.0, 0, ControlApplied("1", "set", None, "me", 60, 100, 1.0)))
    assert state.learning_rate_factor == 1.0, "who sets a rate means that rate"
    state.apply(Record(90.0, 0, RolledBack(40, 58, "diverged", 0.5)))
    state.apply(started(resumed_from_step=40))
    assert state.learning_rate_factor == 1.0, "killed before it was saved: the trainer does not know of it either"


def test_advice_about_a_start_ends_with_the_next():
    state = fold([started(), advice(0, "note", "resume"), advice(0, "note", "schedule"), advice(0, "note", "plateau")])
    state.apply(started(resumed_from_step=0))
    assert set(state.advice) == {"plateau"}


def test_results_on_another_text_are_gone():
    records = [started(), evaluated(0, 5.0, is_best=True), saved(0), evaluated(10, 4.0, is_best=True), saved(10)]
    state = fold([*records, started(resumed_from_step=10, is_text_changed=True)])
    assert state.evaluations == [] and state.best is None
    state.apply(evaluated(10, 6.0, is_best=True))
    assert state.best.val_loss == 6.0


def test_a_roll_back_gives_no_time_back_but_a_resume_starts_from_its_checkpoint(step_event):
    first = [started(), *(step_event(step) for step in range(1, 61))]
    state = fold([*first, BACK_TO_30[1]])
    assert state.elapsed_seconds == 6.0
    state.apply(started(resumed_from_step=30))
    assert state.elapsed_seconds == 0.0
    state.apply(step_event(31))
    assert state.elapsed_seconds == 3.1


def test_a_follower_knows_where_a_roll_back_went(run_dir, step_event):
    run = run_dir()
    log = EventLogWriter(run.event_log, 0, lambda: 1.0)
    for record in (started(), step_event(40), BACK_TO_30[1]):
        log.append(record.event)
    follower = RunFollower(run)
    follower.drain()
    assert (follower.state.current_step, follower.state.feed[-1].event.from_step) == (30, 60)
