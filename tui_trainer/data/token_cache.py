"""Folders of things that can be made again: each appears whole under its key, and is never changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FORMAT_VERSION = 1
"""Part of every key: a change of what is stored, or of how it is made, makes old entries unused."""

_UNFINISHED = ".new-"


def entry_key(*parts: object) -> str:
    """The name of the entry that these values decide."""
    return hashlib.sha256(repr((FORMAT_VERSION, *parts)).encode()).hexdigest()


@contextmanager
def new_entry(cache: Path, key: str) -> Iterator[Path]:
    """An empty folder to fill; it gets its name when the block ends, and is removed when the block fails.

    When another process was faster, its entry stays and this one is removed. A file of it that the block has
    mapped lives on until it is unmapped.

    Raises:
        OSError: when nothing can be written there.
    """
    cache.mkdir(parents=True, exist_ok=True)
    _remove_orphans(cache)
    folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=cache))
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # Some network file systems have no locks: an orphan then stays.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
        with suppress(OSError):
            folder.rename(cache / key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for this process alone, removed at the end of the block; what is mapped from it lives on.

    Raises:
        OSError: when there is no place for temporary files.
    """
    folder = Path(tempfile.mkdtemp(prefix="tui-trainer-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_entry(cache: Path, key: str) -> None:
    """Takes a damaged entry away: under its name at once, so that no other process finds half of it."""
    if not os.path.lexists(cache / key):
        return
    with suppress(OSError):
        grave = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=cache))
        with suppress(OSError):
            (cache / key).rename(grave / "entry")
        shutil.rmtree(grave, ignore_errors=True)


def _remove_orphans(cache: Path) -> None:
    """Removes what killed processes left: the kernel let go of their locks."""
    for folder in cache.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
