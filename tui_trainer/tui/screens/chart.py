"""What the chart's keys do, on the monitor and on a screen of the chart's own."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui_trainer.monitor.follower import RunFollower
from tui_trainer.tui.keys import CHARTS, bindings
from tui_trainer.tui.precise_updates import PreciseScreen
from tui_trainer.tui.widgets.chart import Chart
from tui_trainer.tui.widgets.key_line import KeyLine

REFRESH_SECONDS = 2.0


class ChartActions(Screen[None]):
    """The actions of the keys in `CHARTS`."""

    @property
    def _chart(self) -> Chart:
        raise NotImplementedError

    def action_next_view(self) -> None:
        self._chart.next_view()

    def action_previous_view(self) -> None:
        self._chart.next_view(-1)

    def action_cursor(self, columns: int) -> None:
        self._chart.move_cursor(columns)

    def action_hide_cursor(self) -> None:
        self._chart.hide_cursor()

    def action_zoom(self, factor: float) -> None:
        self._chart.zoom(factor)

    def action_pan(self, share: float) -> None:
        self._chart.pan(share)

    def action_show_all(self) -> None:
        self._chart.show_all()

    def action_follow(self) -> None:
        self._chart.follow()

    def action_toggle_log(self) -> None:
        self._chart.toggle_log()

    def action_toggle_smoothing(self) -> None:
        self._chart.toggle_smoothing()


class ChartScreen(ChartActions, PreciseScreen):
    """The chart alone, for terminals on which the monitor has no room for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close"),
        *bindings([key for key in CHARTS if key.action != "hide_cursor"]),
    ]

    def __init__(self, follower: RunFollower) -> None:
        """Shows what the follower reads, for which somebody else makes it poll."""
        super().__init__()
        self._follower = follower

    def compose(self) -> ComposeResult:
        yield Chart(id="full-chart")
        yield KeyLine()

    def on_mount(self) -> None:
        self.call_after_refresh(self._show)
        self.set_interval(REFRESH_SECONDS, self._show)

    def action_close(self) -> None:
        """Hides the cursor if there is one, else closes."""
        if self._chart.cursor is None:
            self.app.pop_screen()
        else:
            self._chart.hide_cursor()

    @property
    def _chart(self) -> Chart:
        return self.query_one(Chart)

    def _show(self) -> None:
        self._chart.show_run(self._follower)
