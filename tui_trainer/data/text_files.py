"""Which files a person means by a path, a folder or a glob. Nothing is opened here, so a pipe cannot block.

Runs and exports that lie in a folder are no text of it: a training that wrote below its own data would otherwise
change what it learns from.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from tui_trainer.errors import UserError

_PROSE = ".txt .text .md .markdown .rst .org .tex .srt .log .htm .html .xml"
_RECORDS = ".csv .tsv .json .jsonl .yaml .yml .toml .ini .cfg .conf .sql"
_CODE = ".py .c .h .cc .cpp .hpp .go .rs .java .kt .scala .swift .js .ts .css .php .rb .pl .lua .r .jl .sh"
TEXT_SUFFIXES = frozenset(f"{_PROSE} {_RECORDS} {_CODE}".split())
"""What a folder is searched for; a file that is named, or matched by a glob, may be called anything."""

PRODUCTS = {"run": ("run.json", "config.toml"), "export": ("export.json", "EXPORT.md")}
"""What this program writes, and the files that tell such a directory from any other, whatever it is called."""

FIX = "name a text file, a folder or a glob with --data PATH"
_ESCAPED = re.compile(r"\[([*?[])\]")
"""How `glob.escape` writes a letter that would be a wildcard."""
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class Found:
    """The files that one entry means, and the runs and exports that were met and left out, each with its kind."""

    files: tuple[Path, ...]
    skipped: dict[Path, str]


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


def find_files(entry: str, base: Path) -> Found:
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
    return Found((path,), {})


def count_products(kinds: Iterable[str]) -> str:
    """What was left out, as in "2 runs, 1 export skipped"; empty when nothing was."""
    listed = list(kinds)
    counts = [(kind, listed.count(kind)) for kind in PRODUCTS]
    told = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)
    return f"{told} skipped" if told else ""


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


def _matches(pattern: str, entry: str) -> Found:
    """Only what a wildcard met is left out: a run whose name is written out in front of it is meant."""
    skipped: dict[Path, str] = {}
    named = _named_part(pattern)

    @cache
    def is_product(folder: Path) -> bool:
        if folder == named or len(folder.parts) <= len(named.parts):
            return False
        kind = _product_at(folder)
        if kind:
            skipped[folder] = kind
        return kind is not None or is_product(folder.parent)

    files = tuple(
        path
        for path in map(Path, sorted(set(_expand_glob(pattern))))
        if not is_product(path.parent) and _is_text_file(path)
    )
    if not files:
        raise refusal(entry, f"no file with text matches this glob{_but(skipped)}")
    return Found(files, skipped)


def _expand_glob(pattern: str) -> Iterator[str]:
    """As `glob.glob` does, which never comes to an end in a folder that holds two links to itself."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from glob.glob(pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return
    place = parts.index("**")
    for folder in glob.glob(os.path.join(*parts[:place])):  # noqa: PTH118, PTH207
        for below in _folders_below(folder, frozenset()):
            yield from _expand_glob(os.path.join(glob.escape(below), *(parts[place + 1 :] or "*")))  # noqa: PTH118


def _folders_below(folder: str, above: frozenset[str]) -> Iterator[str]:
    """A folder and all below it but hidden ones; of symbolic links, those that lead back up are not followed."""
    real = os.path.realpath(folder)
    if real in above:
        return
    yield folder
    try:
        with os.scandir(folder) as entries:
            inside = [entry.path for entry in entries if not entry.name.startswith(".")]
    except OSError:  # as for `glob.glob`: what cannot be read holds nothing
        return
    for path in filter(os.path.isdir, inside):
        yield from _folders_below(path, above | {real})


def _named_part(pattern: str) -> Path:
    """The folder at the start of a glob in which nothing is left open; `[*]` stands for a plain `*`."""
    literal = takewhile(lambda part: not glob.has_magic(_ESCAPED.sub("", part)), Path(pattern).parts)
    return Path(*(_ESCAPED.sub(r"\1", part) for part in literal))


def _files_below(folder: Path) -> Found:
    if kind := _product_at(folder):
        raise refusal(folder, f"the directory of {'a run' if kind == 'run' else 'an export'}, not text")
    skipped: dict[Path, str] = {}
    found = (path for path in _walk(folder, skipped) if path.suffix.lower() in TEXT_SUFFIXES)
    files = tuple(path for path in found if _is_text_file(path))
    if not files:
        reason = f"no text in this folder (.txt, .md, .py …){_but(skipped)}"
        raise refusal(folder, reason, "name files or a glob with --data PATH")
    return Found(files, skipped)


def _but(skipped: dict[Path, str]) -> str:
    told = count_products(skipped.values())
    return f"; {told}" if told else ""


def _walk(folder: Path, skipped: dict[Path, str]) -> Iterator[Path]:
    """Every path below a folder in a stable order, symbolic links to folders not followed.

    Hidden ones are left out, and so are runs and exports, which are noted in `skipped`.
    """

    def stop(error: OSError) -> None:
        is_below = Path(error.filename) != folder
        if not (is_below and isinstance(error, FileNotFoundError)):  # else removed since its parent was read
            raise refusal(error.filename, error.strerror or "cannot be read")

    for parent, folders, names in os.walk(folder, onerror=stop):
        kind = _product_with(names)
        if kind:
            skipped[Path(parent)] = kind
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _product_with(names: Collection[str]) -> str | None:
    """The kind of directory in which files have these names; None: one like any other."""
    return next((kind for kind, marks in PRODUCTS.items() if all(mark in names for mark in marks)), None)


def _product_at(folder: Path) -> str | None:
    marks = [mark for marks in PRODUCTS.values() for mark in marks]
    return _product_with([mark for mark in marks if os.path.isfile(folder / mark)])  # noqa: PTH113 - Path.is_file may raise


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
