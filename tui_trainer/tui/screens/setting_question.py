"""Another value for a setting of a run that goes on."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.screens.question import answer_lines


class SettingQuestion(ModalScreen[str]):
    """Answers with what was typed; escape with an empty answer. The trainer judges the value."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("ctrl+c", "cancel", show=False, priority=True),  # the input would copy
    ]

    def __init__(self, name: str, value: str, hint: str) -> None:
        """Asks.

        Args:
            name: what is to be changed.
            value: as it is now.
            hint: what a change does, in a sentence.
        """
        super().__init__()
        self._setting, self._value, self._hint = name, value, hint

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label(Content(self._setting), id="question-text")
            yield Input(self._value, id="new-value", compact=True, max_length=24, select_on_focus=True)
            yield Label(Content(self._hint), id="setting-hint")
            yield from answer_lines([("enter", "change it from the next step"), ("esc", "leave it")])

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter."""
        value = safe_line(message.value.strip())
        self.dismiss("" if value == self._value else value)

    def action_cancel(self) -> None:
        self.dismiss("")


def ask_for_rate(follower: RunFollower) -> SettingQuestion:
    """For another peak of the schedule; warm-up and decay keep their shape."""
    rate = f"{follower.config.training.learning_rate:g}"
    hint = "The peak of the schedule; warm-up and decay go on from it. A tenth of it calms a loss that bounces."
    return SettingQuestion("learning rate", rate, hint)


def ask_for_last_step(follower: RunFollower) -> SettingQuestion:
    """For a longer or a shorter run."""
    hint = "The decay of the learning rate is stretched or shortened to end there."
    return SettingQuestion("last step", f"{follower.state.max_steps or ''}", hint)
