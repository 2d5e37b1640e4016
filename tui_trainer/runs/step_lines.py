"""The lines of steps as columns: the one fast path beside `event_codec`, for logs of a million steps.

A line is taken this way only when its fields are those that `encode` writes, with finite values of a usual
size, which the codec cannot refuse; all others are left to `decode`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain, groupby
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from tui_trainer.event_codec import LAST_TIME, decode
from tui_trainer.events import Record, StepCompleted

Floats: TypeAlias = npt.NDArray[np.float64]


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


_FIELDS = [each.name for each in fields(StepCompleted)]
_METRICS = [each.name for each in fields(StepBlock) if each.name not in ("segment", "last")]
_PLAIN = msgspec.Meta(gt=-(2**53), lt=2**53)
"""Of floats too, for which an integer may stand: within these bounds every integer is a float exactly."""
_TYPES: dict[str, Any] = {"int": Annotated[int, _PLAIN], "float": Annotated[float, _PLAIN], "bool": bool}
_Line = msgspec.defstruct(
    "_Line",
    [
        ("v", int),
        ("time", Annotated[float, msgspec.Meta(ge=0, lt=LAST_TIME)]),
        ("segment", _TYPES["int"]),
        ("event", Literal["StepCompleted"]),
        *((each.name, _TYPES[str(each.type).removesuffix(" | None")]) for each in fields(StepCompleted)),
    ],
    forbid_unknown_fields=True,
    gc=False,
)
"""What `encode` writes of a step."""
_decoder = msgspec.json.Decoder(_Line)
_values_of, _metrics_of = attrgetter(*_FIELDS), attrgetter(*_METRICS)


def read_in_blocks(text: bytes) -> Iterator[StepBlock | Record]:
    """The records of complete lines in their order, steps that follow each other as blocks."""
    lines = text.split(b"\n")
    steps = [_read_step(line) for line in lines]
    first = 0
    for segment, group in groupby(steps, lambda step: step.segment if step else None):
        block = list(group)
        if segment is None:
            yield from filter(None, map(decode, lines[first : first + len(block)]))
        else:
            yield _block_of(block)
        first += len(block)


def _read_step(line: bytes) -> Any | None:
    """The step on a line, as a `_Line`."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _block_of(steps: Sequence[Any]) -> StepBlock:
    metrics = np.fromiter(chain.from_iterable(map(_metrics_of, steps)), float).reshape(-1, len(_METRICS))
    return StepBlock(steps[-1].segment, StepCompleted(*_values_of(steps[-1])), *metrics.T.copy())
