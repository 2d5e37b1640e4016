"""A folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_trainer.errors import UserError

SPARE_BYTES = 2_000_000
"""Room for all but the weights: GPT-2's tokenizer, the largest, takes 1.8 MB in the largest of its forms."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WRITE_ERRORS = (*DISK_FULL, errno.EIO, errno.EROFS)
"""What an OSError from within the block may say about the disk; others are the affair of the library that raised it."""


@contextmanager
def new_folder(target: Path, needed_bytes: int) -> Iterator[Path]:
    """An empty folder beside `target` to fill; it takes that name when the block ends, and goes when it fails.

    Args:
        target: absent, or an empty folder; what leads there is made.
        needed_bytes: room that is wanted on that disk.

    Raises:
        UserError: when something stands there, the disk is full, or nothing can be written.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - resolving would write through a link
    made: list[Path] = []
    partial = target.parent / f".{target.name}.{os.getpid()}.partial"
    try:
        with _explaining(target):
            refuse_occupied(target)
            made = _make_parents(target.parent)
            _check_space(target.parent, needed_bytes)
            _remove_leftovers(target)
            partial.mkdir()
        try:
            with _explaining(target, WRITE_ERRORS):
                yield partial
            with _explaining(target):
                _settle(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        made.clear()
    finally:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def refuse_occupied(target: Path) -> None:
    """Raises UserError where a write would go through a link or into what somebody keeps there."""
    if target.is_symlink():
        raise UserError(f"{target}: a symbolic link; name the folder itself with --out")
    if target.is_dir():
        if any(target.iterdir()):
            raise UserError(f"{target}: not empty; choose another folder with --out")
    elif os.path.lexists(target):
        raise UserError(f"{target}: exists and is no folder; choose another name with --out")


def _make_parents(folder: Path) -> list[Path]:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    missing.reverse()
    for parent in missing:
        parent.mkdir()
    return missing


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        need = (needed_bytes + SPARE_BYTES) / 1e6
        raise UserError(f"{folder}: no room for the export: {need:,.0f} MB needed, {free / 1e6:,.0f} MB free")


def _remove_leftovers(target: Path) -> None:
    """What an export that was killed left here."""
    pattern = re.compile(re.escape(f".{target.name}.") + r"(\d+)\.partial")
    for path in target.parent.iterdir():
        found = pattern.fullmatch(path.name)
        if found and not _is_alive(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _settle(partial: Path, target: Path) -> None:
    """Puts every byte on the disk itself, then gives the folder its name."""
    for path in (*partial.rglob("*"), partial):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    partial.rename(target)  # replaces an empty folder, and nothing else
    parent = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


@contextmanager
def _explaining(target: Path, codes: Collection[int] | None = None) -> Iterator[None]:
    """Raises UserError for an OSError, one of `codes` if they are given."""
    try:
        yield
    except OSError as error:
        if codes is not None and error.errno not in codes:
            raise
        if error.errno in DISK_FULL:
            message = "the disk is full; free some space, or choose another --out"
        elif error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            message = "something else was put there meanwhile; choose another --out"
        else:
            message = f"cannot be written: {error.strerror}"
        raise UserError(f"{target}: {message}") from error
