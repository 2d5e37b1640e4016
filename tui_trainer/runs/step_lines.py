"""The lines of steps as columns: the one fast path beside `event_codec`, for logs of a million steps.

A line is taken this way only when it looks to the letter as `encode` writes it; all others are left to `decode`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from tui_trainer.event_codec import decode
from tui_trainer.events import Record, StepCompleted
from tui_trainer.runs.decimals import Floats, read_decimals


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


_NUMBERS = ("v", "time", "segment", "event", *(each.name for each in fields(StepCompleted)))
"""What is left of a line without its letters: an S, of the event's name, and an f, of false, stand for 0."""
_COLUMNS = tuple(each.name for each in fields(StepBlock) if each.name not in ("segment", "last"))
_PLACES = np.array([_NUMBERS.index(name) for name in _COLUMNS])
_LETTERS = bytes(set(range(256)) - set(b"0123456789.,-\nSf"))
_AS_NUMBERS = bytes.maketrans(b"\nSf", b",00")
_TRUE = re.compile(b",,")


def read_in_blocks(text: bytes) -> Iterator[StepBlock | Record]:
    """The records of complete lines in their order, steps that follow each other as blocks."""
    parts = list(_parts(text))
    view = memoryview(text)
    columns = _columns(b"".join(view[part.start() : part.end()] for part in parts if isinstance(part, re.Match)))
    first = 0
    for part in parts:
        if isinstance(part, Record):
            yield part
        else:
            after = first + text.count(b"\n", part.start(), part.end())
            last_line = text[text.rfind(b"\n", 0, part.end() - 1) + 1 : part.end() - 1]
            yield _block(last_line, columns[:, first:after])
            first = after


def _parts(text: bytes) -> Iterator[Record | re.Match[bytes]]:
    """The lines of steps of one segment that follow each other as one match, each other line as its record."""
    start = 0
    while start < len(text):
        if steps := _STEPS.match(text, start):
            yield steps
            start = steps.end()
        else:
            end = text.index(b"\n", start)
            if record := decode(text[start:end]):
                yield record
            start = end + 1


def _columns(steps: bytes) -> Floats:
    """The numbers of some lines of steps, in the order of a block."""
    if not steps:
        return np.empty((len(_COLUMNS), 0))
    numbers = read_decimals(_TRUE.sub(b",1,", steps.translate(_AS_NUMBERS, _LETTERS)))
    lines = np.arange(0, len(numbers.digits), len(_NUMBERS))
    which = _PLACES[:, None] + lines
    return numbers.floats(which.ravel()).reshape(which.shape)


def _block(last_line: bytes, columns: Floats) -> StepBlock:
    record = decode(last_line)
    assert record is not None and isinstance(record.event, StepCompleted)
    return StepBlock(record.segment, record.event, *columns)


def _line_pattern(segment: bytes) -> bytes:
    """A line as `encode` writes it, with the fields of the event in their order.

    Its numbers have bounds where otherwise a check of the codec could refuse them: finite, and integers below 2**63.
    """
    forms = {
        "int": rb"(?:0|[1-9][0-9]{0,17}+)",
        "float": rb"(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]++(?:e-[0-9]++)?+|e-[0-9]++)",
        "bool": rb"(?:true|false)",
    }
    head = [rb'"v":1', rb'"time":(?:0|[1-9][0-9]{0,10}+)\.[0-9]++', b'"segment":' + segment, b'"event":"StepCompleted"']
    values = [
        b'"%s":' % each.name.encode() + forms[str(each.type).removesuffix(" | None")] for each in fields(StepCompleted)
    ]
    return rb"\{" + b",".join([*head, *values]) + rb"\}\n"


_STEPS = re.compile(_line_pattern(rb"(0|[1-9][0-9]{0,17}+)") + b"(?>" + _line_pattern(rb"\1") + b")*+")
