"""Replacing files so that neither a dying process nor a power loss leaves half of one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_trainer.checkpoints.disk import Disk
from tui_trainer.checkpoints.manifest import Digest


class DurableFolder:
    """One folder and its writer. Every method raises OSError when the disk fails."""

    def __init__(self, path: Path, disk: Disk) -> None:
        """Remembers the place; nothing is read or written yet."""
        self.path = path
        self.disk = disk

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file: a crash leaves the old or the new content, and no later crash undoes the new."""
        with self.temporary(name) as temporary:
            self.fill(temporary, [memoryview(content)])
            self.install(temporary, name)

    @contextmanager
    def temporary(self, name: str) -> Iterator[Path]:
        """A name in the same folder that is free now, and again when something fails."""
        path = self.path / f".tmp-{os.getpid()}-{name}"
        self.disk.unlink(path)
        try:
            yield path
        except BaseException:
            with suppress(OSError):
                self.disk.unlink(path)
            raise

    def fill(self, path: Path, chunks: Iterable[memoryview]) -> Digest:
        """Makes a file whose bytes are on the disk itself; a failed sync is never tried again on the same file."""
        sha256, size = hashlib.sha256(), 0
        descriptor = self.disk.create(path)
        try:
            for chunk in chunks:
                sha256.update(chunk)
                size += len(chunk)
                rest = chunk
                while rest:
                    rest = rest[self.disk.write(descriptor, rest) :]
            self.disk.sync(descriptor)
        finally:
            self.disk.close(descriptor)
        return Digest(size, sha256.hexdigest())

    def install(self, temporary: Path, name: str) -> None:
        """Gives a filled file its name, for good."""
        self.disk.replace(temporary, self.path / name)
        self.disk.sync_folder(self.path)
