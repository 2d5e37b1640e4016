"""The loss chart: its axes hold what it shows."""

from __future__ import annotations

from dataclasses import replace

from recorded import RECORDINGS, RecordedTraining, app_on, catch_up

from tui_trainer.event_codec import decode
from tui_trainer.events import CheckpointSaved, EvaluationCompleted, RunStarted, StepCompleted
from tui_trainer.tui.widgets.loss_chart import BEST_SIGN, GUTTER, LossChart


async def test_a_best_from_before_the_run_went_back_keeps_its_place(services, record_of):
    events = [decode(line).event for line in (RECORDINGS / "quick-test.jsonl").read_bytes().splitlines()]
    start = next(event for event in events if isinstance(event, RunStarted))
    best = [replace(event, val_loss=1.0) for event in events if isinstance(event, EvaluationCompleted)][-1]
    step = next(event for event in events if isinstance(event, StepCompleted) and event.step == 1510)
    also = [best, CheckpointSaved(2244, "x", is_best=True, seconds=0.1)]
    also += [replace(start, max_steps=4400, resumed_from_step=1500), step]
    app = app_on(services, RecordedTraining(record_of("quick-test", also=also)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        state, width = app.screen.follower.state, app.screen.query_one(LossChart).size.width
        lines = ["".join(part for part, _ in line) for line in app.screen.query_one(LossChart)._lines]
    assert (state.current_step, state.best.step, state.best_checkpoint_step) == (1510, 2244, 2244)
    (row,) = [line for line in lines if BEST_SIGN in line]
    assert abs((row.index(BEST_SIGN) - GUTTER) / (width - GUTTER) - 2244 / 4400) < 0.02, "at its step"
    assert "4,400" in lines[-1]
    assert any(line.strip().startswith("2.0") for line in lines), "the axis of values reaches it"


async def test_the_axis_of_steps_reaches_a_best_that_lies_ahead(services, record_of):
    events = [decode(line).event for line in (RECORDINGS / "quick-test.jsonl").read_bytes().splitlines()]
    start = next(event for event in events if isinstance(event, RunStarted))
    app = app_on(services, RecordedTraining(record_of("quick-test", also=[replace(start, resumed_from_step=200)])))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        lines = ["".join(part for part, _ in line) for line in app.screen.query_one(LossChart)._lines]
    (row,) = [line for line in lines if BEST_SIGN in line]
    assert row.endswith(BEST_SIGN) and lines[-1].rstrip().endswith("2,244")
