"""Another value for a setting of a run that goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
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

DOUBTFUL_FACTOR = 10.0


@dataclass(frozen=True)
class Doubt:
    """Why a value is not taken, or not at once."""

    words: str
    may_insist: bool = False
    """Whether the same value, given again, is meant."""


class SettingQuestion(ModalScreen[str]):
    """Answers with what was typed; escape with an empty answer. The trainer judges the value once more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("ctrl+c", "cancel", show=False, priority=True),  # the input would copy
    ]

    def __init__(self, name: str, value: str, hint: str, judge: Callable[[str], Doubt | None]) -> None:
        """Asks.

        Args:
            name: what is to be changed.
            value: as it is now.
            hint: what a change does, in a sentence.
            judge: says what is wrong with a value; then the question stays.
        """
        super().__init__()
        self._setting, self._value, self._hint, self._judge = name, value, hint, judge
        self._doubted: str | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label(Content(self._setting), id="question-text")
            yield Input(self._value, id="new-value", compact=True, max_length=24, select_on_focus=True)
            yield Label(Content(self._hint), id="setting-hint")
            yield from answer_lines([("enter", "change it from the next step"), ("esc", "leave it")])

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter."""
        value = safe_line(message.value.strip())
        doubt = None if value == self._value else self._judge(value)
        if doubt and not (doubt.may_insist and value == self._doubted):
            self._doubted = value
            hint = self.query_one("#setting-hint", Label)
            hint.update(Content(doubt.words))
            hint.add_class("-doubt")
        else:
            self.dismiss("" if value == self._value else value)

    def action_cancel(self) -> None:
        self.dismiss("")


def ask_for_rate(follower: RunFollower) -> SettingQuestion:
    """For another peak of the schedule; warm-up and decay keep their shape."""
    present = follower.config.training.learning_rate

    def judge(value: str) -> Doubt | None:
        rate = _number(value)
        if rate is None or rate <= 0:
            return Doubt(f"{value or 'nothing'}: must be a number above 0, for instance {present / 10:g}")
        if rate > DOUBTFUL_FACTOR * present:
            words = f"{rate:g} is {rate / present:,.0f} times the present peak; the loss would most likely burst. "
            return Doubt(words + "Enter again if you mean it.", may_insist=True)
        return None

    hint = "The peak of the schedule; warm-up and decay go on from it. A tenth of it calms a loss that bounces."
    return SettingQuestion("learning rate", f"{present:g}", hint, judge)


def ask_for_last_step(follower: RunFollower) -> SettingQuestion:
    """For a longer or a shorter run."""
    last = follower.state.step
    present = last.step if last else 0

    def judge(value: str) -> Doubt | None:
        step = _number(value)
        if step is None or step != int(step) or step <= present:
            return Doubt(f"{value or 'nothing'}: must be a whole number above {present:,}, the present step")
        return None

    hint = "The decay of the learning rate is stretched or shortened to end there."
    return SettingQuestion("last step", f"{follower.state.max_steps or ''}", hint, judge)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
