"""`?`: what the figures mean, in the guide's words."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Label

from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.safe_text import is_korean, without_glosses
from tui_trainer.tui.keys import EVERYWHERE, MONITOR_KEYS
from tui_trainer.tui.lines import Line, entry, wrap
from tui_trainer.tui.screens.explain_run import explain_run
from tui_trainer.tui.widgets.run_pane import RunPane

TERMS = (
    ("loss", "손실", "the gap between prediction and answer, in nats a token. Lower is better (낮을수록 좋음)."),
    ("train loss", "학습 손실", "on the text it learns from. It should fall (감소)."),
    ("val loss", "검증 손실", "on text it never learns from. It should fall too, and stay close to train."),
    ("perplexity", "혼란도", "exp(loss): 10 is like choosing among 10 candidates, 100 among 100. Lower is better."),
    ("accuracy", "정확도", "share of the next tokens that were its first choice. Higher is better (높을수록 좋음)."),
    ("bits / byte", "", "the loss a byte of text: comparable whatever the tokenizer."),
    ("learning rate", "학습률", "the most important knob: it climbs in the warm-up, then decays to its minimum."),
    ("grad norm", "그래디언트", "the size of the update before clipping; clipped at 1.0 it cannot explode."),
    ("step, epoch", "", "a step is one update of the weights; an epoch is one pass over the training text."),
    ("tokens / s", "", "how fast it learns from text; tokens seen counts what it learned from so far."),
    ("vocabulary", "", "how many different tokens there are: pieces of words, letters or bytes."),
    ("memory", "", "the most this process has taken, or the GPU where there is one."),
    ("best", "최고 모델", "the checkpoint with the lowest validation loss. It answers your prompts."),
    ("overfitting", "과적합", "train keeps falling while val rises: val > best val + 0.5. More dropout, more weight "
     "decay, early stopping (조기 종료), more data."),
)  # fmt: skip
QUESTIONS = (
    ("the loss does not fall?", "A lower learning rate (1e-4 → 1e-5); check clipping and the data's quality."),
    ("how long to train?", "Until the validation loss stops falling, usually 10 to 100 epochs."),
    ("it repeats one word?", "A higher temperature, top-k or top-p, or more data for longer."),
    ("out of memory?", "A smaller batch_size or context_length, or gradient accumulation (micro_batch_size)."),
)


class Explanations(RunPane):
    """The texts, in as many lines as they need; of this run too when there is one."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        return explain(width, self.follower)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The lines that the texts take, so that the last one can be scrolled to."""
        return len(explain(width, self.follower))


def explain(width: int, follower: RunFollower | None = None) -> list[Line]:
    """Every explanation in lines of a width."""
    lines: list[Line] = [[("what the figures mean", "accent")]]
    for name, korean, meaning in TERMS:
        text = f"{korean}: {meaning}" if korean and is_korean() else without_glosses(meaning)
        lines += entry(name, text, width)
    lines += [[], [("questions", "accent")]]
    for question, reply in QUESTIONS:
        lines += [[(question, "value")], *[[(" " * 2 + piece, "label")] for piece in wrap(reply, width - 2)]]
    lines += [[], [("keys", "accent")]]
    for key in (*MONITOR_KEYS, *EVERYWHERE):
        lines += entry(key.shown, key.help, width)
    of_run = explain_run(follower, width) if follower else []
    return [*lines, [], *of_run] if of_run else lines


class ExplainScreen(ModalScreen[None]):
    """Scrolls; any of the leaving keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close"),
        Binding("ctrl+c", "app.leave", show=False),
    ]

    def __init__(self, follower: RunFollower | None = None) -> None:
        """Explains the figures, and the run that is watched when there is one."""
        super().__init__()
        self._follower = follower

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="explain"):
            explanations = Explanations(id="explanations")
            explanations.follower = self._follower
            yield explanations
        yield Label("↑ ↓ scroll   esc close", id="explain-keys")
