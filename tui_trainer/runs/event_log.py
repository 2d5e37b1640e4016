"""The event log: one process appends lines, any number of others follow them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tui_trainer.event_codec import decode, encode
from tui_trainer.events import Event, Record

READ_BYTES = 1 << 18
"""Most bytes one `read` takes from the disk, so that a reader's tick stays short."""


class EventLogWriter:
    """Appends events; each is one `os.write`, so a crash can tear only the last line."""

    def __init__(self, path: Path, segment: int, clock: Callable[[], float]) -> None:
        """Opens the log for appending.

        Args:
            path: the log; made when missing.
            segment: how often the run was resumed before.
            clock: Unix seconds.
        """
        self._segment = segment
        self._clock = clock
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._descriptor).st_size
        self._is_torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def append(self, event: Event) -> None:
        """Writes one event.

        Raises:
            OSError: when the disk is full or gone.
        """
        line = encode(Record(self._clock(), self._segment, event))
        if self._is_torn:  # Glued to the torn line, this record would be lost with it.
            line = b"\n" + line
        while line:
            written = os.write(self._descriptor, line)
            self._is_torn = written < len(line)
            line = line[written:]

    def close(self) -> None:
        """Closes the file; a closed log takes no more events."""
        os.close(self._descriptor)


class EventLogReader:
    """Follows a log from its start. A torn last line means: wait."""

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        """Remembers the place; nothing is opened before the first read, unless only what comes next is wanted."""
        self._path = path
        self._offset = 0
        self._inode = 0
        if from_end:
            self._skip_to_end()
        self.skipped_lines = 0

    def read(self, limit: int = READ_BYTES) -> list[Record]:
        """The records that came since the last call, at most about `limit` bytes of them."""
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_ino != self._inode or state.st_size < self._offset:
                    self._inode, self._offset = state.st_ino, 0
                file.seek(self._offset)
                chunk = file.read(limit)
                if b"\n" not in chunk and len(chunk) == limit:
                    chunk += file.readline()
        except FileNotFoundError:
            return []
        complete = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(complete)
        return self._decode(complete)

    def _skip_to_end(self) -> None:
        with suppress(FileNotFoundError):
            state = self._path.stat()
            self._inode, self._offset = state.st_ino, state.st_size

    def _decode(self, lines: bytes) -> list[Record]:
        records = []
        for line in lines.splitlines():
            record = decode(line)
            if record is not None:
                records.append(record)
            elif line.strip():
                self.skipped_lines += 1
        return records


def last_segment(path: Path) -> int:
    """The segment of the last readable record, or -1 when there is none; looks only at the end of the log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - READ_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return -1
    for line in reversed(lines):
        record = decode(line)
        if record is not None:
            return record.segment
    return -1
