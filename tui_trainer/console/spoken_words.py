"""Numbers and words for the ear: no column, no sign, no unit that a voice would spell out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeGuard

from tui_trainer.monitor.numbers import counted
from tui_trainer.monitor.safe_text import safe_line

UNKNOWN = "unknown"
TINIEST = 1e-9
"""What is smaller has too many zeros to listen to."""
LARGE_UNITS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
LARGEST = 1e15
TIME_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
LONGEST_DAYS = 1000


def whole(value: float | None) -> str:
    """1240 as 1,240."""
    return rough(value) if not _is_known(value) or abs(value) >= 1e9 else f"{value:,.0f}"


def rough(value: float | None) -> str:
    """Three figures: 401664 as 402,000 and 124439808 as 124 million."""
    if not _is_known(value):
        return UNKNOWN
    if abs(value) >= LARGEST:
        return "more than a thousand trillion" if value > 0 else "less than minus a thousand trillion"
    if 0 < abs(value) < TINIEST:
        return "less than a billionth"
    for size, name in LARGE_UNITS:
        if abs(value) >= 0.9995 * size:
            return f"{_three_figures(value / size):f} {name}"
    return f"{_three_figures(value):,f}"


def loss(value: float | None) -> str:
    """Nats, as exactly as a voice can be followed."""
    if not _is_known(value):
        return UNKNOWN
    return rough(value) if abs(value) >= 1000 else f"{value:.{2 if abs(value) >= 0.9995 else 3}f}"


def perplexity(value: float | None) -> str:
    """73.7, and above a hundred no decimals."""
    if not _is_known(value):
        return UNKNOWN
    return f"{value:.1f}" if abs(value) < 99.95 else whole(value) if abs(value) < 1e6 else rough(value)


def percent(value: float | None) -> str:
    """0.412 as 41 percent."""
    if not _is_known(value):
        return UNKNOWN
    return "less than 1 percent" if 0 < value < 0.005 else f"{whole(100 * value)} percent"


def rate(value: float | None) -> str:
    """A learning rate with all its zeros: 3.0e-4 as 0.0003."""
    if not _is_known(value) or abs(value) >= 1000 or 0 < abs(value) < TINIEST:
        return rough(value)
    return f"{_three_figures(value):f}"


def exactly(value: float) -> str:
    """Every figure of a number: 12345.5 as 12,345.5 and 3e-4 as 0.0003; unless its zeros are beyond listening to."""
    is_sayable = _is_known(value) and (value == 0 or TINIEST <= abs(value) < LARGEST)
    return f"{Decimal(repr(value)).normalize():,f}" if is_sayable else rough(value)


def duration(seconds: float | None) -> str:
    """Seconds as 25 seconds, 3 minutes 20 seconds, 1 hour 4 minutes or 2 days 3 hours."""
    if not _is_known(seconds):
        return UNKNOWN
    total = max(0, round(seconds))
    if total >= LONGEST_DAYS * TIME_UNITS[0][0]:
        return f"{rough(total / 86_400 / 365.25)} years"
    for index, (size, name) in enumerate(TIME_UNITS[:-1]):
        if total >= size:
            smaller, smaller_name = TIME_UNITS[index + 1]
            rest = total % size // smaller
            return counted(total // size, name) + (f" {counted(rest, smaller_name)}" if rest else "")
    return counted(total, "second")


def about(seconds: float) -> str:
    """A duration that is only guessed, so that it need not be listened to for long."""
    step = 5 if seconds < 60 else 10 if seconds < 600 else 60
    return "a few seconds" if seconds < 5 else f"about {duration(step * round(seconds / step))}"


def sentence(text: str) -> str:
    """Text that begins and ends as a sentence does, on one line; a path or a key at its begin stays as it is."""
    line = safe_line(text).strip()
    begin = line[:1].upper() if FIRST_WORD.match(line) else line[:1]
    return begin + line[1:] + ("" if line.endswith((".", "!", "?", ":")) else ".")


def verbatim(text: str) -> str:
    """Text of others, on one line and harmless, but in their own words."""
    return safe_line(on_one_line(text))


def on_one_line(text: str) -> str:
    """The lines of a message, one after the other."""
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _in_full(match: re.Match[str]) -> str:
    return rate(float(match[0]))


SAID: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"(?<![\w.])(?<!\w-)\d+(?:\.\d+)?e[+-]?\d{1,3}(?!\w)", _in_full),
    (r"(?<=\d) ?%", " percent"),
    (r"(?<=\d) k\b", " thousand"),
    (r"(?<=\d) M\b", " million"),
    (r"(?<=\d) G\b", " billion"),
    (r"(?<![\w-])val −(?=\d)", "validation loss down by "),
    (r"(?<![\w-])val(?: loss)?(?![\w-])", "validation loss"),
    (r"(?<![\w-])train(?: loss\b|(?= (?:\d|fell|rose)))", "training loss"),
    (r"−(?=\d)", "minus "),
    (r" ?→ ?", " to "),
    (r" ?× ?", " times "),
    (r"…", "..."),
)
"""The signs and abbreviations in what the diagnosis and the trainer write for the eye."""


FOREIGN = re.compile(r'([^\s=]*(?:[/\\]|[^\W\d]\.\w|\w\.[^\W\d])[^\s=]*|"[^"]*"|“[^”]*”)')
"""Paths, names with dots and what stands between quotation marks."""
FIRST_WORD = re.compile(r"[^\W\d_]+(?![\w./\\=-])")


def in_words(text: str) -> str:
    """A message of the program for the eye, on one line and for the ear; what it quotes stays as it is."""
    parts = FOREIGN.split(on_one_line(text))
    parts[0::2] = map(_spoken, parts[0::2])
    parts[1::2] = [f'"{part[1:-1]}"' if part.startswith("“") else part for part in parts[1::2]]
    return safe_line("".join(parts))


def _spoken(phrase: str) -> str:
    for sign, word in SAID:
        phrase = re.sub(sign, word, phrase)
    return phrase


def _three_figures(value: float) -> Decimal:
    """Rounded, without the zeros that say nothing."""
    rounded = Decimal(f"{value:.3g}").normalize()
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def _is_known(value: float | None) -> TypeGuard[float]:
    try:
        return value is not None and math.isfinite(value)
    except OverflowError:  # a whole number of some log that is too large for a float
        return False
