"""Signs for terminals that lack ours: each becomes others of the same width, so that every column stays where it is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from rich.cells import split_graphemes

Translator = Callable[[str], str]

ASCII_FOR = {
    "*": "●▇", "-": "•–—−‐‑▔▄", "+": "✓✔▆", "x": "✗✘×", "!": "▲⚠", "v": "▼↓▾", "^": "↑▴", "@": "◆",
    ">": "▶▸►❯→›", "<": "◀◂◄❮←‹⏎↵", ".": "…‥·∙▂", "'": "‘’‚", '"': "“”„▀", "/": "÷", "o": "°",
    "|": "▏▎▍▌▋▊▉▐▕", "_": "▁", ":": "▃▒", "=": "▅‖", "~": "±", "}": "»", "#": "█▓", "`": "░",
}  # fmt: skip

CONSOLE_FOR = {
    "┌": "╭", "┐": "╮", "└": "╰", "┘": "╯", "═": "━╸", "•": "●", "♦": "◆", "▶": "▸►❯", "◀": "◂◄❮", "▲": "▴", "▼": "▾",
    "¶": "⏎↵", "+": "✓✔", "x": "✗✘×", ".": "…‥", "-": "–—−‐‑", "_": "▁▂", "░": "▃", "▒": "▅▆", "█": "▇▋▊▉",
    "║": "‖", "│": "▏▎▍▕", "─": "▔",
}  # fmt: skip
"""What is neither in the kernel's own font nor in those that Debian sets, below what comes nearest there."""

_UPPER_DOTS, _LOWER_DOTS = 0x1B, 0xE4
_FOREIGN = re.compile("[\x20-\x7e]?[^\x00-\x7f]+")
"""With the letter before it, which the first sign may belong to as an accent."""


def leave_alone(text: str) -> str:
    """For a terminal that shows everything."""
    return text


def to_console(text: str) -> str:
    """For the Linux console, whose fonts have lines and a few signs; of letters it does what it can."""
    return text if text.isascii() else text.translate(_console_table())


def to_ascii(text: str) -> str:
    """Only what every terminal has: the nearest sign, a letter without its accent, or "?" for each cell."""
    if text.isascii():
        return text
    text = text.translate(_ascii_table())
    return text if text.isascii() else _FOREIGN.sub(_replace, text)


TRANSLATORS: dict[str, Translator] = {"all": leave_alone, "console": to_console, "ascii": to_ascii}
"""By `TerminalKind.signs`."""


@cache
def _ascii_table() -> dict[int, str]:
    lines = {code: _line_sign(unicodedata.name(chr(code))) for code in range(0x2500, 0x2580)}
    return lines | {0x2800 + dots: _braille_sign(dots) for dots in range(256)} | _table(ASCII_FOR)


@cache
def _console_table() -> dict[int, str]:
    return _table(CONSOLE_FOR)


def _table(signs_for: dict[str, str]) -> dict[int, str]:
    return {ord(sign): instead for instead, signs in signs_for.items() for sign in signs}


def _line_sign(name: str) -> str:
    """For a box drawing sign, by its name."""
    if "DIAGONAL" in name:
        return "X" if "CROSS" in name else "/" if "UPPER RIGHT TO" in name else "\\"
    if " AND " in name:
        return "+"
    if "VERTICAL" in name or name.endswith(("UP", "DOWN")):
        return "|"
    return "=" if "HEAVY" in name or "DOUBLE" in name else "-"


def _braille_sign(dots: int) -> str:
    if not dots:
        return " "
    if not dots & _LOWER_DOTS:
        return "'"
    return ":" if dots & _UPPER_DOTS else "."


def _replace(match: re.Match[str]) -> str:
    text = match[0]
    return "".join(_replace_grapheme(text[start:end], width) for start, end, width in split_graphemes(text)[0])


def _replace_grapheme(grapheme: str, width: int) -> str:
    plain = unicodedata.normalize("NFKD", grapheme).encode("ascii", "ignore").decode()
    return plain if len(plain) == width else "?" * width
