from __future__ import annotations

from dataclasses import fields, replace

import pytest
from facts import advice, evaluated, fold, started
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.data.batches import TrainingWindows
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    ControlApplied,
    HardwareSampled,
    MicroBatchReduced,
    Record,
    RunFinished,
    SampleGenerated,
    StepSkipped,
)
from tui_trainer.monitor.history import Series
from tui_trainer.monitor.run_state import FEED_LENGTH, MAX_PROMPTS, RunState
from tui_trainer.runs.event_log import EventLogReader


def plain(state: RunState) -> dict[str, object]:
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    return {name: list(value) if isinstance(value, Series) else value for name, value in values.items()}


def test_a_healthy_recording_gives_its_figures(recording):
    state = fold(recording("quick-test"))
    assert (state.current_step, state.max_steps, state.epochs) == (2244, 2244, 2)
    assert state.ended == RunFinished("completed", 2244, pytest.approx(47.382, abs=0.001))
    assert [event.step for event in state.evaluations] == [
        0, 200, 400, 600, 800, 1000, 1122, 1200, 1400, 1600, 1800, 2000, 2200, 2244,
    ]  # fmt: skip
    assert state.best is state.evaluation
    assert state.best.val_loss == pytest.approx(4.011, abs=0.001)
    assert state.best_checkpoint_step == 2244
    assert state.standing_advice == []
    assert len(state.history.train_loss) == 225
    assert state.history.train_loss.last.last == state.step.train_loss
    assert 2_000 < state.tokens_per_second < 50_000
    assert state.elapsed_seconds == state.ended.elapsed_seconds


def test_an_overfitting_recording_keeps_its_best_and_its_newest_advice(recording):
    state = fold(recording("overfitting"))
    assert (state.best.step, state.best_checkpoint_step) == (216, 216)
    assert [event.level for event in state.standing_advice] == ["wrong"]
    assert state.standing_advice[0].step == state.evaluation.step == state.current_step == 2400
    raised = [record.event.level for record in state.feed if isinstance(record.event, AdviceRaised)]
    assert raised == ["warning", "wrong"]


@pytest.mark.parametrize("name", ["quick-test", "overfitting"])
def test_every_prefix_of_a_recording_can_be_shown(recording, name):
    state = RunState()
    for record in recording(name):
        state.apply(record)
        assert state.elapsed_seconds >= 0
        assert (state.epochs is None) == (state.started is None)
        if state.step and state.epochs:
            assert state.step.epoch <= state.epochs
    assert state.step.epoch == state.epochs


@pytest.mark.parametrize("name", ["quick-test", "overfitting"])
@settings(max_examples=8)
@given(limit=st.integers(1, 200_000))
def test_the_state_does_not_depend_on_how_much_is_read_at_once(recordings, name, limit):
    reader, state = EventLogReader(recordings / f"{name}.jsonl"), RunState()
    while records := reader.read(limit):
        for record in records:
            state.apply(record)
    whole = fold(EventLogReader(recordings / f"{name}.jsonl").read(10**9))
    assert plain(state) == plain(whole)


@given(st.integers(1, 3000), st.integers(1, 9), st.integers(1, 12), st.integers(1, 30))
def test_the_epochs_are_those_that_the_trainer_counts(count, batch, epochs, fewer):
    import numpy as np

    windows = TrainingWindows(np.zeros(count + 1, np.uint16), 1, 1, batch, 1)
    for max_steps in (windows.steps_for(epochs), max(1, windows.steps_for(epochs) - fewer)):
        state = fold([started(max_steps=max_steps, steps_per_epoch=windows.steps_per_epoch)])
        assert state.epochs == windows.epoch_of(max_steps)
    if count >= batch:
        assert windows.epoch_of(windows.steps_for(epochs)) == epochs


def test_nothing_is_known_at_first():
    state = RunState()
    assert (state.current_step, state.max_steps, state.epochs, state.evaluation) == (0, None, None, None)
    assert (state.elapsed_seconds, state.tokens_per_second, state.standing_advice) == (0.0, None, [])
    assert fold([started(steps_per_epoch=0.0)]).epochs is None


def test_a_resume_keeps_what_came_before_its_step(step_event):
    first = [started(), *(step_event(step) for step in range(1, 31)), evaluated(30, 2.0, is_best=True)]
    state = fold([*first, Record(30.0, 0, RunFinished("stopped", 30, 3.1)), started(resumed_from_step=30)])
    assert (state.current_step, state.step.step, state.best.step) == (30, 30, 30)
    assert state.elapsed_seconds == 3.0


def test_a_resumed_run_is_as_fast_as_it_is_now(step_event):
    state = fold([started(), *(step_event(step, tokens_per_second=1e6) for step in range(1, 31))])
    state.apply(started(resumed_from_step=30))
    assert state.tokens_per_second is None
    state.apply(step_event(31, tokens_per_second=10.0))
    assert state.tokens_per_second == pytest.approx(10.0)


def test_an_evaluation_that_is_measured_again_replaces_the_first():
    state = fold([started(), evaluated(10, 3.0, is_best=True), evaluated(10, 2.5, is_best=True)])
    assert [event.val_loss for event in state.evaluations] == [2.5]


def test_the_newest_evaluations_are_kept_and_the_first_and_the_best_however_old(monkeypatch):
    monkeypatch.setattr("tui_trainer.monitor.run_state.MAX_EVALUATIONS", 10)
    state = RunState()
    for step in range(50):
        state.apply(evaluated(step, 1.0 if step == 20 else 9.0 - step / 50, is_best=step in (0, 5, 20)))
        assert len(state.evaluations) == min(10, step + 1)
    assert [event.step for event in state.evaluations] == [0, 20, *range(42, 50)]
    assert state.measured[1] == (20, 1.0, 1.0)
    state = fold(evaluated(step, 9.0, is_best=step == 0) for step in range(50))
    assert [event.step for event in state.evaluations] == [0, *range(41, 50)]


def test_advice_is_fed_once_a_level_but_its_figures_stay_fresh():
    state = fold([advice(1, "warning"), advice(2, "warning"), advice(3, "wrong"), advice(4, "wrong")])
    assert [record.event.step for record in state.feed] == [1, 3]
    assert [event.evidence for event in state.standing_advice] == ["at 4"]
    state.apply(Record(5.0, 0, AdviceCleared("overfitting", 5)))
    state.apply(advice(6, "warning"))
    assert [record.event.step for record in state.feed] == [1, 3, 5, 6]


def test_standing_advice_is_worst_first_and_unknown_levels_come_last():
    raised = [advice(1, "note", "a"), advice(2, "wrong", "b"), advice(3, "odd", "c"), advice(4, "warning", "d")]
    assert [event.rule for event in fold(raised).standing_advice] == ["b", "d", "a", "c"]


def test_the_feed_is_bounded():
    state = fold(evaluated(step, 1.0, is_best=False) for step in range(2 * FEED_LENGTH))
    assert len(state.feed) == FEED_LENGTH
    assert state.feed[-1].event.step == 2 * FEED_LENGTH - 1


def test_a_step_without_a_loss_leaves_a_gap(step_event):
    step = step_event(1)
    state = fold([started(), replace(step, event=replace(step.event, train_loss=None, train_perplexity=None))])
    assert (len(state.history.train_loss), len(state.history.learning_rate), state.current_step) == (0, 1, 1)
    assert (state.history.train_loss.gaps(2, 0, 1), state.history.learning_rate.gaps(2, 0, 1)) == (
        [False, True],
        [False, False],
    )


def test_a_machine_without_a_gpu_has_no_gaps():
    state = fold([Record(1.0, 0, HardwareSampled(step, 50.0, 10**9, 10**10)) for step in (1, 2)])
    history = state.history
    assert (len(history.cpu_percent), len(history.gpu_percent), history.gpu_percent.gaps(1, 0, 9)) == (2, 0, [False])
    state.apply(Record(1.0, 0, HardwareSampled(3, 50.0, 10**9, 10**10, 90.0, 10**8, 10**9)))
    assert (history.gpu_percent.last.last, history.gpu_memory_bytes.last.last) == (90.0, 10**8)


def test_overflows_are_counted_and_fed_once_and_other_skips_each():
    def skipped(reason: str) -> Record:
        return Record(1.0, 0, StepSkipped(7, reason, None, None, 1024.0))

    state = fold([started(), *[skipped("overflow")] * 9, *[skipped("non_finite")] * 2])
    assert (state.overflows, state.non_finite_skips) == (9, 2)
    assert [record.event.reason for record in state.feed if isinstance(record.event, StepSkipped)] == [
        "overflow", "non_finite", "non_finite",
    ]  # fmt: skip


def test_the_newest_sample_of_each_prompt_is_kept_and_their_number_is_bounded():
    def sampled(step: int, prompt: str) -> Record:
        return Record(1.0, 0, SampleGenerated(step, prompt, f"{prompt}{step}", {}))

    state = fold([sampled(step, prompt) for step in (1, 2) for prompt in ("a", "b")])
    assert [sample.text for sample in state.samples.values()] == ["a2", "b2"]
    assert state.sample.text == "a2", "the first of the newest step, so that it does not change with each prompt"
    state = fold([sampled(step, f"{step}") for step in range(5 * MAX_PROMPTS)])
    assert len(state.samples) == MAX_PROMPTS
    assert state.sample.step == 5 * MAX_PROMPTS - 1
    assert not state.feed


def test_a_smaller_micro_batch_is_known_until_the_next_start():
    state = fold([started(micro_batch_size=8), Record(1.0, 0, MicroBatchReduced(3, 4, "out of memory"))])
    assert state.micro_batch_size == 4
    assert isinstance(state.feed[-1].event, MicroBatchReduced)
    state.apply(started(resumed_from_step=2, micro_batch_size=2))
    assert state.micro_batch_size == 2


@pytest.mark.parametrize(("settled", "max_steps"), [(300, 300), (None, 100)])
def test_the_last_step_may_be_set_while_it_trains(settled, max_steps):
    """The trainer says what it settled on, by whichever key, epochs included."""
    event = ControlApplied("1", "set", {"key": "training.epochs", "value": 6}, "me", 5, settled)
    state = fold([started(), Record(1.0, 0, event)])
    assert (state.max_steps, state.epochs) == (max_steps, max_steps // 50)
