"""Which files a person means by a path, a folder or a glob. Nothing is opened here, so a pipe cannot block."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tui_trainer.errors import UserError

_PROSE = ".txt .text .md .markdown .rst .org .tex .srt .log .htm .html .xml"
_RECORDS = ".csv .tsv .json .jsonl .yaml .yml .toml .ini .cfg .conf .sql"
_CODE = ".py .c .h .cc .cpp .hpp .go .rs .java .kt .scala .swift .js .ts .css .php .rb .pl .lua .r .jl .sh"
TEXT_SUFFIXES = frozenset(f"{_PROSE} {_RECORDS} {_CODE}".split())
"""What a folder is searched for; a file that is named, or matched by a glob, may be called anything."""

FIX = "name a text file, a folder or a glob with --data PATH"
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def printable(path: Path | str) -> str:
    """A path for one line of a message: control and other invisible characters as escapes."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(path))


def refusal(path: Path | str, reason: str, fix: str = FIX) -> UserError:
    """The error for a path that cannot be trained on: the path and the reason, then the fix."""
    return UserError(f"{printable(path)}: {reason}\n{fix}")


def absolute_entry(entry: str, base: Path) -> str:
    """One entry of `paths` as an absolute path or glob that means the same from any folder."""
    expanded = _expand(entry)
    if Path(expanded).is_absolute():
        return expanded
    if _is_glob(base / expanded):
        return os.path.join(glob.escape(str(base)), expanded)  # noqa: PTH118 - a glob is not a path
    return os.path.abspath(base / expanded)  # noqa: PTH100 - a symbolic link keeps its name


def find_files(entry: str, base: Path) -> list[Path]:
    """The regular, non-empty files that one entry of `paths` means, sorted.

    Raises:
        UserError: when there is none, or one is missing, empty, unreadable or not a regular file.
    """
    path = base / _expand(entry)
    try:
        if _is_glob(path):
            return _matches(absolute_entry(entry, base), entry)
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            return _files_below(path)
        _check_file(path, state)
    except OSError as error:
        raise refusal(entry, _why(path, error)) from error
    except ValueError as error:
        raise refusal(entry, "not a possible path") from error
    return [path]


def _expand(entry: str) -> str:
    if not entry:
        raise refusal('""', "an empty path")
    try:
        return str(Path(entry).expanduser())
    except RuntimeError as error:
        raise refusal(entry, "the home folder is unknown") from error


def _is_glob(path: Path) -> bool:
    """A file that is really called `[a].txt` is meant as itself."""
    return glob.has_magic(str(path)) and not os.path.lexists(path)


def _matches(pattern: str, entry: str) -> list[Path]:
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    files = [path for path in map(Path, names) if _is_text_file(path)]
    if not files:
        raise refusal(entry, "no file with text matches this glob")
    return files


def _files_below(folder: Path) -> list[Path]:
    files = [path for path in _walk(folder) if path.suffix.lower() in TEXT_SUFFIXES and _is_text_file(path)]
    if not files:
        raise refusal(folder, "no text in this folder (.txt, .md, .py …)", "name files or a glob with --data PATH")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """Every path below a folder in a stable order, hidden ones left out, symbolic links to folders not followed."""

    def stop(error: OSError) -> None:
        raise refusal(error.filename, error.strerror or "cannot be read")

    for parent, folders, names in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _is_text_file(path: Path) -> bool:
    """Whether a file that was found, not named, holds anything; one that may not be read is a mistake all the same."""
    try:
        state = path.stat()
    except OSError:
        return False
    if not stat.S_ISREG(state.st_mode) or not state.st_size:
        return False
    _check_file(path, state)
    return True


def _check_file(path: Path, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(state.st_mode)), "something else")
        raise refusal(path, f"{kind}, not a file; save the text to a file first")
    if not state.st_size:
        raise refusal(path, "the file is empty")
    if not os.access(path, os.R_OK):
        raise refusal(path, "no permission to read it", "chmod u+r it, or name another file with --data PATH")


def _why(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "a symbolic link to nothing" if path.is_symlink() else "no such file or folder"
    return error.strerror or "cannot be read"
