"""Whether somebody still works on a run."""

from __future__ import annotations

import os
import socket
from enum import Enum

from tui_trainer.runs.status import Status, boot_id

STALE_SECONDS = 10.0
MOVING_SECONDS = 40.0
"""How long a handover may take: nobody writes a heartbeat meanwhile."""


class Liveness(Enum):
    """What a status file and the clock say together."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    STALE = "stale"
    DEAD = "dead"
    ENDED = "ended"


def judge(status: Status | None, now: float) -> Liveness:
    """Judges a run by its last status.

    A process of this machine and this boot that is gone is dead; elsewhere only silence can tell.
    """
    if status is None:
        return Liveness.UNKNOWN
    if status.state in ("finished", "failed"):
        return Liveness.ENDED
    if status.state == "moving":
        return Liveness.ALIVE if now - status.heartbeat <= MOVING_SECONDS else Liveness.DEAD
    if status.host == socket.gethostname() and status.boot_id == boot_id() and not _exists(status.pid):
        return Liveness.DEAD
    return Liveness.STALE if now - status.heartbeat > STALE_SECONDS else Liveness.ALIVE


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OverflowError:  # no process id of this system
        return False
    except PermissionError:
        return True
    return True
