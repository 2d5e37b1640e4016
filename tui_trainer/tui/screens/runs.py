"""The runs on this machine, to open one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Label

from tui_trainer.monitor.run_list import RunRow, describe_run, run_lines, running_first
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.widgets.key_line import KeyLine

COLUMNS = ("when", "preset", "data", "changed", "state", "step", "best")
DROPPED = ("preset", "step", "best", "data")
"""Columns that a narrow terminal leaves out, the first one first."""


class RunList(ScrollView, can_focus=True):
    """One line a run; of thousands, only those in sight are read."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"runs--highlighted"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "open"),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1_000_000)", show=False),
        Binding("end", "move(1_000_000)", show=False),
    ]
    highlighted = reactive(0)

    class Chosen(Message):
        """Enter, or a click, on a run."""

        def __init__(self, run: RunDirectory) -> None:
            super().__init__()
            self.run = run

    class HeadChanged(Message):
        """The columns have other widths."""

    def __init__(self, runs: Sequence[RunDirectory], id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.runs = list(runs)
        self.head = ""
        self._rows: dict[int, RunRow] = {}
        self._lines: dict[int, str] = {}

    def look_again(self) -> None:
        """Reads how they stand by now; the one that was highlighted stays highlighted."""
        chosen = self.runs[self.highlighted] if self.runs and self._rows else None
        self.runs = running_first(self.runs, time.time())
        self._rows.clear()
        self.virtual_size = Size(0, len(self.runs))
        self.highlighted = self.runs.index(chosen) if chosen else 0
        self._lay_out()

    def on_resize(self) -> None:
        """Another width has room for more or fewer columns."""
        self._lay_out()
        self._show_highlighted()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """What comes into sight is read."""
        super().watch_scroll_y(old_value, new_value)
        self._lay_out()

    def _lay_out(self) -> None:
        height, top = self.scrollable_content_region.height, self.scroll_offset.y
        missing = [index for index in range(top, min(top + height, len(self.runs))) if index not in self._rows]
        for index in missing:
            self._rows[index] = describe_run(self.runs[index], time.time())
        width = self.scrollable_content_region.width
        if not width:
            return
        head, *lines = run_lines(list(self._rows.values()), COLUMNS, DROPPED, width)
        self._lines = dict(zip(self._rows, lines, strict=True))
        self.head = head if lines else ""
        self.post_message(self.HeadChanged())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        style = self.rich_style
        if self.runs and index == self.highlighted:
            style = self.get_component_rich_style("runs--highlighted")
        text = self._lines.get(index, "") if self.runs or index else "no runs yet"
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)

    def watch_highlighted(self) -> None:
        self._show_highlighted()
        self.refresh()

    def _show_highlighted(self) -> None:
        self.scroll_to_region(Region(0, self.highlighted, 1, 1), animate=False, force=True)

    def action_move(self, rows: int) -> None:
        self.highlighted = max(0, min(len(self.runs) - 1, self.highlighted + rows))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * self.scrollable_content_region.height)

    def action_select(self) -> None:
        self.post_message(self.Chosen(self.runs[self.highlighted]))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer offers to open only where there is a run."""
        return bool(self.runs) if action == "select" else True

    def on_click(self, event: events.Click) -> None:
        """A click on a run opens it."""
        index = event.get_content_offset_capture(self).y + self.scroll_offset.y
        if 0 <= index < len(self.runs):
            self.highlighted = index
            self.action_select()


class RunsScreen(Screen[None]):
    """Enter opens the highlighted run, whether it trains or ended long ago."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,b", "back", "back")]

    def __init__(self, runs: Sequence[RunDirectory], open_run: Callable[[RunDirectory], None]) -> None:
        """Lists runs in this order, those that train now on top.

        Args:
            runs: the first is highlighted.
            open_run: called with the chosen one.
        """
        super().__init__()
        self._runs, self._open_run = runs, open_run

    def compose(self) -> ComposeResult:
        yield Label(Content.from_markup("[$accent]tui-trainer[/]  [$label]choose a run to open[/]"), id="title")
        yield Label("", id="runs-head")
        yield RunList(self._runs, id="runs")
        yield KeyLine()
        yield Label("make me a little larger", id="too-small")

    def on_screen_resume(self) -> None:
        """Reads how they stand by now."""
        self.query_one(RunList).look_again()

    def on_run_list_head_changed(self) -> None:
        """The head stands above its columns."""
        self.query_one("#runs-head", Label).update(Content(self.query_one(RunList).head))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way back only where somebody came from."""
        return len(self.app.screen_stack) > 2 if action == "back" else True

    def action_back(self) -> None:
        self.app.pop_screen()

    def on_run_list_chosen(self, message: RunList.Chosen) -> None:
        """Enter, or a click."""
        self._open_run(message.run)
