"""What the terminal can show, told from the environment: asking the terminal would cost a round trip and an answer."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from rich.color import ColorSystem

from tui_trainer.errors import UserError, did_you_mean

Charts = Literal["braille", "blocks", "ascii"]
Colours = Literal["truecolor", "256", "16", "none"]
Signs = Literal["all", "console", "ascii"]

CHARTS_VARIABLE = "TUI_TRAINER_CHARTS"
WITHOUT_COLOUR = re.compile(r"vt\d|.*-m(ono)?$|.*-old$")
WITH_TRUE_COLOUR = re.compile(r".*-direct$|(xterm-)?(kitty|ghostty)|alacritty|foot|wezterm|contour|rio|iterm2")


@dataclass(frozen=True)
class TerminalKind:
    """What a screen may send."""

    charts: Charts = "braille"
    """What curves are drawn with."""
    signs: Signs = "all"
    """What may be sent at all; `console`: the glyphs that every font of the Linux console has."""
    colours: Colours = "truecolor"

    @property
    def is_ascii(self) -> bool:
        """Whether no byte above 127 may be sent."""
        return self.signs == "ascii"


MODERN = TerminalKind()
"""A terminal of today, and what a test has."""

COLOUR_SYSTEMS = {
    "truecolor": ColorSystem.TRUECOLOR,
    "256": ColorSystem.EIGHT_BIT,
    "16": ColorSystem.STANDARD,
    "none": ColorSystem.STANDARD,  # for what Textual colours by itself
}
"""Rich's name for our colours: by itself it trusts COLORTERM inside of screen, and nothing without it."""


def environment_at_start() -> dict[str, str]:
    """The environment as it was given: Python itself sets LC_CTYPE where it finds no locale that works."""
    environ = dict(os.environ)
    with contextlib.suppress(OSError):  # where there is no /proc, Python's word is all there is
        given = Path("/proc/self/environ").read_bytes().split(b"\0")
        values = [entry.removeprefix(b"LC_CTYPE=") for entry in given if entry.startswith(b"LC_CTYPE=")]
        environ["LC_CTYPE"] = os.fsdecode(values[0]) if values else ""
    return environ


def judge_terminal(environ: Mapping[str, str]) -> TerminalKind:
    """What the terminal of this environment can show.

    Raises:
        UserError: the variable that overrides the charts has no such value.
    """
    wanted = _wanted_charts(environ)
    signs = _judge_signs(environ)
    if signs == "ascii" and wanted in ("braille", "blocks"):
        signs = "all"  # the person knows better than the locale
    charts: Charts = "braille" if signs == "all" else "ascii"
    return TerminalKind(wanted or charts, signs, _judge_colours(environ))


def _wanted_charts(environ: Mapping[str, str]) -> Charts | None:
    value = environ.get(CHARTS_VARIABLE, "")
    known = get_args(Charts)
    if value and value not in known:
        raise UserError(f"{CHARTS_VARIABLE}={value}: must be {', '.join(known)}{did_you_mean(value, list(known))}")
    return cast("Charts", value) if value else None


def _judge_signs(environ: Mapping[str, str]) -> Signs:
    if not _is_utf8(environ):
        return "ascii"
    # The fonts of Debian's console lack half blocks, those of the kernel round corners; none has braille.
    return "console" if environ.get("TERM", "").startswith("linux") else "all"


def _is_utf8(environ: Mapping[str, str]) -> bool:
    """Whether the locale says UTF-8, or leaves it open where that is what terminals speak.

    A container or a remote shell often has no locale and a terminal that speaks UTF-8. A multiplexer without a locale
    really takes its terminal for an old one: tmux then writes "_" for a sign, and screen loses the columns.
    """
    locale = _locale(environ)
    if locale in ("C", "POSIX"):
        return False
    codeset = locale.partition(".")[2].partition("@")[0]
    if not codeset:
        return not ("TMUX" in environ or "STY" in environ)
    return codeset.lower().replace("-", "") == "utf8"


def _locale(environ: Mapping[str, str]) -> str:
    """The locale of the characters; empty when nobody set one."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG", "")
    return "C.UTF-8" if locale == "UTF-8" else locale  # as macOS says it, also over ssh


def _judge_colours(environ: Mapping[str, str]) -> Colours:
    kind = environ.get("TERM", "")
    if environ.get("NO_COLOR") or WITHOUT_COLOUR.match(kind):
        return "none"
    has_256 = "256color" in kind
    if "STY" in environ:  # screen 4 takes the numbers of true colour for dim, blink and others
        return "256" if has_256 else "16"
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or WITH_TRUE_COLOUR.match(kind):
        return "truecolor"
    return "256" if has_256 else "16"
