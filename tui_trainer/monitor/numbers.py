"""Numbers as people read them. None, "not known", is a dash everywhere, as is what is no number."""

from __future__ import annotations

import math
from typing import TypeGuard

UNKNOWN = "–"
_UNITS = ("", " k", " M", " G", " T")


def whole(value: float | None) -> str:
    """1240 as 1,240."""
    return f"{value:,.0f}" if _is_known(value) else UNKNOWN


def counted(count: int, noun: str) -> str:
    """1 update, 1,200 updates."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def short(value: float | None) -> str:
    """18400 as 18.4 k: three figures and a unit."""
    if not _is_known(value):
        return UNKNOWN
    unit, given = 0, value
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if abs(value) >= 999.5:
        return rate(given)  # beyond all units
    if not unit:
        return f"{value:.0f}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{_UNITS[unit]}"


def size(value: float | None) -> str:
    """Bytes as 412 MB."""
    text = short(value)
    if text == UNKNOWN:
        return UNKNOWN
    return f"{text}B" if " " in text else f"{text} B"


def loss(value: float | None) -> str:
    """Nats, three decimals: what one evaluation can tell from the next."""
    return f"{value:.3f}" if _is_known(value) else UNKNOWN


def perplexity(value: float | None) -> str:
    """Four figures; above 9,999 only the order matters."""
    if not _is_known(value):
        return UNKNOWN
    if value >= 9999.5:
        return short(value)
    return f"{value:,.0f}" if value >= 999.95 else f"{value:.{1 if value >= 99.995 else 2}f}"


def percent(value: float | None) -> str:
    """0.412 as 41.2 %."""
    return f"{100 * value:.1f} %" if _is_known(value) else UNKNOWN


def rate(value: float | None) -> str:
    """A learning rate: 0.00021 as 2.1e-4."""
    if not _is_known(value):
        return UNKNOWN
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float | None) -> str:
    """Seconds as 21 s, 3 min 20 s, 1 h 04 min or 2 d 03 h."""
    if not _is_known(seconds):
        return UNKNOWN
    total = max(0, round(seconds))
    minutes, rest = divmod(total, 60)
    hours, minutes_rest = divmod(minutes, 60)
    days, hours_rest = divmod(hours, 24)
    if days >= 1000:
        return f"{days / 365.25:,.0f} years"
    if days:
        return f"{days} d {hours_rest:02} h"
    if hours:
        return f"{hours} h {minutes_rest:02} min"
    if minutes:
        return f"{minutes} min {rest:02} s"
    return f"{total} s"


def _is_known(value: float | None) -> TypeGuard[float]:
    try:
        return value is not None and math.isfinite(value)
    except OverflowError:  # a whole number of some log that is too large for a float
        return False
