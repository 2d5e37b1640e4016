"""`tui-trainer control`: asks a running training for something, and says what came of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tui_trainer.errors import UserError, did_you_mean
from tui_trainer.events import ControlApplied, ControlDiscarded
from tui_trainer.monitor.controls import control_news
from tui_trainer.monitor.liveness import Liveness, is_trained_elsewhere, judge
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.runs.catalogue import find_run, is_run
from tui_trainer.runs.control import name_requester, send_command, setting_value, withdraw_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogReader
from tui_trainer.runs.status import read_status

ACTIONS = ("pause", "resume", "save", "stop", "evaluate", "sample", "set")
ANSWER_SECONDS = 60.0
"""A step, an evaluation batch or a piece of text may take long; the answer comes at its end."""
LOOK_SECONDS = 0.05
EXIT_NO_EFFECT = 1
OVER = {Liveness.DEAD: "its process is gone", Liveness.ENDED: "it has ended"}
"""Why nobody answers any more."""


def control(name: str, action: str, setting: str | None) -> int:
    """Sends a command and waits for its answer. Returns the exit code: 0 applied, 1 no effect or no answer.

    Raises:
        UserError: for a command that cannot be sent, or a run that nobody trains any more.
    """
    value = value_of(action, setting)
    run = find_run(name)
    refuse_elsewhere(run)
    if judge(read_status(run.status_file), time.time()) not in (Liveness.ALIVE, Liveness.STALE):
        raise UserError(f"{run.path}: nobody trains it; tui-trainer resume {run.path} goes on with it")
    answers = EventLogReader(run.event_log, from_end=True)
    return _wait_for_answer(run, answers, send(run, action, value))


def send(run: RunDirectory, action: str, value: Any) -> str:
    """Sends a command and returns its id.

    Raises:
        UserError: when its folder cannot be written, for instance because this person may not steer the run, or
            when nobody would read it there.
    """
    refuse_elsewhere(run)
    try:
        return send_command(run.control, action, name_requester(), value)
    except OSError as error:
        raise UserError(f"{run.control}: {error.strerror}; who may write there may steer") from error


def refuse_elsewhere(run: RunDirectory) -> None:
    """Raises UserError for a copy, or a directory that was renamed, of a run that goes on training."""
    status = read_status(run.status_file)
    if status is None or not is_trained_elsewhere(status):
        return
    is_there = is_run(Path(status.directory))
    fix = "name that directory instead" if is_there else "it was moved from there: move it back to steer it"
    raise UserError(f"{run.path} is not where this run is training\nits process uses {status.directory}; {fix}")


def value_of(action: str, setting: str | None) -> dict[str, Any] | None:
    """What goes with an action: only `set` has a value, which was typed as KEY=VALUE.

    Raises:
        UserError: for an action that nobody knows, or a value that does not belong to it.
    """
    if action not in ACTIONS:
        raise UserError(f"{action}: must be one of {', '.join(ACTIONS)}{did_you_mean(action, list(ACTIONS))}")
    if action != "set":
        if setting is not None:
            raise UserError(f"{action} takes no value; only set does: set training.learning_rate=3e-4")
        return None
    key, sign, value = (setting or "").partition("=")
    if not (key and sign and value):
        raise UserError("set needs a KEY=VALUE, for instance: set training.learning_rate=3e-4")
    return setting_value(key.strip(), value.strip())


def _wait_for_answer(run: RunDirectory, answers: EventLogReader, command: str) -> int:
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        # Before the look into the log: what was answered before the end is found there.
        liveness = judge(read_status(run.status_file), time.time())
        if answer := _find_answer(answers, command):
            return _say(answer)
        if liveness in OVER:
            withdraw_command(run.control, command)
            raise UserError(f"{run.path}: {OVER[liveness]}; tui-trainer resume {run.path} goes on with it")
        time.sleep(LOOK_SECONDS)
    sys.stdout.write(f"no answer yet; it waits in {safe_text(str(run.control))}\n")
    return EXIT_NO_EFFECT


def _find_answer(answers: EventLogReader, command: str) -> ControlApplied | ControlDiscarded | None:
    """The answer to a command, if it is among what is new in the log."""
    while records := answers.read():
        for record in records:
            if isinstance(record.event, ControlApplied | ControlDiscarded) and record.event.id == command:
                return record.event
    return None


def _say(answer: ControlApplied | ControlDiscarded) -> int:
    """Prints an answer. Returns the exit code."""
    at = f" at step {answer.step:,}" if isinstance(answer, ControlApplied) else ""
    sys.stdout.write(safe_text(f"{control_news(answer)}{at}") + "\n")
    return 0 if isinstance(answer, ControlApplied) else EXIT_NO_EFFECT
