"""Is it learning? One chart, which turns from the loss to whatever else was measured."""

from __future__ import annotations

from tui_trainer.tui.chart.axes import SteadyAxis
from tui_trainer.tui.chart.picture import Look, draw_chart, grid_of
from tui_trainer.tui.chart.titles import describe_look, name_view
from tui_trainer.tui.chart.viewport import ALL, Extent, Grid, Viewport, axis_end
from tui_trainer.tui.chart.views import LOSS, VIEWS, ChartView, next_view
from tui_trainer.tui.lines import Line
from tui_trainer.tui.widgets.run_pane import RunPane


class Chart(RunPane):
    """Shows one view of a run; keys change the view, the steps, the scale, and move a cursor."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.view: ChartView = LOSS
        """What is shown now."""
        self.viewport: Viewport = ALL
        self.cursor: float | None = None
        """The step under the cursor; None while there is none."""
        self.is_smoothed = True
        self._axis = SteadyAxis()
        self._log_views = {view.name for view in VIEWS if view.is_log_at_first}
        self._titles = ("", "")

    @property
    def is_log(self) -> bool:
        """Whether the values of the view are on a logarithmic axis."""
        return self.view.name in self._log_views

    def next_view(self, direction: int = 1) -> None:
        """Turns to the next view that has something to show, or to the one before."""
        if self.follower:
            self.view = next_view(self.view, self.follower.state.history, direction)
            self.redraw()

    def zoom(self, factor: float) -> None:
        """Shows `factor` times as many steps, around the cursor if there is one: 0.5 zooms in."""
        self._look_at(self.viewport.zoom(factor, self._extent, self.cursor))

    def pan(self, share: float) -> None:
        """Moves the window by a share of its length; the newest step in sight, it is live again."""
        self._look_at(self.viewport.pan(share, self._extent))

    def show_all(self) -> None:
        """Shows the whole run."""
        self._look_at(ALL)

    def follow(self) -> None:
        """Follows the newest step."""
        self._look_at(self.viewport.follow(self._extent))

    def move_cursor(self, columns: int) -> None:
        """Moves the cursor by cells, or by steps where a step is wider; the first move finds it the newest point."""
        grid = self._grid
        if self.cursor is None:
            self.cursor = self._within(grid, self._extent.newest)
        elif grid.steps_a_column * grid.wide < 1:
            self.cursor = self._within(grid, round(self.cursor) + columns)
        else:
            self.cursor = self._within(grid, grid.center(grid.cell(self.cursor) + columns))
        self.redraw()

    def hide_cursor(self) -> None:
        self.cursor = None
        self.redraw()

    def toggle_log(self) -> None:
        """Changes between values and their logarithms, where a view has any."""
        if self.view.can_be_log:
            self._log_views ^= {self.view.name}
            self.redraw()

    def toggle_smoothing(self) -> None:
        """Draws the course of what is measured at every step as a moving average, or as it was."""
        self.is_smoothed = not self.is_smoothed
        self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        return draw_chart(self.follower, self._look, width, height, self._axis) if self.follower else []

    def redraw(self) -> None:
        super().redraw()
        self._show_titles()

    def on_resize(self) -> None:
        self._show_titles()

    def _look_at(self, viewport: Viewport) -> None:
        self.viewport = viewport
        self.redraw()

    def _show_titles(self) -> None:
        """Sets them only when they changed: each time, all of the chart is painted again."""
        if self.follower is None:
            return
        look, history = self._look, self.follower.state.history
        titles = (name_view(look), describe_look(look, self.viewport.mode, history, self.size.width))
        if titles != self._titles:
            self.border_title, self.border_subtitle = self._titles = titles

    @property
    def _look(self) -> Look:
        window = self.viewport.window(self._extent)
        return Look(self.view, window, self.dots, self.cursor, self.is_log, self.is_smoothed)

    @property
    def _grid(self) -> Grid:
        return grid_of(self._look, self.size.width)

    @property
    def _extent(self) -> Extent:
        """A best may lie ahead, when a run went back to before it."""
        if self.follower is None:
            return Extent(0, axis_end(0, None))
        state = self.follower.state
        newest = max(state.current_step, state.best.step if state.best else 0)
        end = axis_end(newest, state.max_steps)
        return Extent(min(newest, end), max(end, state.max_steps or 0) if self.view.reaches_end else end)

    @staticmethod
    def _within(grid: Grid, step: float) -> float:
        return min(grid.last, max(grid.first, step))
