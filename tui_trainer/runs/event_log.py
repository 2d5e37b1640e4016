"""The event log: one process appends lines, any number of others follow them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tui_trainer.event_codec import decode, encode
from tui_trainer.events import Event, Record
from tui_trainer.runs.files import is_full_disk

READ_BYTES = 1 << 18
"""Most bytes one `read` takes from the disk, so that a reader's tick stays short."""
MAX_LINE_BYTES = 1 << 22
"""A line of as many bytes is none of ours: it is passed over, so that a log without line ends fills no memory."""

MARK_BYTES = 1 << 10
"""Of the beginning, and of what was read last, by which a log is known again: some three lines, with their times."""


class EventLogWriter:
    """Appends events; each is one `os.write`, so a crash can tear only the last line.

    What a full disk does not take waits in memory, in order, until there is room.
    """

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
        is_torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        self.full: OSError | None = None
        """Why lines wait in memory; None while none does."""
        self._waiting = b"\n" if is_torn else b""  # glued to the torn line, the next record would be lost with it

    def append(self, event: Event) -> None:
        """Writes one event.

        Raises:
            OSError: when the disk is gone; a full one is no error, see `flush`.
        """
        self._waiting += encode(Record(self._clock(), self._segment, event))
        self.flush()

    def flush(self) -> bool:
        """Writes what waits; says whether nothing waits any more.

        Raises:
            OSError: when the disk is gone.
        """
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._descriptor, self._waiting) :]
            self.full = None
        except OSError as error:
            if not is_full_disk(error):
                raise
            self.full = error
        return not self._waiting

    def close(self) -> None:
        """Closes the file; a closed log takes no more events."""
        os.close(self._descriptor)


class EventLogReader:
    """Follows a log from its start. A torn last line means: wait.

    A mirror replaces its copy of a log by a longer one again and again: reading goes on where it was.
    """

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        """Remembers the place; nothing is opened before the first read, unless only what comes next is wanted."""
        self._path = path
        self._seen = (0, 0)
        """Inode and size of the file at the last look."""
        self._marks: dict[int, bytes] = {}
        """Bytes that were read, by their offset."""
        self._is_in_endless_line = False
        self.offset = 0
        """Bytes that were taken in or passed over."""
        self.unread_bytes = 0
        """Bytes behind them at the last read, a torn last line among them."""
        self.logs = 0
        """How many logs were met here: one that is truncated, or replaced by another, is read from its start."""
        self.skipped_lines = 0
        if from_end:
            with suppress(FileNotFoundError), path.open("rb") as file:
                self.offset = self._meet(file)
                self._remember(file)

    def read(self, limit: int = READ_BYTES) -> list[Record]:
        """The records that came since the last call, at most about `limit` bytes of them."""
        records = []
        for line in self.read_text(limit).split(b"\n"):
            record = decode(line) if len(line) < MAX_LINE_BYTES else None
            if record is not None:
                records.append(record)
            elif line.strip():
                self.skipped_lines += 1
        return records

    def read_text(self, limit: int = READ_BYTES, end: int | None = None) -> bytes:
        """The complete lines that came since the last call, as they are.

        Args:
            limit: how many bytes of them at most, but one line at least.
            end: the log is read as if it ended here.
        """
        try:
            with self._path.open("rb") as file:
                size = self._meet(file)
                left = max(0, size if end is None else min(size, end) - self.offset)
                file.seek(self.offset)
                chunk = file.read(min(limit, left))
                if b"\n" not in chunk and len(chunk) == limit:
                    chunk += file.readline(max(0, min(MAX_LINE_BYTES, left) - limit))
                lines = self._take(chunk)
                if chunk:
                    self._remember(file)
        except FileNotFoundError:
            return b""
        self.unread_bytes = max(0, size - self.offset)
        return lines

    def skip_to_last(self, size: int) -> bool:
        """Passes over all but the last `size` bytes and the line that this cuts, unless that has no end."""
        try:
            with self._path.open("rb") as file:
                length = self._meet(file)
                file.seek(max(self.offset, length - size))
                is_found = file.readline(size).endswith(b"\n")
                self.offset = file.tell() if is_found else self.offset
                self._remember(file)
        except FileNotFoundError:
            return False
        return is_found

    def _meet(self, file: BinaryIO) -> int:
        """The size of the log; of another one than before, nothing was read."""
        state = os.fstat(file.fileno())
        (inode, size), self._seen = self._seen, (state.st_ino, state.st_size)
        is_cut = state.st_size < self.offset and inode == state.st_ino and size != state.st_size
        if not self.logs or is_cut or not self._holds_marks(file):
            self.offset, self._marks, self._is_in_endless_line = 0, {}, False
            self.logs += 1
        return state.st_size

    def _holds_marks(self, file: BinaryIO) -> bool:
        """Whether what was read stands in a file, as far as it goes: a mirror may show an older copy for a while."""
        return all(mark.startswith(os.pread(file.fileno(), len(mark), at)) for at, mark in self._marks.items())

    def _remember(self, file: BinaryIO) -> None:
        """Keeps what the log can be known by when another file takes its place."""
        size = min(MARK_BYTES, self.offset)
        self._marks = {at: os.pread(file.fileno(), size, at) for at in (0, self.offset - size)}

    def _take(self, chunk: bytes) -> bytes:
        """The complete lines of what comes next."""
        if self._is_in_endless_line:
            chunk = self._pass_over(chunk)
        size = chunk.rfind(b"\n") + 1
        if not size and len(chunk) >= MAX_LINE_BYTES:
            self._is_in_endless_line = True
            self.skipped_lines += 1
            self._pass_over(chunk)
        self.offset += size
        return chunk[:size]

    def _pass_over(self, chunk: bytes) -> bytes:
        """What comes after the end of an endless line."""
        end = chunk.find(b"\n") + 1
        self._is_in_endless_line = not end
        self.offset += end or len(chunk)
        return chunk[end:] if end else b""


def last_segment(path: Path) -> int:
    """The segment of the last readable record, or -1 when there is none; reads no more than it takes, from the end."""
    try:
        with path.open("rb") as file:
            records = filter(None, map(decode, _lines_from_the_end(file)))
            return next((record.segment for record in records), -1)
    except FileNotFoundError:
        return -1


def _lines_from_the_end(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a log, the last one first; of an endless one, no more than a part is held."""
    end, rest = os.fstat(file.fileno()).st_size, b""
    while end:
        start = max(0, end - READ_BYTES)
        rest, *lines = (os.pread(file.fileno(), end - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        end = start
        if len(rest) >= MAX_LINE_BYTES:
            rest = b""
    yield rest
