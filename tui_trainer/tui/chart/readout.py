"""What a chart says of the cell under its cursor: numbers in place of a position between two ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tui_trainer.monitor import numbers
from tui_trainer.monitor.history import History
from tui_trainer.tui.chart.viewport import Window
from tui_trainer.tui.chart.views import ChartView, Show, Source
from tui_trainer.tui.dots import Signs
from tui_trainer.tui.lines import Line, width_of


class Entry(NamedTuple):
    """A name and its figure; the further words are left out where there is no room."""

    name: str
    role: str
    figure: str
    spread: str = ""
    origin: str = ""

    def line(self) -> Line:
        further = [(f" {text}", "label") for text in (self.spread, self.origin) if text]
        return [(f"{self.name} " if self.name else "", self.role), (self.figure, "value"), *further]


def read_out(entries: Sequence[Entry], width: int) -> Line:
    """The step and then the metrics on one line; what matters least is left out first, the last entries at the end."""
    here = [entry._replace(origin="") for entry in entries]
    bare = [here[0]._replace(name=""), *here[1:]]
    plain = [entry._replace(spread="") for entry in bare]
    choices = [_joined(entries, 3), *(_joined(each, 2) for each in (entries, here, bare, plain))]
    choices += [_joined(plain[:count], 2) for count in range(len(plain) - 1, 0, -1)]
    return next((line for line in choices if width_of(line) <= width), [])


def step_entry(steps: Window, signs: Signs) -> Entry:
    """The step, or the steps, of a cell."""
    if steps.first == steps.last:
        return Entry("step", "label", numbers.whole(steps.first))
    return Entry("steps", "label", f"{steps.first:,}{signs.dash}{steps.last:,}")


def source_entries(view: ChartView, history: History, steps: Window, signs: Signs) -> list[Entry]:
    """What each metric of a view was in some steps, or at the point closest to them."""
    read = [(source, view.show) for source in (*view.sources, *view.read_only)]
    read += [(view.strip, numbers.percent)] if view.strip else []
    entries = (_entry(source, show, history, steps, signs) for source, show in read)
    return [entry for entry in entries if entry is not None]


def _entry(source: Source, show: Show, history: History, steps: Window, signs: Signs) -> Entry | None:
    series = source.series(history)
    (column,), (mean,) = series.columns(1, *steps), series.means(1, *steps)
    if column is not None and mean is not None:
        low, high = show(column[0]), show(column[1])
        is_spread = low != high and bool(source.spread_role)
        return Entry(source.name, source.role, show(mean[0]), f"{low}{signs.dash}{high}" if is_spread else "")
    if series.gaps(1, *steps)[0]:
        return Entry(source.name, source.role, "not finite")
    nearest = series.nearest((steps.first + steps.last) / 2)
    if nearest is None:
        return None
    value = show(nearest.total / nearest.values)
    return Entry(source.name, source.role, value, origin=f"at {numbers.whole(nearest.first_step)}")


def _joined(entries: Sequence[Entry], distance: int) -> Line:
    joined: Line = []
    for entry in entries:
        joined += [(" " * distance, ""), *entry.line()] if joined else entry.line()
    return joined
