"""Where things live on this machine: runs, what is remembered between runs, and what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


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
        home = Path("/tmp") / f"tui-trainer-{os.getuid()}"
    return home / default / "tui-trainer"
