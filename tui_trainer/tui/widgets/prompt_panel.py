"""What can it say by now? The best checkpoint continues what a person types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Input, Label
from textual.widgets.input import Selection

from tui_trainer.config import SamplingConfig
from tui_trainer.errors import UserError
from tui_trainer.inference.generation import Generation
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.writer import Writer
from tui_trainer.monitor import numbers
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.safe_text import safe_line, safe_text
from tui_trainer.tui.widgets.answer import Answer

STREAM_SECONDS = 0.1
LINE_END = "⏎"
"""How `safe_line` shows a line end, and so how a person writes one."""
MAX_PROMPT = 10_000
SETTINGS = (
    ("temperature", "temperature", float),
    ("top_k", "top-k", int),
    ("top_p", "top-p", float),
    ("max_new_tokens", "max", int),
    ("seed", "seed", int),
)
"""Field, label and type of each setting, in the order of the row."""


class PromptInput(Input):
    """The line to type into; Enter asks the model."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "generate")]

    def validate_value(self, value: str) -> str:
        """Pasted control characters would reach the terminal as they are; a line end is shown as its sign."""
        return safe_line(value[-MAX_PROMPT:])

    def _on_paste(self, event: events.Paste) -> None:
        """All lines of it, in place of what is selected; Textual's own input takes the first line."""
        text = event.text[-MAX_PROMPT:].replace("\r\n", "\n").replace("\r", "\n")  # most terminals paste "\r"
        self.replace(safe_line(text), *self.selection)
        event.prevent_default()
        event.stop()


class PromptPanel(Vertical):
    """Prompt, settings and answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Priority: what is typed right after it must find the focus where it belongs.
        Binding("tab", "next_field(1)", "settings", priority=True),
        Binding("shift+tab", "next_field(-1)", show=False, priority=True),
        Binding("escape", "leave", "leave the prompt", priority=True),
        Binding("up", "scroll(-1)", show=False, priority=True),
        Binding("down", "scroll(1)", show=False, priority=True),
        Binding("pageup", "scroll_page(-1)", show=False, priority=True),
        Binding("pagedown", "scroll_page(1)", show=False, priority=True),
    ]
    ALLOW_MAXIMIZE = True

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = "prompt"
        self._answer = Answer(id="answer")
        self._answer.hint = "p: ask the best checkpoint. It continues what you write."
        self._generation: Generation | None = None
        self._timer: Timer | None = None
        self._open_writer: Callable[[], Writer] | None = None
        self._is_paced: Callable[[], bool] = lambda: False
        self._has_checkpoint = False
        self._is_noise = False
        """Whether the validation loss says nothing, so that the newest checkpoint is used."""
        self._was_asked = False
        self._is_refused = False
        self._subtitle = ""
        self._example = ""
        self._best_step: int | None = None
        self._val_loss: float | None = None
        self._was_cancelled = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="prompt-row"):
            yield Label("❯", id="prompt-sign")
            yield PromptInput(id="prompt", compact=True, select_on_focus=False)
        with Horizontal(id="settings"):
            for name, label, _ in SETTINGS:
                yield Label(label, classes="setting-label")
                yield PromptInput(id=f"setting-{name}", classes="setting", compact=True, max_length=12)
        yield self._answer

    def connect(
        self, open_writer: Callable[[], Writer], is_paced: Callable[[], bool], sampling: SamplingConfig
    ) -> None:
        """Tells the panel who writes, whether a training shares the machine, and what the settings start from."""
        self._open_writer, self._is_paced = open_writer, is_paced
        prompt = self.query_one("#prompt", Input)
        self._example = next(iter(sampling.prompts), "")
        prompt.value = prompt.value or self._example
        for name, _, _ in SETTINGS:
            value = getattr(sampling, name, None)
            self.query_one(f"#setting-{name}", Input).value = "" if value is None else f"{value}"
            self.query_one(f"#setting-{name}", Input).placeholder = "any" if name == "seed" else ""

    def show_run(self, follower: RunFollower) -> None:
        """Says which checkpoint would speak now, and shows the newest sample until somebody asks."""
        state = follower.state
        if not self._was_asked:
            self._answer.show_sample(state.sample)
        self._has_checkpoint = state.best_checkpoint_step is not None
        self._is_noise = state.evaluation is not None and state.evaluation.is_noise
        best, self._best_step = state.best, state.best_checkpoint_step
        self._val_loss = best.val_loss if best and best.step == self._best_step else None
        self._name_frame()

    def focus_prompt(self) -> None:
        """Puts the cursor behind what a person wrote; an example that nobody wrote is selected: typing replaces it."""
        prompt = self.query_one("#prompt", Input)
        self.screen.set_focus(prompt)  # at once; `focus` would wait until after the next keys
        end = len(prompt.value)
        prompt.selection = Selection(0 if prompt.value == self._example else end, end)

    def action_leave(self) -> None:
        """One Escape cancels what is being written and leaves."""
        if self._generation:
            self._was_cancelled |= self._generation.is_running
            self._generation.cancel()
        self._name_frame()
        self.screen.set_focus(None)
        if self.screen.maximized is self and not self.has_answer:
            self.screen.minimize()

    def action_next_field(self, direction: int) -> None:
        """From the prompt to the settings and back."""
        fields = list(self.query(Input))
        focused = self.screen.focused
        index = fields.index(focused) if isinstance(focused, Input) and focused in fields else -1
        self.screen.set_focus(fields[(index + direction) % len(fields)])

    def action_scroll(self, lines: int) -> None:
        self._answer.scroll_lines(lines)
        self._name_frame()

    def action_scroll_page(self, pages: int) -> None:
        self.action_scroll(pages * max(1, self._answer.size.height - 1))

    def on_answer_drawn(self) -> None:
        """Another size shows more or less of it."""
        self._name_frame()

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll(-1)

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll(1)

    @property
    def has_answer(self) -> bool:
        """Whether somebody asked and something came."""
        return bool(self._answer.text) and not self._answer.sample

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter, in the prompt or in a setting: ask."""
        message.stop()
        self._was_asked, self._answer.sample = True, None
        prompt = self.query_one("#prompt", Input).value.replace(LINE_END, "\n")
        if self._open_writer is None or not self._has_checkpoint:
            self._refuse("There is no checkpoint yet; the first comes with the first evaluation.")
            return
        try:
            settings = self._read_settings()
        except UserError as error:
            self._refuse(str(error))
            return
        self.ask(prompt, settings)

    def ask(self, prompt: str, settings: SamplingSettings) -> None:
        """Starts a new answer; one on its way is given up."""
        assert self._open_writer is not None
        if self._generation:
            self._generation.cancel()
        self._answer.hint = ""
        self._answer.prompt, self._answer.text = safe_text(prompt), ""
        self._answer.is_running, self._was_cancelled = True, False
        self._answer.show_end()
        self._generation = Generation(self._open_writer, prompt, settings, self._is_paced)
        if self._timer is None:
            self._timer = self.set_interval(STREAM_SECONDS, self._stream)
        self._timer.resume()
        self._stream()

    def on_unmount(self) -> None:
        """Nobody reads on."""
        if self._generation:
            self._generation.cancel()

    def _stream(self) -> None:
        generation = self._generation
        if generation is None or self._timer is None:
            return
        is_running = generation.is_running
        self._answer.text += safe_text(generation.take())
        self._answer.is_running = is_running
        if not is_running:
            self._timer.pause()
            if generation.failure:
                self._hint(generation.failure)
        self._answer.redraw()
        self._name_frame()

    def _name_frame(self) -> None:
        """An answer's frame says which checkpoint wrote it; below stands which one would answer now.

        A border is repainted whenever its titles are set, so they are set only when they change.
        """
        title, subtitle = self._titles()
        if self.border_title != title:
            self.border_title = title
        if self._subtitle != subtitle:
            self.border_subtitle = self._subtitle = subtitle

    def _titles(self) -> tuple[str, str]:
        above, below = self._answer.hidden
        scroll = f" · ↕ {numbers.counted(above + below, 'more line')}" if above + below else ""
        if self._best_step is None:
            return "prompt", f"no checkpoint yet: nothing can be asked{scroll}"
        kind = "newest" if self._is_noise else "best"
        speaker = self._generation.speaker if self._generation and not self._answer.sample else None
        if speaker is None:
            loss = "" if self._val_loss is None else f", val {numbers.loss(self._val_loss)}"
            return "prompt", f"step {self._best_step:,} answers ({kind}{loss}){scroll}"
        assert self._generation is not None
        loss = "" if speaker.val_loss is None else f", val {numbers.loss(speaker.val_loss)}"
        title = f"answer · step {speaker.step:,}{f' ({kind}{loss})' if speaker.step == self._best_step else loss}"
        remarks = ["the best cannot be read, this is another"] if speaker.warning else []
        remarks += ["cancelled"] if self._was_cancelled else []
        remarks += self._generation.remarks
        title += "".join(f" · {remark}" for remark in remarks)
        newer = f"newer {kind}: step {self._best_step:,}" if speaker.step != self._best_step else ""
        return title, (newer + scroll).removeprefix(" · ")

    def on_input_changed(self, message: Input.Changed) -> None:
        """What was refused may be mended now; samples are shown again, if there is no answer to show."""
        message.stop()
        if self._is_refused:
            self._is_refused, self._was_asked = False, bool(self._answer.text)
            self._hint("")

    def _refuse(self, reason: str) -> None:
        self._is_refused = True
        self._hint(reason)

    def _hint(self, text: str) -> None:
        self._answer.hint = "\n".join(safe_line(line) for line in text.splitlines())
        self._answer.redraw()
        self._name_frame()

    def _read_settings(self) -> SamplingSettings:
        """The settings of the row.

        Raises:
            UserError: naming the field that is wrong.
        """
        values: dict[str, float | int | None] = {}
        for name, label, kind in SETTINGS:
            text = self.query_one(f"#setting-{name}", Input).value.strip()
            if not text and name == "seed":
                values[name] = None
                continue
            try:
                values[name] = kind(text)
            except ValueError as error:
                what = "a whole number" if kind is int else "a number"
                raise UserError(f"{label} = {safe_line(text) or 'nothing'}: must be {what}") from error
        return SamplingSettings(**values)  # type: ignore[arg-type]
