"""`status.json`: what a run is doing right now, replaced each second by a small thread."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tui_trainer.runs.files import is_full_disk, read_json, replace_file

INTERVAL_SECONDS = 1.0


def boot_id() -> str:
    """What tells this start of the machine from any other; empty where the system has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Status:
    """One look at a run. `heartbeat` and `progressed_at` are Unix seconds."""

    state: str = "starting"
    """starting, running, moving (to another process), finished or failed."""
    reason: str = ""
    """Of a finished run: completed, stopped or early_stopped."""
    step: int = 0
    max_steps: int | None = None
    phase: str = ""
    phase_done: int = 0
    phase_total: int | None = None
    is_paused: bool = False
    trouble: str = ""
    """What keeps the trainer waiting and cannot be written to the log either: a full disk. Empty while all is well."""
    elapsed_seconds: float = 0.0
    heartbeat: float = 0.0
    progressed_at: float = 0.0
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    boot_id: str = field(default_factory=boot_id)
    directory: str = ""
    """That of the run, where its process takes commands; empty in a status of an older version."""
    is_elsewhere: bool = False
    """Whether it was read from another directory, a copy or the same one renamed. Not in the file."""


def read_status(path: Path) -> Status | None:
    """The last status of a run, or None when it has none that can be read; a value of a wrong type is left out."""
    content = read_json(path)
    if content is None:
        return None
    known = {name: value for name, value in content.items() if type(value) in _TYPES.get(name, ())}
    status = Status(**{**_UNKNOWN_OWNER, **known})
    return replace(status, is_elsewhere=_is_elsewhere(status, path.parent.absolute()))


def write_status(path: Path, status: Status) -> None:
    """Replaces the status of a run.

    On a full disk it is written over the old one, which needs no room; a reader may then meet half of it, once.

    Raises:
        OSError: when the disk is gone, or full with no status on it yet.
    """
    values = asdict(status)
    del values["is_elsewhere"]
    content = json.dumps(values).encode()
    try:
        replace_file(path, content)
    except OSError as error:
        if not is_full_disk(error):
            raise
        with path.open("r+b") as file:
            file.write(content.ljust(os.fstat(file.fileno()).st_size))
            file.truncate()


def _is_elsewhere(status: Status, read_in: Path) -> bool:
    """Only on the machine of its process: on another one, the same directory may have another path."""
    if status.directory in ("", str(read_in)) or (status.host, status.boot_id) != (socket.gethostname(), boot_id()):
        return False
    try:
        return not read_in.samefile(status.directory)
    except FileNotFoundError:
        return _sees_our_files(status.pid)
    except (OSError, ValueError):  # it cannot be looked at, or is no path
        return False


def _sees_our_files(pid: int) -> bool:
    """Whether a process has this one's mounts: in a container the same directory has another path."""
    try:
        return os.path.samefile(f"/proc/{pid}/ns/mnt", "/proc/self/ns/mnt")  # noqa: PTH121 - a link that leads nowhere
    except OSError:  # it has ended, or is another user's, or there is no /proc
        return True


_UNKNOWN_OWNER: dict[str, Any] = {"pid": 0, "host": "", "boot_id": ""}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
}
_TYPES = {field.name: _PLAIN[str(field.type)] for field in fields(Status) if field.name != "is_elsewhere"}


class StatusFile:
    """Keeps `status.json` fresh. The trainer only changes a value in memory; the thread writes."""

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.time, elapsed: Callable[[], float] = lambda: 0.0
    ) -> None:
        """Prepares the thread; `start` begins to write.

        Args:
            path: of the file.
            clock: Unix seconds.
            elapsed: seconds that were trained so far; asked each second.
        """
        self._path = path
        self._clock = clock
        self._elapsed = elapsed
        self._status = Status(progressed_at=clock(), directory=str(path.parent.absolute()))
        self._is_closed = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Writes the first status and one each second from now on."""
        self._write()
        self._thread.start()

    @property
    def step(self) -> int:
        """The last step that was reported here."""
        return self._status.step

    def update(self, **changes: Any) -> None:
        """Something moved: remembers what, and that it did. A change that others wait for is written at once."""
        self._status = replace(self._status, progressed_at=self._clock(), **changes)
        if changes.keys() & {"state", "trouble"}:
            self._woken.set()

    def close(self, state: str) -> None:
        """Writes the last status and ends the thread."""
        self._is_closed = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()
        self._status = replace(self._status, state=state)
        self._write()

    def _run(self) -> None:
        while not self._is_closed:
            self._woken.wait(INTERVAL_SECONDS)
            self._woken.clear()
            self._write()

    def _write(self) -> None:
        try:
            elapsed = max(self._elapsed(), self._status.elapsed_seconds)
            write_status(self._path, replace(self._status, heartbeat=self._clock(), elapsed_seconds=elapsed))
        except OSError:  # A full disk must not end the heartbeat: the next second may have room again.
            return
