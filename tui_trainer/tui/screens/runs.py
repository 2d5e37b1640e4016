"""The runs on this machine, to open one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

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

SHOWN_RUNS = 200


class RunList(OptionList):
    """One line a run."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "open")]


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

    def compose(self) -> ComposeResult:
        yield Label(Content.from_markup("[$accent]tui-trainer[/]  [$label]choose a run to open[/]"), id="title")
        yield Label("", id="runs-head")
        yield RunList(id="runs")
        yield KeyLine()
        yield Label("make me a little larger", id="too-small")

    def on_screen_resume(self) -> None:
        """Reads how they stand by now."""
        rows = [describe_run(run, time.time())[:-1] for run in self._runs]
        head, *lines = align([RUN_HEAD[:-1], *rows], right=frozenset({3, 4})).split("\n")
        self.query_one("#runs-head", Label).update(Content(head))
        listed = self.query_one(RunList)
        highlighted = listed.highlighted or 0
        listed.clear_options()
        listed.add_options([Option(Content(line)) for line in lines] or [Option("no runs yet", disabled=True)])
        listed.highlighted = highlighted if lines else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way back only where somebody came from."""
        return len(self.app.screen_stack) > 2 if action == "back" else True

    def action_back(self) -> None:
        self.app.pop_screen()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        if self._runs:
            self._open_run(self._runs[message.option_index])
