"""How each event becomes one line of JSON: the contract between processes.

A line is `{"v":1,"time":…,"segment":…,"event":"StepCompleted","step":…,…}`. Readers skip events and fields
that they do not know. JSON has no NaN: a non-finite float is written as `null`, and the line then carries
`"non_finite":true`. A line whose values have other types than its event declares is skipped too, so that
readers need not ask.
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, fields
from typing import Any

from tui_trainer.events import EVENTS, Record

FORMAT_VERSION = 1
_REQUIRED = {
    kind: frozenset(each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING)
    for kind in EVENTS.values()
}
_TYPES: dict[str, frozenset[type]] = {
    "str": frozenset({str}),
    "int": frozenset({int}),
    "float": frozenset({float, int}),
    "bool": frozenset({bool}),
    "int | None": frozenset({int, type(None)}),
    "float | None": frozenset({float, int, type(None)}),
    "dict[str, Any]": frozenset({dict}),
    "list[dict[str, Any]]": frozenset({list}),
    "dict[str, float]": frozenset({dict}),
    "Any": frozenset({str, int, float, bool, type(None), dict, list}),
}
_FIELD_TYPES = {kind: tuple((each.name, _TYPES[str(each.type)]) for each in fields(kind)) for kind in EVENTS.values()}
LARGEST_INTEGER = 2**63
LAST_TIME = 253_370_764_800
"""The first second of the year 9999: no clock shows more."""


def encode(record: Record) -> bytes:
    """The record as one line of UTF-8 JSON, with its newline."""
    payload: dict[str, Any] = {
        "v": FORMAT_VERSION,
        "time": round(record.time, 3),
        "segment": record.segment,
        "event": type(record.event).__name__,
    }
    values = asdict(record.event)
    finite = _without_non_finite(values)
    payload |= finite
    if finite != values:
        payload["non_finite"] = True
    line = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, from a file name that is no UTF-8, becomes its JSON escape.
    return line.encode("utf-8", "backslashreplace") + b"\n"


def decode(line: bytes) -> Record | None:
    """The record on a line, or None for what this version does not know or cannot read."""
    try:
        payload = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    kind = EVENTS.get(str(payload.get("event")))
    time: Any = payload.get("time")
    segment: Any = payload.get("segment")
    if kind is None or type(time) not in _TYPES["float"] or type(segment) is not int or not 0 <= time < LAST_TIME:
        return None
    if not _REQUIRED[kind] <= payload.keys():
        return None
    known = {}
    for name, types in _FIELD_TYPES[kind]:
        if name in payload:
            known[name] = value = payload[name]
            if type(value) not in types or (type(value) is float and not math.isfinite(value)):
                return None
            if type(value) is int and abs(value) > LARGEST_INTEGER:  # no float holds it, and no counter reaches it
                return None
    return Record(time, segment, kind(**known))


def _without_non_finite(value: Any) -> Any:
    """Plain values with null in place of NaN and the infinities, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_non_finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_non_finite(part) for part in value]
    if isinstance(value, tuple):
        return tuple(_without_non_finite(part) for part in value)
    return value
