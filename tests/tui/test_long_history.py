"""A run of many steps: its end at once, its whole history soon after, and keys answered in between."""

from __future__ import annotations

import json
import math

import pytest
from recorded import RecordedTraining, app_on, text_of, wait_until

from tui_trainer.event_codec import encode
from tui_trainer.events import Record, StepCompleted
from tui_trainer.tui.widgets.chart import Chart

STEPS = 12_000


REST = "tui_trainer.tui.screens.monitor.RESTING_SECONDS"
"""Long while a test looks at a history that is half read, then none."""


@pytest.fixture
def long_run(record_of, monkeypatch):
    """The spike is at step 500, far before what a glimpse sees."""
    monkeypatch.setattr("tui_trainer.monitor.follower.LONG_LOG_BYTES", 200_000)
    monkeypatch.setattr("tui_trainer.monitor.follower.GLIMPSE_BYTES", 50_000)
    monkeypatch.setattr("tui_trainer.tui.screens.monitor.FOLDING_SECONDS", 0.0)
    monkeypatch.setattr(REST, 0.5)
    run = record_of("quick-test", 0.1, start={"max_steps": STEPS}, max_steps=STEPS)
    step = next(json.loads(line) for line in run.event_log.read_bytes().splitlines() if b"StepCompleted" in line)
    fields = {name: value for name, value in step.items() if name in StepCompleted.__dataclass_fields__}
    with run.event_log.open("ab") as log:
        for number in range(400, STEPS + 1):
            loss = 80.0 if number == 500 else 2.0 + math.sin(number / 500)
            log.write(encode(Record(1.0, 0, StepCompleted(**fields | {"step": number, "train_loss": loss}))))
    return run


async def test_the_end_is_there_at_once_and_the_spike_soon(services, long_run, monkeypatch):
    app = app_on(services, RecordedTraining(long_run, ends_with_screen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        app.screen.look()
        await pilot.pause()
        follower = app.screen.follower
        assert "12,000 / 12,000" in text_of(app) and follower.history_share < 1
        assert "reading its history" in text_of(app)
        await pilot.press("c")
        assert app.screen.query_one(Chart).view.name != "loss", "keys are answered meanwhile"
        monkeypatch.setattr(REST, 0.0)
        await wait_until(pilot, lambda: follower.history_share == 1, 30)
        highest = max(column[1] for column in follower.state.history.train_loss.columns(200, 0, STEPS) if column)
        assert highest == 80.0


async def test_an_ended_run_is_not_read_whole_before_it_is_shown(services, long_run, monkeypatch):
    """Else the screen would stand still for as long as that takes."""
    app = app_on(services, RecordedTraining(long_run, is_running=False, ends_with_screen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        app.screen.look()
        assert app.screen.follower.history_share < 1
        monkeypatch.setattr(REST, 0.0)
        await wait_until(pilot, lambda: app.screen.follower.history_share == 1, 30)
