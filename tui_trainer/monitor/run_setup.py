"""How a run was set up: precision, batch and the optimizer's groups, as its log tells them.

The groups are plain dictionaries of a log that anyone may have written, so nothing is taken for granted.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tui_trainer.config import RunConfig
from tui_trainer.events import RunStarted
from tui_trainer.monitor import numbers
from tui_trainer.monitor.run_state import RunState
from tui_trainer.monitor.safe_text import safe_line

MAX_GROUPS = 16
MAX_NAME = 24
MAX_BASE_NAME = 60
MAX_DECAY = 1e6
GROUP_HEAD = ("group", "optimizer", "tensors", "parameters", "weight decay")


class ParameterGroup(NamedTuple):
    """What the optimizer treats alike; None is not known."""

    name: str
    optimizer: str
    tensors: int | None
    parameters: int | None
    weight_decay: float | None

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """As a row under `GROUP_HEAD`, safe to show."""
        decay = numbers.UNKNOWN if self.weight_decay is None else f"{self.weight_decay:g}"
        return (self.name, self.optimizer, numbers.whole(self.tensors), numbers.whole(self.parameters), decay)


def parameter_groups(started: RunStarted) -> list[ParameterGroup]:
    """The groups that the log names, as far as they can be read."""
    named = [each for each in started.parameter_groups if isinstance(each, dict)]
    return [
        ParameterGroup(
            _name(each.get("name")),
            _name(each.get("optimizer")),
            _count(each.get("tensors")),
            _count(each.get("parameters")),
            _amount(each.get("weight_decay")),
        )
        for each in named[:MAX_GROUPS]
    ]


def base_name(started: RunStarted) -> str | None:
    """The model that a run goes on from, safe to show; None when its first weights were drawn."""
    name = started.base.get("name")
    return _shortened(safe_line(name), MAX_BASE_NAME) if isinstance(name, str) else None


def base_text(started: RunStarted) -> str | None:
    """The same with what is known of it."""
    name, step, val_loss = base_name(started), started.base.get("step"), started.base.get("val_loss")
    if name is None:
        return None
    known = [name]
    if (count := _count(step)) is not None:
        known.append(f"step {numbers.whole(count)}")
    if (loss := _amount(val_loss)) is not None:
        known.append(f"val {numbers.loss(loss)} on its own text")
    return ", ".join(known)


def precision_text(started: RunStarted) -> str:
    """The precision, and why it was chosen when the log says so."""
    return started.precision + (f": {started.precision_reason}" if started.precision_reason else "")


def batch_split(state: RunState, config: RunConfig) -> tuple[int, int] | None:
    """Sequences of a step, and how many of them are in memory at once; None while it is not known."""
    if state.started is None or state.micro_batch_size is None:
        return None
    batch, micro_batch = state.started.tokens_per_step // config.model.context_length, state.micro_batch_size
    return (batch, micro_batch) if 0 < micro_batch <= batch else None


def accumulation(batch: int, micro_batch: int) -> int:
    """How many micro-batches add up to a batch; the last may be smaller."""
    return math.ceil(batch / micro_batch)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        return numbers.UNKNOWN
    return _shortened(safe_line(value), MAX_NAME)


def _shortened(line: str, length: int) -> str:
    return line if len(line) <= length else line[: length - 1] + "…"


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _amount(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < MAX_DECAY else None
