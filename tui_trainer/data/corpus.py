"""The text of a run: which files it is, streamed as characters, checked while it is read."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from tui_trainer.config import DataConfig
from tui_trainer.data.text_files import absolute_entry, count_products, find_files, printable, refusal
from tui_trainer.errors import UserError

EMBEDDED_NAME = "Python's reference manual (embedded)"
SEPARATOR = "\n\n"
"""Stands between two files, so that the last word of one and the first of the next stay two words."""

CHUNK_BYTES = 16 << 20
BINARY_CHECK_BYTES = 1 << 20
"""A NUL in this much of a file's start means: not text."""
BEGINNING_BYTES = 1 << 20
"""What is read of a text, however large, to know what kind of text it is."""
_NAME_LENGTH = 60
LINE_ENDS_REMEDY = "To train without them: tr -d '\\r' < FILE > NEW"
OPENING_WORDS, OPENING_LETTERS = 3, 24
LETTERS_WITHOUT_SPACES = 8
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|(?:\r?\n\s*){2,}")


@dataclass(frozen=True)
class Measure:
    """What one pass over a text tells: its exact length and its sha256, both over the UTF-8 bytes."""

    bytes: int
    fingerprint: str


class Corpus:
    """Text files in a fixed order, or the embedded text. Nothing is read before `chunks`."""

    def __init__(self, paths: tuple[Path, ...], name: str, entries: tuple[str, ...], skipped: str = "") -> None:
        """Use `open_corpus`, which checks the paths.

        Args:
            paths: the files; none: the embedded text.
            name: short, printable.
            entries: the absolute paths and globs that led to the files.
            skipped: how many runs and exports lie among the files and are no part of the text; empty: none.
        """
        self.paths = paths
        self.name = name
        self.skipped = skipped
        self._entries = entries
        self._measured: Measure | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether it is the text that comes with Python."""
        return not self.paths

    @cached_property
    def size_bytes(self) -> int:
        """Length of the text by the file system's account; `measure` tells it exactly."""
        if self.is_embedded:
            return len(_embedded_text().encode())
        return sum(state.st_size for _, state in map(_with_state, self.paths)) + len(SEPARATOR) * (len(self.paths) - 1)

    def resolve(self) -> tuple[str, ...]:
        """`data.paths` with each entry absolute, so that `config.toml` means the same files from any folder."""
        return self._entries

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[str]:
        """Streams the text; memory stays near four times `size`, whatever the length of a file or of a line.

        A byte order mark is dropped, line ends stay as they are, files are joined by an empty line.

        Args:
            size: bytes read at once.

        Raises:
            UserError: for a file that is binary, not UTF-8, or gone.
        """
        if self.is_embedded:
            text = _embedded_text()
            yield from (text[start : start + size] for start in range(0, len(text), size))
        for index, path in enumerate(self.paths):
            if index:
                yield SEPARATOR
            yield from _read_text(path, size)

    def beginning(self, size: int = BEGINNING_BYTES) -> str:
        """About the first `size` bytes of the text, whatever its length.

        Raises:
            UserError: as `chunks`.
        """
        read: list[str] = []
        for chunk in self.chunks(size):
            read.append(chunk)
            if sum(map(len, read)) >= size:
                break
        return "".join(read)[:size]

    def measure(self, on_chunk: Callable[[int], None] = lambda _done_bytes: None) -> Measure:
        """Reads the whole text once; later calls remember.

        Args:
            on_chunk: told the bytes read so far; may raise to stop the reading.

        Raises:
            UserError: for a file that is binary, not UTF-8 or gone, and when there is no character at all.
        """
        if self._measured is None:
            digest, done = hashlib.sha256(), 0
            for chunk in self.chunks(1 << 20):
                content = chunk.encode()
                digest.update(content)
                done += len(content)
                on_chunk(done)
            if not done:
                raise refusal(self.paths[0], "the file is empty but for its byte order mark")
            self._measured = Measure(done, digest.hexdigest())
        return self._measured

    def fingerprint(self) -> str:
        """The sha256 of the text, as hexadecimal digits."""
        return self.measure().fingerprint

    def signature(self) -> str:
        """A digest of the files' names, sizes and times of change: another one means that the text may have changed.

        Nothing is read for it, so it is cheap for any size of text.
        """
        states = [(path.name, state.st_size, state.st_mtime_ns) for path, state in map(_with_state, self.paths)]
        return hashlib.sha256(repr(states).encode("utf-8", "surrogateescape")).hexdigest()


def open_corpus(config: DataConfig, base: Path | None = None) -> Corpus:
    """Finds the text of a configuration; only looks at the files, reads none.

    Args:
        config: `paths` may name files, folders (searched for text files, hidden ones left out) and globs.
        base: the folder that relative paths start from; None: the current one.

    Raises:
        UserError: for a path that is missing, empty, unreadable or not a regular file.
    """
    if not config.paths:
        return Corpus((), EMBEDDED_NAME, ())
    folder = Path(base or ".").absolute()
    files: dict[Path, Path] = {}
    kinds: dict[Path, str] = {}
    for entry in config.paths:
        found = find_files(entry, folder)
        for path in found.files:
            files.setdefault(path.resolve(), path)
        kinds.update({path.resolve(): kind for path, kind in found.skipped.items()})
    entries = tuple(absolute_entry(entry, folder) for entry in config.paths)
    skipped = count_products(kinds.values())
    return Corpus(tuple(files.values()), _short_name(entries, len(files), skipped), entries, skipped)


def explain_line_ends(name: str, beginning: str) -> tuple[str, str] | None:
    """Evidence and remedy for a text with the line ends of Windows, of which nothing is lost and nothing is mended."""
    lines, ends = beginning.count("\n"), beginning.count("\r\n")
    if not ends:
        return None
    share = "Windows line ends (CRLF)" if ends == lines else f"some Windows line ends (CRLF, {ends:,} of {lines:,})"
    return f"{name}: {share} become tokens, too", LINE_ENDS_REMEDY


def find_openings(text: str) -> tuple[str, ...]:
    """The first words of two sentences, a third and two thirds into a text: prompts that suit it."""
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(text)]
    for places in (sentences, text.splitlines()):
        found = list(filter(None, map(_opening, places)))
        if len(found) > 1:
            return tuple(dict.fromkeys((found[len(found) // 3], found[2 * len(found) // 3])))
    return tuple(found or filter(None, [" ".join(text.split())[:OPENING_LETTERS]]))


def _opening(sentence: str) -> str:
    """Its first words, or letters where a script has no spaces; empty when hardly anything would follow."""
    words = next(iter(sentence.splitlines()), "").split()
    opening = " ".join(words[:OPENING_WORDS])
    if len(words) <= 1 or len(opening) > OPENING_LETTERS:
        opening = opening[:LETTERS_WITHOUT_SPACES]
    is_beginning = len(words) > OPENING_WORDS or len("".join(words)) > OPENING_LETTERS // 2
    return opening if is_beginning and opening[0].isalpha() and opening.isprintable() else ""


def _short_name(entries: tuple[str, ...], file_count: int, skipped: str) -> str:
    name = printable(Path(entries[0]).name or entries[0])
    if len(name) > _NAME_LENGTH:
        name = name[: _NAME_LENGTH - 1] + "…"
    if len(entries) > 1:
        name += f" and {len(entries) - 1} more"
    counted = f"{file_count} files" if file_count > 1 and len(entries) == 1 else ""
    told = ", ".join(filter(None, (counted, skipped)))
    return f"{name} ({told})" if told else name


def _with_state(path: Path) -> tuple[Path, os.stat_result]:
    try:
        return path, path.stat()
    except OSError as error:
        raise refusal(path, error.strerror or "cannot be read") from error


def _embedded_text() -> str:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:  # Some distributions put it into a package of its own.
        raise refusal("the embedded text", "this Python came without pydoc_data") from error
    return "\n\n".join(topics[key] for key in sorted(topics))


def _read_text(path: Path, size: int) -> Iterator[str]:
    try:
        # A pipe that took the place of the checked file would block a plain open for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise refusal(path, "not a regular file any more")
            yield from _decode(path, file, size)
    except OSError as error:
        raise refusal(path, error.strerror or "cannot be read") from error


def _decode(path: Path, file: BinaryIO, size: int) -> Iterator[str]:
    """Strict UTF-8 across the borders of the reads, without the byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    offset = _skip_mark(path, file)
    while True:
        content = file.read(size)
        if offset < BINARY_CHECK_BYTES and b"\0" in content[: BINARY_CHECK_BYTES - offset]:
            raise refusal(path, "binary, not text: it holds a zero byte")
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(content, final=not content)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, offset - pending + error.start) from error
        offset += len(content)
        if text:
            yield text
        if not content:
            return


def _skip_mark(path: Path, file: BinaryIO) -> int:
    """Stands the file behind its byte order mark and returns that place."""
    start = file.read(3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise refusal(path, "UTF-16 text, not UTF-8", "save it as UTF-8, or name another file with --data PATH")
    return file.seek(len(codecs.BOM_UTF8) if start == codecs.BOM_UTF8 else 0)


def _not_utf8(path: Path, offset: int) -> UserError:
    fix = "convert it (iconv -t UTF-8), or name another file with --data PATH"
    return refusal(path, f"not UTF-8 text at byte {offset}", fix)
