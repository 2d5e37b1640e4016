"""Handing a run over to a process of its own, so that it trains on when this one leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

from tui_trainer.config import RunConfig, to_toml
from tui_trainer.events import ControlDiscarded, RunFinished
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogWriter, last_segment
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.status import Status, read_status, write_status

WAIT_SECONDS = 30.0
"""For the other process to be ready for its first step."""
END_SECONDS = 5.0
LOOK_SECONDS = 0.1


class Successor:
    """The process that goes on with a run. It needs no terminal and is not this one's child for long."""

    def __init__(self, run: RunDirectory, *, is_paused: bool = False) -> None:
        """Starts it, on the device that the run was on; a pause goes on, too."""
        self._run = run
        device = str(run.describe().get("device") or "auto")
        command = [sys.executable, "-m", "tui_trainer", "resume", str(run.path), "--headless", "--device", device]
        command += ["--paused"] if is_paused else []
        with run.console_log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )

    def wait(self, seconds: float = WAIT_SECONDS) -> str | None:
        """Waits until it trains, and returns None; else ends it, and returns why in a line."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            exit_code = self._process.poll()
            if exit_code is not None:  # a short run may have come to its end by now
                failure = f"the other process ended with exit code {exit_code}; see {self._run.console_log}"
                return failure if exit_code else None
            status = read_status(self._run.status_file)
            if status and status.pid == self._process.pid and status.state == "running":
                return None
            time.sleep(LOOK_SECONDS)
        self._end()
        return f"the other process was not ready within {seconds:.0f} s; see {self._run.console_log}"

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def hand_over(run: RunDirectory, *, is_paused: bool = False) -> str | None:
    """Has another process go on with a saved run; returns None when it does, else why not."""
    try:
        successor = Successor(run, is_paused=is_paused)
    except OSError as error:
        return f"no other process could be started: {error.strerror or error}"
    return successor.wait()


def restore_config(run: RunDirectory, config: RunConfig) -> None:
    """Puts back the configuration that a run is trained under; one that was edited meanwhile is kept beside it.

    It may be the very edit that the other process refused, and a training must not end because of that.
    """
    content = to_toml(config).encode()
    with suppress(FileNotFoundError):
        if run.config_file.read_bytes() == content:
            return
        run.config_file.replace(run.path / "config.edited.toml")
    replace_file(run.config_file, content)


def end_moving(run: RunDirectory, status: Status, why: ControlDiscarded) -> None:
    """Has a saved run that nobody goes on with count as stopped."""
    log = EventLogWriter(run.event_log, last_segment(run.event_log), time.time)
    log.append(why)
    log.append(RunFinished("stopped", status.step, round(status.elapsed_seconds, 3)))
    log.close()
    write_status(run.status_file, replace(status, state="finished", reason="stopped"))
