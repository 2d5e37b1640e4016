"""The lines of steps as columns: the one fast path beside `event_codec`, for logs of a million steps.

A line is taken this way only when it has the fields that `encode` writes, in their order; all others, and those with a
value that a check of the codec could refuse, are left to `decode`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from tui_trainer.event_codec import LARGEST_INTEGER, LAST_TIME, decode
from tui_trainer.events import Record, StepCompleted

Floats: TypeAlias = npt.NDArray[np.float64]
Row: TypeAlias = tuple[Any, ...]
"""The values of a line."""


@dataclass(frozen=True)
class StepBlock:
    """Steps of one segment that follow each other in the log, a column a metric, and the last of them whole."""

    segment: int
    last: StepCompleted
    step: Floats
    train_loss: Floats
    train_perplexity: Floats
    train_accuracy: Floats
    learning_rate: Floats
    grad_norm: Floats
    is_clipped: Floats
    """1 or 0."""
    tokens_per_second: Floats


_FIELDS = {"v": "Any", "time": "float", "segment": "int", "event": "str"}
_HEAD = len(_FIELDS)
_FIELDS |= {each.name: str(each.type).removesuffix(" | None") for each in fields(StepCompleted)}
"""What `encode` writes on a line, in its order, and the type of each value."""
_NAMES = tuple(_FIELDS)
_SEGMENT = _NAMES.index("segment")
_METRICS = tuple(each.name for each in fields(StepBlock) if each.name not in ("segment", "last"))
_TYPES: dict[str, set[type]] = {"int": {int}, "float": {int, float}, "bool": {bool}}
_LONG_INTEGER = re.compile(rb":[- \t\r]*[0-9]{19}")


def read_in_blocks(text: bytes) -> Iterator[StepBlock | Record]:
    """The records of complete lines in their order, steps that follow each other as blocks."""
    lines = text.split(b"\n")
    rows = [_row(line) for line in lines]
    columns = _columns([row for row in rows if row], text)
    if columns is None:
        rows, columns = [None] * len(lines), {}
    first = 0
    for _, group in groupby(range(len(lines)), lambda place: row[_SEGMENT] if (row := rows[place]) else None):
        *_, last = places = list(group)
        if row := rows[last]:
            after = first + len(places)
            metrics = (columns[name][first:after] for name in _METRICS)
            yield StepBlock(row[_SEGMENT], StepCompleted(*row[_HEAD:]), *metrics)
            first = after
        else:
            yield from filter(None, map(decode, lines[places[0] : last + 1]))


def _row(line: bytes) -> Row | None:
    """The values of a line of a step."""
    try:
        payload = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    is_step = type(payload) is dict and tuple(payload) == _NAMES and payload["event"] == "StepCompleted"
    return tuple(payload.values()) if is_step else None


def _columns(rows: Sequence[Row], text: bytes) -> dict[str, Floats] | None:
    """The numbers of some lines of a text by their names, or None when the codec may refuse one of them."""
    columns = {}
    for (name, kind), values in zip(_FIELDS.items(), zip(*rows, strict=True), strict=False):
        if kind in _TYPES:
            if not _TYPES[kind].issuperset(map(type, values)):
                return None
            columns[name] = np.array(values, float)
    if columns and not (columns["time"].min() >= 0 and columns["time"].max() < LAST_TIME):
        return None
    # Of an integer beyond 64 bits orjson makes a float. NaN and infinity it refuses, as the codec does.
    is_large = any(abs(column).max() >= LARGEST_INTEGER for column in columns.values())
    return None if is_large and _LONG_INTEGER.search(text) else columns
