"""A question with a few answers, each a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Label


@dataclass(frozen=True)
class Answer:
    """What can be answered. The first of its keys is the one that is shown."""

    keys: tuple[str, ...]
    value: str
    text: str


class Question(ModalScreen[str]):
    """Answers with the value of the chosen answer; escape with an empty one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,g", "answer('')", show=False),
        Binding("ctrl+c", "insist", show=False),
    ]

    def __init__(self, text: str, answers: Sequence[Answer], way_back: str, *, is_doubtful: bool = False) -> None:
        """Asks.

        Args:
            text: the question.
            answers: from the one that Enter takes on.
            way_back: what escape does.
            is_doubtful: whether Enter is the way back as well: only a key of its own says yes.
        """
        super().__init__()
        self._text, self._answers, self._way_back, self._is_doubtful = text, answers, way_back, is_doubtful
        for key in (key for answer in answers for key in answer.keys):
            self._bindings.bind(key, f"answer({self._value_of(key)!r})", show=False)
        self._bindings.bind("enter", "insist", show=False)

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label(Content(self._text), id="question-text")
            answers = [(answer.keys[0], answer.text) for answer in self._answers]
            yield from answer_lines([*answers, ("esc", self._way_back)])

    def action_answer(self, value: str) -> None:
        self.dismiss(value)

    def action_insist(self) -> None:
        """The same key again, or Enter: the first answer."""
        self.dismiss("" if self._is_doubtful else self._answers[0].value)

    def _value_of(self, key: str) -> str:
        return next(answer.value for answer in self._answers if key in answer.keys)


def answer_lines(answers: Sequence[tuple[str, str]]) -> Iterator[Widget]:
    """Keys below each other and beside each what it does, also where that takes two lines."""
    width = max(len(key) for key, _ in answers) + 2
    for key, text in answers:
        sign = Label(Content.assemble((key, "bold")), classes="answer-key")
        sign.styles.width = width
        yield Horizontal(sign, Label(Content(text), classes="answer"), classes="answer-line")


def ask_how_to_leave(*, can_detach: bool, is_paused: bool = False) -> Question:
    """For somebody who wants to leave while a training of this process is not over."""
    answers = [Answer(("q",), "stop", "stop and save: it can be resumed")]
    if can_detach:
        stays = "stay paused" if is_paused else "train on"
        answers.append(Answer(("d",), "detach", f"leave, and let it {stays}: tui-trainer attach comes back"))
    return Question(f"The training is {'paused' if is_paused else 'still running'}.", answers, "stay")


def ask_whether_to_stop() -> Question:
    """For somebody who wants the training to end, and to stay."""
    return Question("Stop the training?", [Answer(("x",), "stop", "stop and save: it can be resumed")], "keep training")


def ask_whether_to_start(concerns: Sequence[str]) -> Question:
    """For somebody who is about to start what they may not mean."""
    text = "\n".join(concerns)
    return Question(text, [Answer(("s",), "start", "start it all the same")], "back to the list", is_doubtful=True)
