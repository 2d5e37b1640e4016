"""A chart as lines of text: the plot, and the axes, marks and figures around it."""

from __future__ import annotations

from dataclasses import dataclass

from tui_trainer.monitor.follower import RunFollower
from tui_trainer.tui.chart.axes import SteadyAxis, ValueAxis, fitted, step_labels
from tui_trainer.tui.chart.marks import marked_cells
from tui_trainer.tui.chart.plot import axis_of, draw_cursor, draw_plot, read_plot, start_above
from tui_trainer.tui.chart.readout import Entry, read_out, source_entries, step_entry
from tui_trainer.tui.chart.viewport import Grid, Window
from tui_trainer.tui.chart.views import ChartView, Source
from tui_trainer.tui.dots import Canvas, DotStyle
from tui_trainer.tui.lines import Line, cut

WALL = 2
"""Cells between the labels of values and the plot."""
FEWEST_CELLS, FEWEST_ROWS = 8, 2
ROWS_FOR_START = 3
"""At the top, of which one has room for the value above it."""


@dataclass(frozen=True)
class Look:
    """How somebody wants to see a run."""

    view: ChartView
    window: Window
    style: DotStyle
    cursor: float | None = None
    is_log: bool = False
    is_smoothed: bool = False


def grid_of(look: Look, width: int) -> Grid:
    """Where the steps lie on a chart so many cells wide: what is left beside the axis and the curves' names."""
    taken = look.view.label_width + WALL + look.view.name_width + 1
    return Grid(*look.window, max(1, width - taken), look.style.wide)


def draw_chart(
    follower: RunFollower, look: Look, width: int, height: int, steady: SteadyAxis | None = None
) -> list[Line]:
    """A view of a run on width × height cells; `steady` is the chart's memory of its axis."""
    grid = grid_of(look, width)
    rows = height - 2 - bool(look.view.strip)
    if grid.cells < FEWEST_CELLS or rows < FEWEST_ROWS:
        return []
    return Picture(follower, look, grid, width, rows).lines(steady or SteadyAxis())


class Picture:
    """One drawing of a view: the plot, under it the axis of steps with its marks, and the labels or the read-out."""

    def __init__(self, follower: RunFollower, look: Look, grid: Grid, width: int, rows: int) -> None:
        self._look, self._grid, self._width, self._rows = look, grid, width, rows
        self._view, self._signs, self._history = look.view, look.style.signs, follower.state.history
        self._gutter = " " * (look.view.label_width + 1)
        self._room = width - len(self._gutter) - 1
        self._cursor = None if look.cursor is None else grid.cell(look.cursor)
        self._plot = read_plot(follower, look.view, grid, is_smoothed=look.is_smoothed)
        sources = [source.series(self._history) for source in look.view.sources]
        self._marks = marked_cells(self._history.marks, sources, grid)

    def lines(self, steady: SteadyAxis) -> list[Line]:
        axis = axis_of(self._plot, self._view.holds, self._rows, is_log=self._look.is_log)
        if axis is None:
            return [*([[]] * (self._rows // 2)), cut([(self._reason().center(self._width), "quiet")], self._width)]
        length = self._look.window.last - self._look.window.first
        axis = steady.settle(axis, (self._view.name, self._look.is_log, self._rows, length))
        strip = [self._strip(self._view.strip)] if self._view.strip else []
        return [*self._plot_lines(axis), *strip, self._floor(), self._foot()]

    def _reason(self) -> str:
        """Why there is nothing to see."""
        if not self._view.has_data(self._history):
            return "the first figures are on their way"
        return "nothing above 0 in these steps" if self._look.is_log else "nothing was measured in these steps"

    def _plot_lines(self, axis: ValueAxis) -> list[Line]:
        """The canvas with the axis of values at its left."""
        canvas = Canvas(self._look.style, self._room, self._rows, axis.low, axis.high)
        draw_plot(self._plot, axis, canvas, self._signs)
        if (highest := start_above(self._plot, axis)) is not None:
            self._note_start(canvas, f"{self._signs.above} {self._view.show(highest)} at the start")
        if self._cursor is not None:
            draw_cursor(canvas, self._cursor, self._signs.cursor)
        labels = {canvas.row(axis.place(tick) or 0.0): self._label(axis, tick) for tick in axis.ticks}
        return [[*self._wall(labels.get(row)), *line] for row, line in enumerate(canvas.lines())]

    def _note_start(self, canvas: Canvas, note: str) -> None:
        """Says at the right of the plot how high its start is, which lies above the frame."""
        left = max(0, self._grid.cells - len(note))
        rows = (row for row in range(min(ROWS_FOR_START, self._rows)) if canvas.is_free(left - 1, row, len(note) + 1))
        canvas.put(left, next(rows, 0), note, "label")

    def _label(self, axis: ValueAxis, tick: float) -> str:
        text = self._view.tick(tick) if self._view.tick else axis.text(tick)
        return fitted(text, tick, self._view.label_width)

    def _wall(self, label: str | None) -> Line:
        if label is None:
            return [(self._gutter + self._signs.wall, "quiet")]
        return [(label.rjust(self._view.label_width) + " ", "label"), (self._signs.wall_tick, "quiet")]

    def _strip(self, source: Source) -> Line:
        """A share as one row of bars."""
        levels = self._look.style.levels
        shares = source.series(self._history).means(self._grid.cells, self._grid.first, self._grid.last)
        end = max((cell + 1 for cell, share in enumerate(shares) if share), default=0)
        known = [share[0] if share else 0.0 for share in shares[:end]]
        bars = "".join(levels[max(share > 0, round(share * (len(levels) - 1)))] for share in known)
        return [(self._gutter + self._signs.wall + bars, "quiet"), (f" {source.name}", source.role)]

    def _floor(self) -> Line:
        """The axis of steps: ticks, the cursor's foot, and the signs of what happened."""
        signs = self._signs
        cells: Line = [(signs.floor, "quiet")] * self._grid.cells
        for cell, _, _ in step_labels(self._grid, self._room):
            cells[cell] = (signs.floor_tick, "quiet")
        if self._cursor is not None:
            cells[self._cursor] = (signs.cursor_foot, "accent")
        for cell, kinds in self._marks.items():
            cells[cell] = (kinds[0].sign(signs), kinds[0].role)
        return [(self._gutter + signs.corner, "quiet"), *cells]

    def _foot(self) -> Line:
        """The labels of the steps; in their place, what the cursor reads."""
        if self._cursor is not None:
            return [(" ", ""), *read_out(self._entries(self._cursor), self._width - 1)]
        text = [" "] * self._room
        for _, start, label in step_labels(self._grid, self._room):
            text[start : start + len(label)] = label
        return [(self._gutter + " " + "".join(text), "label")]

    def _entries(self, cell: int) -> list[Entry]:
        """The figures of a cell, then what happened there."""
        steps = self._grid.steps(cell)
        entries = [step_entry(steps, self._signs), *source_entries(self._view, self._history, steps, self._signs)]
        backdrop, best = self._plot.backdrop, self._plot.best
        if backdrop and backdrop.name:
            column = next((each for each in backdrop.columns[cell * self._grid.wide :] if each), None)
            entries += [Entry(backdrop.name, "label", self._view.show(column[0]))] if column else []
        entries += [Entry(self._signs.best, "best", "best")] if best and best[0] == cell else []
        return [*entries, *(Entry(kind.sign(self._signs), kind.role, kind.word) for kind in self._marks.get(cell, ()))]
