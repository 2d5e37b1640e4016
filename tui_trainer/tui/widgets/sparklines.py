"""Loss and perplexity at a glance: one to three rows each, newest at the right."""

from __future__ import annotations

import math

from tui_trainer.monitor import numbers
from tui_trainer.monitor.history import Series
from tui_trainer.tui.dots import BRAILLE
from tui_trainer.tui.lines import Line
from tui_trainer.tui.widgets.run_pane import RunPane

LABEL, FIGURE = 11, 8
MAX_ROWS = 3


class Sparklines(RunPane):
    """The whole run in as many columns as there are."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.follower is None:
            return []
        state = self.follower.state
        step = state.step
        room = max(1, width - LABEL - FIGURE)
        entries = [
            ("loss", state.history.train_loss, numbers.loss(step.train_loss if step else None)),
            ("perplexity", state.history.train_perplexity, numbers.perplexity(step.train_perplexity if step else None)),
        ]
        rows = min(MAX_ROWS, max(1, (height - 1) // len(entries)))
        gap: list[Line] = [[]] if height > rows * len(entries) else []
        lines: list[Line] = []
        for label, series, figure in entries:
            bars = sparkline(series, room, state.current_step, rows, self.dots.levels)
            lines += gap if lines else []
            lines += [[(" " * LABEL, ""), (row, "train")] for row in bars[:-1]]
            lines.append([(label.ljust(LABEL), "label"), (bars[-1], "train"), (figure.rjust(FIGURE), "value")])
        return lines


def sparkline(series: Series, width: int, last_step: int, rows: int = 1, levels: str = BRAILLE.levels) -> list[str]:
    """Bars of the middle of each column between the lowest and the highest, on a logarithmic scale, top row first."""
    columns = series.columns(width, 0, max(width - 1, last_step))
    middles = [math.log(max(1e-9, (column[0] + column[1]) / 2)) if column else None for column in columns]
    known = [middle for middle in middles if middle is not None]
    if not known:
        return [" " * width] * rows
    low, span, top = min(known), max(max(known) - min(known), 1e-9), len(levels) - 1
    heights = [None if middle is None else 1 + round((middle - low) / span * (top * rows - 1)) for middle in middles]
    return [
        "".join(" " if height is None else levels[min(top, max(0, height - top * below))] for height in heights)
        for below in reversed(range(rows))
    ]
