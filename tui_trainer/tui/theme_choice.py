"""Which theme the screen starts with: what a person said now, what they chose before, or what suits the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from textual.theme import BUILTIN_THEMES

from tui_trainer import places
from tui_trainer.errors import UserError, did_you_mean
from tui_trainer.tui.terminal import TerminalKind
from tui_trainer.tui.theme import THEMES, theme_for

VARIABLE = "TUI_TRAINER_THEME"
PREFIX = "tui-trainer-"
KNOWN = [theme.name for theme in THEMES] + list(BUILTIN_THEMES)
MAX_NAME = 100


def choose_theme(environ: Mapping[str, str], terminal: TerminalKind) -> str:
    """The name of a theme.

    What was chosen before does not hold where there are fewer colours: it was chosen on another terminal.

    Raises:
        UserError: the variable names no theme.
    """
    wanted = environ.get(VARIABLE)
    if wanted:
        return _known(wanted)
    suited = theme_for(terminal).name
    has_colours = terminal.colours in ("truecolor", "256")
    return (_remembered() if has_colours else None) or suited


def remember_theme(name: str) -> None:
    """Keeps the choice for the next start; where that cannot be written, it holds for this one."""
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(name + "\n")


def _remembered() -> str | None:
    try:
        with _file().open() as file:
            name = file.read(MAX_NAME).strip()
    except (OSError, ValueError):
        return None
    return name if name in KNOWN else None


def _known(name: str) -> str:
    """Ours may be named without their first part: `light`."""
    for candidate in (PREFIX + name, name):
        if candidate in KNOWN:
            return candidate
    short = [known.removeprefix(PREFIX) for known in KNOWN]
    raise UserError(f"{VARIABLE}={name}: no such theme{did_you_mean(name, short)}; there are {', '.join(short[:6])}")


def _file() -> Path:
    return places.state_folder() / "theme"
