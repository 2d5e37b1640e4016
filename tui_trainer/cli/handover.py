"""Handing a run over to a process of its own, so that it trains on when this one leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status

WAIT_SECONDS = 30.0
"""For the other process to be ready for its first step."""
END_SECONDS = 5.0
LOOK_SECONDS = 0.1


class Successor:
    """The process that goes on with a run. It needs no terminal and is not this one's child for long."""

    def __init__(self, run: RunDirectory) -> None:
        """Starts it, on the device that the run was on."""
        self._run = run
        device = str(run.describe().get("device") or "auto")
        command = [sys.executable, "-m", "tui_trainer", "resume", str(run.path), "--headless", "--device", device]
        with run.console_log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )

    def wait(self, seconds: float = WAIT_SECONDS) -> str | None:
        """Waits until it trains, and returns None; else ends it, and returns why in a line."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._process.poll() is not None:
                return f"the other process ended with exit code {self._process.returncode}; see {self._run.console_log}"
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


def hand_over(run: RunDirectory, start: Callable[[RunDirectory], Successor] = Successor) -> str | None:
    """Has another process go on with a saved run; returns None when it does, else why not."""
    try:
        successor = start(run)
    except OSError as error:
        return f"no other process could be started: {os.strerror(error.errno or 0)}"
    return successor.wait()
