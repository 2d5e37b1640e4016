"""Whether somebody still works on a run."""

from __future__ import annotations

import os
import socket
import time
from enum import Enum

from tui_trainer.monitor import numbers
from tui_trainer.runs.status import Status, boot_id

STALE_SECONDS = 10.0
LONG_SECONDS = 20.0
"""A step that takes longer is said to: it lives, but nothing on the screen moves."""
MOVING_SECONDS = 40.0
"""How long a handover may take: nobody writes a heartbeat meanwhile."""


ENDINGS = ("finished", "failed")


class Liveness(Enum):
    """What a status file and the clock say together."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    STALE = "stale"
    DEAD = "dead"
    ENDED = "ended"


def judge(status: Status | None, now: float) -> Liveness:
    """Judges a run by its last status.

    A process of this machine and this boot that is gone is dead; elsewhere only silence can tell. A copy lives as
    long as somebody keeps it fresh.
    """
    if status is None:
        return Liveness.UNKNOWN
    if status.state in ENDINGS:
        return Liveness.ENDED
    if status.state == "moving":
        return Liveness.ALIVE if now - status.heartbeat <= MOVING_SECONDS else Liveness.DEAD
    if status.host == socket.gethostname() and status.boot_id == boot_id() and not _exists(status.pid):
        return Liveness.DEAD
    if now - status.heartbeat <= STALE_SECONDS:
        return Liveness.ALIVE
    return Liveness.DEAD if status.is_elsewhere else Liveness.STALE


def is_trained_elsewhere(status: Status) -> bool:
    """Whether its process is at work, but on another directory: nobody would take a command from this one."""
    if not status.is_elsewhere or status.state in ENDINGS:
        return False
    if status.state == "moving":
        return time.time() - status.heartbeat <= MOVING_SECONDS
    return _exists(status.pid)


def silence_text(status: Status | None, now: float) -> str:
    """What is to be said of a run that gives no sign of life; empty while it does, or has ended."""
    liveness = judge(status, now)
    if status is None or liveness not in (Liveness.DEAD, Liveness.STALE):
        return ""
    silent = numbers.duration(now - status.heartbeat)
    if status.is_elsewhere:
        return f"a copy, not updated for {silent}"
    return f"its process has been gone for {silent}" if liveness is Liveness.DEAD else f"no heartbeat for {silent}"


def waiting_text(status: Status | None, now: float) -> str:
    """How long a run has been in the same step, when that is long."""
    if status is None or not status.progressed_at or now - status.progressed_at < LONG_SECONDS:
        return ""
    return f", {numbers.duration(now - status.progressed_at)} in this step"


def _exists(pid: int) -> bool:
    """A process that has ended but whose parent never asked is gone, too: in a container that may be for good."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:  # of another user
        return True
    except (ProcessLookupError, OverflowError):  # or no process id of this system
        return False
    import psutil  # 30 ms, which a picker without a running training does not need

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
