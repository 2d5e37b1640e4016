"""What the chart can show: one view for each question a person may ask of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tui_trainer.events import EvaluationCompleted
from tui_trainer.monitor import numbers
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.history import History, Series
from tui_trainer.tui.chart.viewport import Grid
from tui_trainer.tui.dots import Column

SHORTEST_NAMES = 5
"""Those of a backdrop are no longer."""

Show = Callable[[float | None], str]


@dataclass(frozen=True)
class Source:
    """A metric of the history as a curve: `name` stands at its newest point, `role` is its colour.

    One that is measured at every step also has a spread around its course.
    """

    name: str
    metric: str
    role: str
    spread_role: str = ""

    def series(self, history: History) -> Series:
        series: Series = getattr(history, self.metric)
        return series


class Backdrop(NamedTuple):
    """What the curves are seen against: a plan, a limit, zero."""

    name: str
    columns: list[Column | None]
    is_held: bool = False
    """Whether the axis of values reaches it."""


@dataclass(frozen=True)
class ChartView:
    """One chart: its curves from back to front, and how its values are written."""

    name: str
    title: str
    sources: tuple[Source, ...]
    show: Show
    """A value of the read-out."""
    tick: Show | None = None
    """A value at the axis; None: in as many decimals as the ticks need."""
    label_width: int = 4
    holds: tuple[float, ...] = ()
    """Values that the axis never leaves out."""
    can_be_log: bool = False
    is_log_at_first: bool = False
    reaches_end: bool = False
    """Whether the whole plan is shown from the start."""
    backdrop: Callable[[RunFollower, Grid], Backdrop | None] | None = None
    best: Callable[[EvaluationCompleted], float | None] | None = None
    """Where the best evaluation lies on this chart."""
    read_only: tuple[Source, ...] = ()
    """Read out at the cursor, but not drawn."""
    strip: Source | None = None
    """A share between 0 and 1, as bars under the plot."""

    @property
    def is_noisy(self) -> bool:
        """Whether anything on it can be made smooth."""
        return any(source.spread_role for source in self.sources)

    @property
    def name_width(self) -> int:
        """Cells for the names at the right."""
        named = [*self.sources, self.strip] if self.strip else self.sources
        return max(SHORTEST_NAMES, *(len(source.name) for source in named))

    def has_data(self, history: History) -> bool:
        return any(source.series(history).last for source in self.sources)


def _zero(_follower: RunFollower, grid: Grid) -> Backdrop:
    return Backdrop("", _dotted(0.0, grid))


def _clip_limit(follower: RunFollower, grid: Grid) -> Backdrop | None:
    limit = follower.config.training.grad_clip
    return Backdrop("limit", _dotted(limit, grid)) if limit else None


def _plan(follower: RunFollower, grid: Grid) -> Backdrop | None:
    """The rates as planned: behind the run those of its configuration, ahead of it what roll-backs have left."""
    schedule = follower.schedule
    if schedule is None:
        return None
    state = follower.state
    columns: list[Column | None] = []
    for index in range(grid.count):
        step = round(grid.first + index * grid.steps_a_column)
        rate = schedule(step) * (state.learning_rate_factor if step > state.current_step else 1.0)
        columns.append((rate, rate) if step <= schedule.max_steps else None)
    return Backdrop("plan", columns, is_held=True)


def _dotted(value: float, grid: Grid) -> list[Column | None]:
    """A dot in every other cell."""
    return [None if index % (2 * grid.wide) else (value, value) for index in range(grid.count)]


def _gap(event: EvaluationCompleted) -> float | None:
    train, val = event.train_eval_loss, event.val_loss
    return None if train is None or val is None else val - train


def _signed(value: float | None) -> str:
    return ("+" if value is not None and value >= 0 else "") + numbers.loss(value)


def _without_zeros(show: Show) -> Show:
    """The same figures without the zeros at the end of their decimals: ticks are round."""

    def write(value: float | None) -> str:
        return re.sub(r"\.(\d*?)0+(?!\d)", lambda decimals: "." * bool(decimals[1]) + decimals[1], show(value))

    return write


def _whole_percent(value: float | None) -> str:
    return numbers.UNKNOWN if value is None else f"{value:.0f} %"


def _tick_percent(value: float | None) -> str:
    return numbers.UNKNOWN if value is None else f"{100 * value:.3g} %"


LOSS = ChartView(
    "loss",
    "loss",
    (Source("train", "train_loss", "train", "band"), Source("val", "val_loss", "val")),
    numbers.loss,
    label_width=5,
    can_be_log=True,
    best=lambda event: event.val_loss,
    read_only=(Source("gap", "gap", "value"),),
)
GAP = ChartView(
    "gap",
    "gap between val and train loss",
    (Source("gap", "gap", "val"),),
    _signed,
    label_width=5,
    holds=(0.0,),
    backdrop=_zero,
    best=_gap,
)
PERPLEXITY = ChartView(
    "perplexity",
    "perplexity",
    (Source("train", "train_perplexity", "train", "band"), Source("val", "val_perplexity", "val")),
    numbers.perplexity,
    _without_zeros(numbers.short),
    label_width=5,
    can_be_log=True,
    is_log_at_first=True,
    best=lambda event: event.val_perplexity,
)
ACCURACY = ChartView(
    "accuracy",
    "accuracy of the next token",
    (Source("train", "train_accuracy", "train", "band"), Source("val", "val_accuracy", "val")),
    numbers.percent,
    _tick_percent,
    label_width=5,
    best=lambda event: event.val_accuracy,
)
LEARNING_RATE = ChartView(
    "learning rate",
    "learning rate",
    (Source("actual", "learning_rate", "train"),),
    numbers.rate,
    _without_zeros(numbers.rate),
    label_width=6,
    holds=(0.0,),
    can_be_log=True,
    reaches_end=True,
    backdrop=_plan,
)
GRAD_NORM = ChartView(
    "gradient norm",
    "gradient norm, before clipping",
    (Source("norm", "grad_norm", "train", "band"),),
    numbers.loss,
    can_be_log=True,
    backdrop=_clip_limit,
    strip=Source("clipped", "clip_rate", "label"),
)
SPEED = ChartView(
    "speed",
    "tokens a second",
    (Source("tokens/s", "tokens_per_second", "train", "band"),),
    numbers.short,
    _without_zeros(numbers.short),
    label_width=6,
    holds=(0.0,),
    can_be_log=True,
)
MACHINE = ChartView(
    "machine",
    "how busy the machine is",
    (Source("CPU", "cpu_percent", "value", "quiet"), Source("GPU", "gpu_percent", "accent", "quiet")),
    _whole_percent,
    _whole_percent,
    label_width=5,
    holds=(0.0, 100.0),
)
MEMORY = ChartView(
    "memory",
    "memory in use",
    (Source("process", "memory_bytes", "value"), Source("GPU", "gpu_memory_bytes", "accent")),
    numbers.size,
    _without_zeros(numbers.size),
    label_width=6,
    holds=(0.0,),
    can_be_log=True,
)

VIEWS = (LOSS, GAP, PERPLEXITY, ACCURACY, LEARNING_RATE, GRAD_NORM, SPEED, MACHINE, MEMORY)
SIDE_VIEWS = (GAP, GRAD_NORM, LEARNING_RATE, SPEED)
"""What a large screen shows beside the chart."""


def next_view(view: ChartView, history: History, direction: int) -> ChartView:
    """The next view that has something to show, round and round; the same one when there is no other."""
    others = [VIEWS[(VIEWS.index(view) + direction * away) % len(VIEWS)] for away in range(1, len(VIEWS))]
    return next((other for other in others if other.has_data(history)), view)
