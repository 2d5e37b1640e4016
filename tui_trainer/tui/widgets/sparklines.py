"""Loss and perplexity at a glance: one row each, newest at the right."""

from __future__ import annotations

import math

from tui_trainer.monitor import numbers
from tui_trainer.monitor.history import Series
from tui_trainer.tui.lines import Line
from tui_trainer.tui.widgets.run_pane import RunPane

BARS = "▁▂▃▄▅▆▇█"
LABEL, FIGURE = 11, 8


class Sparklines(RunPane):
    """The whole run in as many columns as there are."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.follower is None:
            return []
        state = self.follower.state
        step = state.step
        room = max(1, width - LABEL - FIGURE)
        rows = [
            ("loss", state.train_loss, numbers.loss(step.train_loss if step else None)),
            ("perplexity", state.train_perplexity, numbers.perplexity(step.train_perplexity if step else None)),
        ]
        return [
            [(label.ljust(LABEL), "label"), (sparkline(series, room, state.current_step), "train"),
             (figure.rjust(FIGURE), "value")]
            for label, series, figure in rows
        ]  # fmt: skip


def sparkline(series: Series, width: int, last_step: int) -> str:
    """The mean height of each column between the lowest and the highest, on a logarithmic scale."""
    columns = series.columns(width, 0, max(width - 1, last_step))
    middles = [math.log(max(1e-9, (column[0] + column[1]) / 2)) if column else None for column in columns]
    known = [middle for middle in middles if middle is not None]
    if not known:
        return " " * width
    low, span = min(known), max(max(known) - min(known), 1e-9)
    return "".join(
        " " if middle is None else BARS[min(len(BARS) - 1, int((middle - low) / span * len(BARS)))]
        for middle in middles
    )
