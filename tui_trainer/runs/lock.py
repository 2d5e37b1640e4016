"""One trainer a run. The kernel releases the lock when its process dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tui_trainer.errors import UserError
from tui_trainer.runs.files import read_json

UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What `flock` raises on a file system without locks: Lustre without the flock option, NFS without lockd, some FUSE."""


class RunLock:
    """Holds `run.lock` while in the `with` block."""

    def __init__(self, path: Path) -> None:
        """Remembers the path; the lock is taken on entering."""
        self._path = path
        self._descriptor = -1
        self.missing_because = ""
        """Why there is no lock, on a file system that has none; empty where it is held."""

    def __enter__(self) -> Self:
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            owner = read_json(self._path) or {}
            who = f"process {owner['pid']} on {owner['host']}" if {"pid", "host"} <= owner.keys() else "another process"
            raise UserError(f"{self._path.parent}: {who} is training here; stop it first") from error
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.close(descriptor)
                raise UserError(f"{self._path}: cannot be locked: {error.strerror}") from error
            self.missing_because = error.strerror or "not supported"
        with suppress(OSError):  # a full disk: the lock holds all the same, only without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise UserError(f"{self._path}: cannot be locked: {error.strerror}") from error
