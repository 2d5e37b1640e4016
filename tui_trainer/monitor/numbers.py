"""Numbers as people read them. None, "not known", is a dash everywhere."""

from __future__ import annotations

import math

UNKNOWN = "–"
_UNITS = ("", " k", " M", " G", " T")


def whole(value: float | None) -> str:
    """1240 as 1,240."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """18400 as 18.4 k: three figures and a unit."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    unit = 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if not unit:
        return f"{value:.0f}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{_UNITS[unit]}"


def size(value: float | None) -> str:
    """Bytes as 412 MB."""
    if value is None:
        return UNKNOWN
    text = short(value)
    return f"{text}B" if " " in text else f"{text} B"


def loss(value: float | None) -> str:
    """Nats, three decimals: what one evaluation can tell from the next."""
    return UNKNOWN if value is None else f"{value:.3f}"


def perplexity(value: float | None) -> str:
    """Four figures; above 9,999 only the order matters."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value >= 10_000:
        return short(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{1 if value >= 100 else 2}f}"


def percent(value: float | None) -> str:
    """0.412 as 41.2 %."""
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def rate(value: float | None) -> str:
    """A learning rate: 0.00021 as 2.1e-4."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float | None) -> str:
    """Seconds as 21 s, 3 min 20 s, 1 h 04 min or 2 d 03 h."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    total = max(0, round(seconds))
    minutes, rest = divmod(total, 60)
    hours, minutes_rest = divmod(minutes, 60)
    days, hours_rest = divmod(hours, 24)
    if days:
        return f"{days} d {hours_rest:02} h"
    if hours:
        return f"{hours} h {minutes_rest:02} min"
    if minutes:
        return f"{minutes} min {rest:02} s"
    return f"{total} s"
