"""Is it learning? Train and validation loss over the same steps, the best marked."""

from __future__ import annotations

import math

from tui_trainer.events import EvaluationCompleted
from tui_trainer.monitor import numbers
from tui_trainer.monitor.run_state import RunState
from tui_trainer.tui import braille
from tui_trainer.tui.lines import Line
from tui_trainer.tui.widgets.run_pane import RunPane

GUTTER = 6
FIRST_AXIS_STEPS = 50
TICK_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
GRAINS_PER_TICK = 4
BEST_SIGN = "◆"


class LossChart(RunPane):
    """The big chart: the spread of the single steps, their mean, and the validation loss on top."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.follower is None or width < GUTTER + 8 or height < 3:
            return []
        state = self.follower.state
        best_step = state.best.step if state.best else 0  # a run may have gone back to before its best
        last_step = axis_end(max(state.current_step, best_step), state.max_steps)
        plot_width, plot_height = width - GUTTER, height - 1
        band = state.history.train_loss.columns(plot_width * braille.DOTS_WIDE, 0, last_step)
        train = state.history.train_loss.means(plot_width * braille.DOTS_WIDE, 0, last_step)
        val = _val_columns(state.evaluations, plot_width * braille.DOTS_WIDE, last_step)
        values = [value for column in (*band, *val) if column for value in column]
        values += [mark.value for mark in _marks(state, len(val), last_step)]
        if not values:
            return _waiting(width, height)
        low, high, tick = value_range(min(values), max(values), plot_height)
        curves = [braille.Curve(band, "band"), braille.Curve(train, "train"), braille.Curve(val, "val")]
        plot = braille.draw(plot_width, plot_height, curves, low, high, _marks(state, len(val), last_step))
        labels = _value_labels(low, high, tick, plot_height)
        rows: list[Line] = [
            [(labels.get(row, "").rjust(GUTTER - 2), "label"), (" │" if row not in labels else " ┤", "quiet"), *line]
            for row, line in enumerate(plot)
        ]
        return [*rows, _step_labels(last_step, plot_width)]


def axis_end(step: int, max_steps: int | None) -> int:
    """The last step of the axis: the run's, halved as long as everything still fits.

    So the axis holds still while columns fill up, and a long run is not a thin line at the left edge.
    """
    end = max(max_steps or FIRST_AXIS_STEPS, 1)
    while end // 2 >= max(step, FIRST_AXIS_STEPS):
        end //= 2
    return end


def value_range(low: float, high: float, rows: int) -> tuple[float, float, float]:
    """The lowest and highest value of the axis, and the distance of its ticks, a round number."""
    span = max(high - low, 0.02)
    wanted = span / max(1, rows / 3)
    tick = next((step for step in TICK_STEPS if step >= wanted), wanted)
    grain = tick / GRAINS_PER_TICK  # coarse enough for the axis to hold still, fine enough to use the height
    return math.floor(low / grain) * grain, math.ceil(high / grain + 1e-9) * grain, tick


def _val_columns(evaluations: list[EvaluationCompleted], count: int, last_step: int) -> list[braille.Column | None]:
    columns: list[braille.Column | None] = [None] * count
    for evaluation in evaluations:
        if evaluation.val_loss is not None:
            columns[_column(evaluation.step, count, last_step)] = (evaluation.val_loss, evaluation.val_loss)
    return braille.bridge_gaps(columns)


def _column(step: int, count: int, last_step: int) -> int:
    return min(count - 1, round(step * (count - 1) / last_step))


def _marks(state: RunState, count: int, last_step: int) -> list[braille.Mark]:
    if state.best is None or state.best.val_loss is None:
        return []
    return [braille.Mark(_column(state.best.step, count, last_step), state.best.val_loss, BEST_SIGN, "best")]


def _value_labels(low: float, high: float, tick: float, rows: int) -> dict[int, str]:
    digits = max(0, -math.floor(math.log10(tick) + 1e-9)) if tick < 1 else 0
    labels: dict[int, str] = {}
    for index in range(math.ceil(low / tick - 1e-9), math.floor(high / tick + 1e-9) + 1):
        value = index * tick
        row = min(rows - 1, round((high - value) / (high - low) * (rows - 1)))
        labels[row] = f"{value:.{max(1, digits)}f}"
    return labels


def _step_labels(last_step: int, width: int) -> Line:
    """0, the end, and what lies between as far as there is room."""
    shares = (0, 0.25, 0.5, 0.75, 1) if width >= 60 else (0, 0.5, 1)
    text = [" "] * width
    for share in shares:
        label = numbers.whole(round(last_step * share))
        start = min(width - len(label), max(0, round(share * (width - 1)) - len(label) // 2))
        text[start : start + len(label)] = label
    return [(" " * GUTTER + "".join(text), "label")]


def _waiting(width: int, height: int) -> list[Line]:
    text = "the first figures are on their way"
    return [*([[]] * (height // 2)), [(text.center(width), "quiet")]]
