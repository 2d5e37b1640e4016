"""Stop and save, or go on?"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label


class StopQuestion(ModalScreen[bool]):
    """Answers True for stop and save."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "stop", "stop and save"),
        Binding("enter", "stop", show=False),
        Binding("escape,g", "go_on", "go on"),
        Binding("ctrl+c", "stop", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label("The training is still going on.", id="question-text")
            yield Label("[b]q[/b]    stop and save: it can be resumed", classes="answer")
            yield Label("[b]esc[/b]  go on training", classes="answer")

    def action_stop(self) -> None:
        self.dismiss(True)  # noqa: FBT003 - the answer

    def action_go_on(self) -> None:
        self.dismiss(False)  # noqa: FBT003 - the answer
