"""`tui-trainer attach`: comes back to a run, from anywhere on its machine."""

from __future__ import annotations

import os
import sys
import threading
import time

from tui_trainer.cli.attached_run import AttachedRun
from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.watching import POLL_SECONDS, has_terminal, record_printer
from tui_trainer.console.tables import runs_table
from tui_trainer.errors import UserError
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.run_list import find_running
from tui_trainer.runs.catalogue import find_run, list_runs
from tui_trainer.runs.directory import RunDirectory


def attach(name: str | None, *, is_readonly: bool, headless: bool, json: bool) -> int:
    """Shows a run: live when somebody trains it, else as it ended. Returns the exit code.

    Raises:
        UserError: when there is no such run, or none at all, or nobody can be asked which.
    """
    # This process never trains: one thread is enough to answer a prompt, and more would slow the training down.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    is_lines = headless or json or not has_terminal()
    run = find_run(name) if name else find_the_one()
    if is_lines:
        if run is None:
            sys.stdout.write(runs_table(list_runs()) + "\n")
            raise UserError("attach to which run? tui-trainer attach RUN")
        return _print_lines(run, json)
    from tui_trainer.cli.screen import Runs, show_screen

    return show_screen(run or Runs(list_runs()), is_readonly=is_readonly)


def find_the_one() -> RunDirectory | None:
    """The run that is trained now, or None when there are none or several.

    Raises:
        UserError: when there is no run at all.
    """
    runs = list_runs()
    if not runs:
        raise UserError("no runs yet; start one: tui-trainer train quick-test")
    running = find_running(runs, time.time())
    return running[0] if len(running) == 1 else None


def _print_lines(run: RunDirectory, json: bool) -> int:
    """Everything that happened and what happens now, until the run ends, a signal comes or nobody reads any more.

    Returns the exit code.

    Raises:
        UserError: when its configuration cannot be read.
    """
    reader = sys.stdout  # `print_line` puts another one there when this one is gone
    follower, attached, is_over = RunFollower(run, is_glimpsing=False), AttachedRun(run), threading.Event()
    with SignalWatcher(is_over.set, lambda: None, lambda: None, lambda: False) as signals:
        show = record_printer(follower, json)
        while True:
            is_alive = attached.is_alive()
            while follower.poll(show) and sys.stdout is reader and not is_over.is_set():
                pass
            if not is_alive or sys.stdout is not reader or is_over.wait(POLL_SECONDS):
                break
    return 128 + signals.received if signals.received else 0
