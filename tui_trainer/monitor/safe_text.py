"""Foreign text made harmless for a terminal: shown, never obeyed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

GLOSS = re.compile(r"\s*\([^()]*[가-힣][^()]*\)")

_DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\ud800-\udfff]"
)


def safe_text(text: str) -> str:
    """The text with control characters, bidirectional overrides and lone surrogates made visible.

    Newlines and tabs stay. Markup is not touched: text of others never goes to a widget as markup.
    """
    return _DANGEROUS.sub(_visible, text)


def safe_line(text: str) -> str:
    """`safe_text` on one line: each newline becomes ⏎ and each tab a space."""
    return safe_text(text).replace("\n", "⏎").replace("\t", " ")


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}"


def without_glosses(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Text without its Korean words in brackets, unless the locale is Korean."""
    return text if is_korean(environ) else GLOSS.sub("", text)


def is_korean(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether messages are wanted in Korean, by the rules of POSIX."""
    chosen = next(filter(None, (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return chosen.startswith("ko")
