"""What is wrong with a configuration, in words for the person who wrote it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tui_trainer.errors import did_you_mean

SHOWN_CHARACTERS = 60

PLAIN_WORDS = {
    "Input should be ": "must be ",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": 'text in "quotes"',
    "a valid tuple": "a list in [brackets]",
    "Field required": "a value is missing",
    "Tuple should have at most": "must have at most",
}
"""What pydantic says, in the words of TOML."""


def explain_mistake(detail: Any, known_keys: Callable[..., list[str]]) -> str:
    """One of pydantic's mistakes in one line: the section, the key, the value, what it must be.

    Args:
        detail: an entry of `ValidationError.errors()`.
        known_keys: the sections, or the keys of one section.
    """
    where = [str(part) for part in detail["loc"]]
    section = where[0] if where else ""
    if detail["type"] == "extra_forbidden":
        if len(where) == 1:
            return f"unknown section [{_one_line(section)}]{did_you_mean(section, known_keys())}"
        hint = did_you_mean(where[1], known_keys(section))
        return f"[{section}] unknown key {_one_line(where[1])}{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    if len(where) == 1:
        if detail["type"] == "value_error":
            return f"[{section}] {message}"
        return f"{section} must be a table: write [{section}] and its keys below"
    for word, plain in PLAIN_WORDS.items():
        message = message.replace(word, plain)
    return f"[{section}] {'.'.join(where[1:])} = {_as_toml(detail['input'])}: {message}"


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, tuple):
        value = list(value)
    try:
        return _one_line(repr(value))
    except ValueError:  # Python refuses to write out thousands of digits.
        return "a number of thousands of digits"


def _one_line(text: str) -> str:
    """Short enough for a message, and without what would break its line."""
    shown = "".join(character if character.isprintable() else "?" for character in text[: SHOWN_CHARACTERS + 1])
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[: SHOWN_CHARACTERS - 3] + "..."
