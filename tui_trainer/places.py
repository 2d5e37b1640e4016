"""Where things live on this machine: runs, what is remembered between runs, and what can be made again."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

NOWHERE = Path(os.devnull)
"""Nothing can be read or written below it: what would be kept there is done without."""


def runs_root() -> Path:
    """The folder of runs: `$TUI_TRAINER_RUNS`, else `./runs`."""
    return Path(os.environ.get("TUI_TRAINER_RUNS") or "runs").absolute()


def state_folder() -> Path:
    """What is remembered between runs, by the XDG rules; not created here."""
    return _user_folder("XDG_STATE_HOME", ".local/state")


def cache_folder() -> Path:
    """What can be made again at any time, by the XDG rules; not created here."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def _user_folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    if base and Path(base).is_absolute():
        return Path(base) / "tui-trainer"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME and no passwd entry
        home = _temporary_home()
    return home / default / "tui-trainer"


def _temporary_home() -> Path:
    """Where everybody may write, the folder of this user, or nowhere if somebody else could have put things into it."""
    import tempfile

    try:
        folder = Path(tempfile.gettempdir()) / f"tui-trainer-{os.getuid()}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        state = folder.lstat()
    except OSError:
        return NOWHERE
    is_ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022
    return folder if is_ours else NOWHERE
