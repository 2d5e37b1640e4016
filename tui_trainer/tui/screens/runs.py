"""The runs on this machine, to open one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from tui_trainer.monitor.columns import align
from tui_trainer.monitor.run_list import RUN_HEAD, describe_run
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.widgets.key_line import KeyLine
from tui_trainer.tui.widgets.run_header import short_id

SHOWN_RUNS = 200
HEAD = ("run", *RUN_HEAD[:-1])
LAYOUTS = ((1, 2, 3, 4, 5), (1, 3, 4, 5), (0, 2, 3, 5), (0, 2, 3))
"""Columns of `HEAD`, the widest first; the id holds the preset's name, the short one at the start does not."""
RIGHT = frozenset({4, 5})


class RunList(OptionList):
    """One line a run."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "open")]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer offers to open only where there is a run."""
        return self.highlighted is not None if action == "select" else True


class RunsScreen(Screen[None]):
    """Enter opens the highlighted run, whether it trains or ended long ago."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,b", "back", "back")]

    def __init__(self, runs: Sequence[RunDirectory], open_run: Callable[[RunDirectory], None]) -> None:
        """Lists runs in this order.

        Args:
            runs: the first is highlighted.
            open_run: called with the chosen one.
        """
        super().__init__()
        self._runs, self._open_run = list(runs)[:SHOWN_RUNS], open_run
        self._rows: list[tuple[str, ...]] = []

    def compose(self) -> ComposeResult:
        yield Label(Content.from_markup("[$accent]tui-trainer[/]  [$label]choose a run to open[/]"), id="title")
        yield Label("", id="runs-head")
        yield RunList(id="runs")
        yield KeyLine()
        yield Label("make me a little larger", id="too-small")

    def on_screen_resume(self) -> None:
        """Reads how they stand by now."""
        self._rows = [(short_id(run.run_id), *describe_run(run, time.time())[:-1]) for run in self._runs]
        self._lay_out()

    def on_resize(self) -> None:
        """Another width has room for more or fewer columns."""
        self._lay_out()

    def _lay_out(self) -> None:
        listed = self.query_one(RunList)
        head, *lines = _lines(self._rows, listed.scrollable_content_region.width)
        self.query_one("#runs-head", Label).update(Content(head if lines else ""))
        highlighted = listed.highlighted or 0
        listed.clear_options()
        listed.add_options([Option(Content(line)) for line in lines] or [Option("no runs yet", disabled=True)])
        listed.highlighted = highlighted if lines else None
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way back only where somebody came from."""
        return len(self.app.screen_stack) > 2 if action == "back" else True

    def action_back(self) -> None:
        self.app.pop_screen()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        if self._runs:
            self._open_run(self._runs[message.option_index])


def _lines(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The head and a line a run, in the columns that fit; in the fewest where none do."""
    for columns in LAYOUTS:
        right = frozenset(place for place, column in enumerate(columns) if column in RIGHT)
        lines = align([[row[column] for column in columns] for row in (HEAD, *rows)], right).split("\n")
        if max(map(cell_len, lines)) <= width:
            break
    return lines
