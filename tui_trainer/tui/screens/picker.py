"""The picker: which preset to train."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from tui_trainer.monitor.forecast import Forecast, FoundText, PastRun, find_text, make_forecast, remember_past_runs
from tui_trainer.presets import Preset
from tui_trainer.tui.widgets.key_line import KeyLine
from tui_trainer.tui.widgets.preset_details import PresetDetails

LOOK_SECONDS = 0.05


class PresetList(OptionList):
    """The names, smallest first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "start")]
    can_start = True

    def on_resize(self) -> None:
        """What is highlighted stays in sight."""
        self.scroll_to_highlight()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer offers to start only what can start."""
        return self.can_start if action == "select" else True


class PickerScreen(Screen[None]):
    """Enter starts the highlighted preset."""

    HORIZONTAL_BREAKPOINTS = [(0, "-cramped"), (40, "-slender"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "open_past_run", "open a run")]

    def __init__(
        self, presets: Sequence[Preset], start: Callable[[Preset], None], show_runs: Callable[[], None]
    ) -> None:
        """Shows presets in this order.

        Args:
            presets: the first is highlighted.
            start: called with the chosen one.
            show_runs: called when somebody wants to see an earlier run instead.
        """
        super().__init__()
        self._presets = presets
        self._start = start
        self._show_runs = show_runs
        self._past_runs: list[PastRun] = []
        self._texts: dict[tuple[str, ...], FoundText] = {}
        """By `data.paths`: presets share a text."""
        self._reader: threading.Thread | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Label(Content.from_markup("[$accent]tui-trainer[/]  [$label]choose what to train[/]"), id="title")
        with Horizontal(id="picker"):
            yield PresetList(*(Option(Content(preset.name)) for preset in self._presets), id="presets")
            yield PresetDetails(id="details")
        yield KeyLine()
        yield Label("make me a little larger", id="too-small")

    def on_screen_resume(self) -> None:
        """Paints at once; figures that depend on the text and on earlier runs are filled in when they are known."""
        self._show()
        self.call_after_refresh(self._begin_to_read)

    def _begin_to_read(self) -> None:
        if self._reader is None or not self._reader.is_alive():
            # No Textual worker: the event loop waits for its threads when it closes, and a large folder takes seconds,
            # one on a network drive that is gone takes for ever.
            self._reader = threading.Thread(target=self._read, name="picker", daemon=True)
            self._reader.start()
            self._timer = self.set_interval(LOOK_SECONDS, self._look)

    def _read(self) -> None:
        """In a thread: each text that is not known or had a problem when it was last looked for, and earlier runs."""
        for data in {preset.config.data.paths: preset.config.data for preset in self._presets}.values():
            known = self._texts.get(data.paths)
            if known is None or known.problem:
                self._texts[data.paths] = find_text(data)
        self._past_runs = remember_past_runs()

    def _look(self) -> None:
        """Shows what the thread has found by now."""
        assert self._reader is not None and self._timer is not None
        if not self._reader.is_alive():
            self._timer.stop()
        self._show()

    def _forecast(self, preset: Preset) -> Forecast:
        return make_forecast(preset, self._past_runs, self._texts.get(preset.config.data.paths))

    def action_open_past_run(self) -> None:
        self._show_runs()

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Another preset is looked at."""
        self._show()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter, or a click; a preset whose text is missing says so and does not start.

        One whose text is not found yet does: the training looks for it as well.
        """
        preset = self._presets[message.option_index]
        if self._forecast(preset).problem is None:
            self._start(preset)

    def _show(self) -> None:
        presets, details = self.query_one(PresetList), self.query_one(PresetDetails)
        preset = self._presets[presets.highlighted or 0]
        forecast = self._forecast(preset)
        if (details.preset, details.forecast) != (preset, forecast):
            details.show_preset(preset, forecast)
            presets.can_start = forecast.problem is None
            self.refresh_bindings()
