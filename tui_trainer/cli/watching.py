"""Starts a training and puts it on the screen, or on plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from json import dumps, loads
from typing import Protocol

from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.summary import summary_lines
from tui_trainer.cli.terminal_loss import TerminalLoss
from tui_trainer.console.lines import LineFormatter
from tui_trainer.console.tables import presets_table
from tui_trainer.event_codec import encode
from tui_trainer.events import Record, StepCompleted
from tui_trainer.monitor.follower import RunFollower, ignore_record, open_follower
from tui_trainer.monitor.forecast import make_forecasts
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.presets import Preset, change_presets, list_presets
from tui_trainer.runs.event_log import last_segment
from tui_trainer.training.launch import NewRun, ResumedRun, TrainingHandle, launch

POLL_SECONDS = 0.2


def has_terminal() -> bool:
    """Whether a person sits at a terminal that can show a screen."""
    return os.environ.get("TERM", "dumb") not in ("", "dumb") and all(_is_terminal(fd) for fd in (0, 1, 2))


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def describe_presets(presets: Sequence[Preset]) -> str:
    """The presets with their forecasts, as a table."""
    return presets_table(presets, make_forecasts(presets))


def open_picker(overrides: Sequence[str], data: Sequence[str], *, is_outliving: bool) -> int:
    """Lets a person choose a preset on the screen; without a terminal the presets are printed.

    Args:
        overrides: `section.key=value` changes to whichever preset is chosen.
        data: text for whichever preset is chosen, instead of its own.
        is_outliving: whether a training goes on when the terminal hangs up.

    Raises:
        UserError: for a change that no preset takes.
    """
    presets = change_presets(list_presets(), overrides, data)
    if not has_terminal():
        sys.stdout.write(describe_presets(presets) + "\n")
        return 0
    from tui_trainer.cli.screen import show_screen

    return show_screen(presets, is_outliving=is_outliving)


def watch(request: NewRun | ResumedRun, *, headless: bool, json: bool, is_outliving: bool) -> int:
    """Trains and shows it. Returns the exit code."""
    if headless or json or not has_terminal():
        return _watch_lines(request, json, is_outliving)
    from tui_trainer.cli.screen import show_screen

    return show_screen(request, is_outliving=is_outliving)


def _watch_lines(request: NewRun | ResumedRun, json: bool, is_outliving: bool) -> int:
    """Follows the run directory, as the screen does, and prints what this process adds to it."""
    first_segment = last_segment(request.run.event_log) + 1 if isinstance(request, ResumedRun) else 0
    handle = launch(request)
    loss = TerminalLoss(lambda: handle, is_outliving=is_outliving)
    with SignalWatcher(handle.stop, handle.join, _stay, loss.outlive) as signals:
        try:
            follower = _follow(handle, json, first_segment)
        finally:  # whatever printing met, the training is saved before the signals are let go
            if handle.is_alive():
                handle.stop()
                handle.join()
    if follower and not json:
        print_line("\n".join(summary_lines(follower)))
    return finish(handle, signals.received)


def _stay() -> None:
    """Plain lines have no screen to close: they end when the training does."""


class Ended(Protocol):
    """A training that is over."""

    @property
    def failure(self) -> str | None: ...

    @property
    def exit_code(self) -> int: ...


def finish(handle: Ended, signal_number: int | None) -> int:
    """Says why a training failed, if it did, and returns the exit code."""
    if handle.failure:
        with contextlib.suppress(OSError):
            sys.stderr.write(safe_text(handle.failure) + "\n")
        return handle.exit_code
    return 128 + signal_number if signal_number else handle.exit_code


def _follow(handle: TrainingHandle, json: bool, first_segment: int) -> RunFollower | None:
    follower: RunFollower | None = None
    show: Callable[[Record], None] = ignore_record
    while True:
        is_alive = handle.is_alive()
        if follower is None and (follower := open_follower(handle.run_dir)):
            show = _only_from(first_segment, record_printer(follower, json))
        if follower:
            follower.drain(show)
        if not is_alive:
            return follower if handle.run_dir else None
        handle.join(POLL_SECONDS)


def _only_from(segment: int, show: Callable[[Record], None]) -> Callable[[Record], None]:
    """Shows what a resumed run adds, not what was printed when it happened."""
    return lambda record: show(record) if record.segment >= segment else None


def record_printer(follower: RunFollower, json: bool) -> Callable[[Record], None]:
    """Prints each record as JSON or as a plain line."""
    return _json_printer(follower) if json else _line_printer(follower)


def _line_printer(follower: RunFollower) -> Callable[[Record], None]:
    formatter = LineFormatter(follower)

    def show(record: Record) -> None:
        if line := formatter.line(record):
            print_line(line)

    return show


def _json_printer(follower: RunFollower) -> Callable[[Record], None]:
    """The lines of the log, in ASCII, so that nothing in them can reach a terminal as a command.

    A step's line has one figure more than the log, the time left: a reader's estimate is no fact of the training.
    """

    def show(record: Record) -> None:
        payload = loads(encode(record))
        if isinstance(record.event, StepCompleted):
            left = follower.seconds_left
            payload["seconds_left"] = None if left is None else round(left, 1)
        print_line(dumps(payload, separators=(",", ":")))

    return show


def print_line(line: str) -> None:
    """A reader that went away does not end the training: it has its run directory."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):  # a closed pipe, a terminal that hung up, a full disk, a closed file
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
