"""Time that counts as training."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import changed, events, tiny_config, write_text

from tui_trainer.config import to_toml
from tui_trainer.events import StepCompleted
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status
from tui_trainer.training.stopwatch import Stopwatch


class Clocks:
    """A wall clock and a processor clock that a test moves."""

    def __init__(self) -> None:
        self.wall, self.cpu = 10.0, 3.0
        self.watch = Stopwatch(lambda: self.wall, lambda: self.cpu)

    def read_after(self, wall: float, cpu: float) -> float:
        self.wall += wall
        self.cpu += cpu
        return self.watch.seconds


def test_it_stands_still_while_it_is_held() -> None:
    clocks = Clocks()
    clocks.watch.add(5.0)
    assert clocks.read_after(2.0, 2.0) == 7.0
    with pytest.raises(KeyError), clocks.watch.held():
        assert clocks.read_after(8.0, 8.0) == 7.0
        raise KeyError
    assert clocks.read_after(1.0, 1.0) == 8.0


def test_a_stopped_process_does_not_count_and_a_slow_step_does() -> None:
    clocks = Clocks()
    assert clocks.read_after(60.0, 110.0) == 60.0, "a step of a minute on two cores"
    assert clocks.read_after(60.0, 0.5) == 60.5, "half a second of work, then a stop of a minute"
    assert clocks.read_after(1.0, 0.0) == 61.5, "a second of waiting, for a disk for instance"


def test_it_can_be_held_within_a_hold() -> None:
    """A full disk in the middle of a pause: the pause goes on behind it."""
    clocks = Clocks()
    with clocks.watch.held():
        with clocks.watch.held():
            clocks.read_after(2.0, 2.0)
        assert clocks.read_after(2.0, 2.0) == 0.0
    assert clocks.read_after(1.0, 1.0) == 1.0


def test_a_stop_within_a_pause_does_not_count_either() -> None:
    clocks = Clocks()
    with clocks.watch.held():
        clocks.read_after(600.0, 0.0)
    assert clocks.read_after(1.0, 1.0) == 1.0


def test_a_process_that_is_stopped_counts_neither_in_time_nor_in_speed(tmp_path: Path) -> None:
    config = changed(tiny_config(write_text(tmp_path)), max_steps=1_000_000, eval_interval=500_000)
    (tmp_path / "endless.toml").write_text(to_toml(config))
    run = RunDirectory(tmp_path / "run")
    command = [sys.executable, "-m", "tui_trainer", "train", str(tmp_path / "endless.toml"), "--headless"]
    with subprocess.Popen([*command, "--run-dir", str(run.path)], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_steps(run, 20)
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(0.5)  # what it wrote before is read
            before, stopped = events(run, StepCompleted)[-1], time.monotonic()
            time.sleep(6.0)
            pause = time.monotonic() - stopped
            os.kill(process.pid, signal.SIGCONT)
            wait_for_steps(run, len(events(run, StepCompleted)) + 20)
            steps = [event for event in events(run, StepCompleted) if event.step > before.step]
            status = read_status(run.status_file)
            assert status is not None
            in_between = steps[0].elapsed_seconds - before.elapsed_seconds
            assert in_between < 0.5 * pause, "most of the stop is not in the elapsed time"
            slowest = max(config.tokens_per_step / event.tokens_per_second for event in steps)
            assert slowest < 0.5 * pause, "nor in the speed of the step that was under way"
        finally:
            process.kill()


def wait_for_steps(run: RunDirectory, count: int) -> None:
    until = time.monotonic() + 60
    while not run.event_log.exists() or len(events(run, StepCompleted)) < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_elapsed_time_runs_before_the_first_step_is_made(tmp_path: Path) -> None:
    """Here the first evaluation never ends."""
    config = changed(tiny_config(write_text(tmp_path, 300_000)), max_steps=1_000_000)
    slow = config.model_copy(update={"model": config.model.model_copy(update={"n_embd": 256, "n_layer": 8})})
    (tmp_path / "slow.toml").write_text(to_toml(slow))
    run = RunDirectory(tmp_path / "run")
    command = [sys.executable, "-m", "tui_trainer", "train", str(tmp_path / "slow.toml"), "--headless"]
    with subprocess.Popen([*command, "--run-dir", str(run.path)], stdout=subprocess.DEVNULL) as process:
        try:
            seen: set[float] = set()
            until = time.monotonic() + 60
            while len(seen) < 3:
                assert time.monotonic() < until and (not run.event_log.exists() or not events(run, StepCompleted))
                status = read_status(run.status_file)
                if status and status.elapsed_seconds > 0:
                    seen.add(status.elapsed_seconds)
                time.sleep(0.1)
        finally:
            process.kill()
