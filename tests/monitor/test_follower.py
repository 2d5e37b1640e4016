from __future__ import annotations

import json
import subprocess
import sys

import pytest
from facts import started

from tui_trainer.config import to_toml
from tui_trainer.errors import UserError
from tui_trainer.events import ControlApplied, RunFinished
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.presets import apply_overrides
from tui_trainer.runs.event_log import EventLogWriter
from tui_trainer.runs.status import Status


def test_a_follower_of_a_finished_run_knows_everything_and_expects_nothing(run_dir, recording):
    seen = []
    follower = RunFollower(run_dir("quick-test"))
    follower.drain(seen.append)
    assert seen == recording("quick-test")
    assert follower.state.current_step == 2244
    assert follower.seconds_left is None
    assert follower.schedule(2244) == follower.state.step.learning_rate


def test_it_says_whether_anything_is_new(run_dir):
    run = run_dir()
    follower = RunFollower(run)
    assert not follower.poll()
    assert (follower.schedule, follower.seconds_left, follower.status) == (None, None, None)
    run.status_file.write_text(json.dumps(Status(step=3).__dict__))
    assert follower.poll()
    assert follower.status == Status(step=3)
    assert not follower.poll()
    EventLogWriter(run.event_log, 0, lambda: 1.0).append(RunFinished("stopped", 3, 1.0))
    assert follower.poll()
    assert not follower.poll()


def test_the_planned_rates_are_those_that_were_used(run_dir, recording):
    follower = RunFollower(run_dir("quick-test"))
    follower.drain()
    for record in recording("quick-test"):
        if hasattr(record.event, "learning_rate"):
            assert follower.schedule(record.event.step) == pytest.approx(record.event.learning_rate, rel=1e-9)


def test_the_time_left_of_a_recorded_run_is_near_the_truth(run_dir, recording):
    run = run_dir()
    follower, records = RunFollower(run), recording("quick-test")
    for share in (0.25, 0.5, 0.75):
        taken = int(len(records) * share)
        follower = RunFollower(run)
        for record in records[:taken]:
            follower.state.apply(record)
        truth = records[-1].time - records[taken - 1].time
        assert 0.6 * truth < follower.seconds_left < 1.5 * truth


def test_a_run_without_a_configuration_is_refused(run_dir):
    run = run_dir()
    run.config_file.unlink()
    with pytest.raises(UserError, match="no such file"):
        RunFollower(run)


@pytest.mark.parametrize(
    "event",
    [
        ControlApplied("1", "set", {"key": "training.learning_rate", "value": 2e-3}, "me", 5),
        started(resumed_from_step=5).event,
    ],
    ids=["set", "resume"],
)
def test_settings_that_changed_are_read_again(run_dir, event):
    run = run_dir()
    log = EventLogWriter(run.event_log, 0, lambda: 1.0)
    log.append(started().event)
    follower = RunFollower(run)
    follower.drain()
    run.config_file.write_text(to_toml(apply_overrides(follower.config, ["training.learning_rate=0.002"])))
    follower.drain()
    assert follower.schedule.peak == 1e-3
    log.append(event)
    follower.drain()
    assert follower.schedule.peak == 2e-3


def test_the_plan_ends_with_a_last_step_that_was_set(run_dir):
    run = run_dir("quick-test")
    EventLogWriter(run.event_log, 0, lambda: 1.0).append(
        ControlApplied("1", "set", {"key": "training.max_steps", "value": 3000}, "me", 2244, 3000)
    )
    follower = RunFollower(run)
    follower.drain()
    assert (follower.state.max_steps, follower.schedule.max_steps) == (3000, 3000)


def test_the_picker_and_a_follower_start_without_numpy():
    """It takes a tenth of a second, and nobody needs it before the first curve."""
    code = (
        "import tui_trainer.tui.app, tui_trainer.tui.screens.picker, tui_trainer.monitor.follower, sys\n"
        "tui_trainer.monitor.follower.RunState()\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
