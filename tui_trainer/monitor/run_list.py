"""Which runs there are and how they stand, in words."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tui_trainer.monitor import numbers
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.runs.catalogue import name_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status, boot_id, read_status

RUN_HEAD = ("run", "preset", "state", "step", "best val", "where")
WORDS = {Liveness.ALIVE: "training", Liveness.DEAD: "interrupted"}


def describe_run(run: RunDirectory, now: float) -> tuple[str, ...]:
    """A run as a row under `RUN_HEAD`, safe to show, read from its directory; `now` in Unix seconds."""
    status = read_status(run.status_file)
    step = f"{status.step:,}/{numbers.whole(status.max_steps)}" if status else numbers.UNKNOWN
    return (
        safe_line(name_of(run)),
        safe_line(run.preset),
        state_of(run, now),
        step,
        numbers.loss(run.best_metrics().get("val_loss")),
        safe_line(str(run.path)),
    )


def state_of(run: RunDirectory, now: float) -> str:
    """What a run is doing at `now`, in Unix seconds, or how it ended; safe to show: its status may be anyone's."""
    status = read_status(run.status_file)
    liveness = judge(status, now)
    if status and liveness is Liveness.ENDED:
        return safe_line((status.reason or status.state).replace("_", " "))
    if status and liveness is Liveness.ALIVE and status.phase == "paused":
        return "paused"
    return WORDS.get(liveness, liveness.value)


def find_running(runs: Sequence[RunDirectory], now: float) -> list[RunDirectory]:
    """The runs that somebody trains at `now`, in Unix seconds; copies that are kept fresh only where it is no other."""
    statuses = {run: read_status(run.status_file) for run in runs}
    running = [run for run in runs if judge(statuses[run], now) in (Liveness.ALIVE, Liveness.STALE)]
    return [run for run in running if not _is_copy(statuses[run])] or running


def find_busy_here(runs: Sequence[RunDirectory], now: float) -> list[RunDirectory]:
    """Those of them that compute on this machine: beside them other work is to be sparing."""
    return [run for run in runs if _is_busy_here(read_status(run.status_file), now)]


def _is_copy(status: Status | None) -> bool:
    return status is not None and status.is_elsewhere


def _is_busy_here(status: Status | None, now: float) -> bool:
    """A status of an earlier boot, or of a process that is paused or silent, may stay for good."""
    return (
        status is not None
        and not status.is_paused
        and (status.host, status.boot_id) == (socket.gethostname(), boot_id())
        and judge(status, now) is Liveness.ALIVE
    )
