"""The picker: which preset to train."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from tui_trainer.errors import UserError
from tui_trainer.free_memory import free_memory_bytes
from tui_trainer.monitor.forecast import Forecast, FoundText, PastRun, find_text, make_forecast, remember_past_runs
from tui_trainer.monitor.run_list import find_busy_here, find_recent
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset
from tui_trainer.runs.catalogue import list_runs, name_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.screens.path_question import ask_for_base, ask_for_text
from tui_trainer.tui.screens.question import ask_whether_to_start
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
    """Enter starts the highlighted preset, or asks for what it lacks."""

    HORIZONTAL_BREAKPOINTS = [(0, "-cramped"), (40, "-slender"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "choose_text", "text"),
        Binding("b", "choose_base", "base"),
        Binding("o", "open_past_run", "open a run"),
    ]

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
        self._given = self._presets = presets
        self._text, self._base = "", ""
        """What was chosen here, for every preset and for each that starts from a model; empty: nothing."""
        self._start = start
        self._show_runs = show_runs
        self._past_runs: list[PastRun] = []
        self._free_bytes: int | None = None
        self._texts: dict[tuple[str, ...], FoundText] = {}
        """By `data.paths`: presets share a text."""
        self._busy: list[RunDirectory] = []
        """The runs that this machine trains now."""
        self._is_busy_accepted = False
        self._reader: threading.Thread | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Label(Content.from_markup("[$accent]tui-trainer[/]  [$label]choose what to train[/]"), id="title")
        yield Label("", id="busy")
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
        runs = list_runs()
        self._busy = find_busy_here(find_recent(runs), time.time())
        self._free_bytes = free_memory_bytes()
        self._past_runs = remember_past_runs(runs)

    def _look(self) -> None:
        """Shows what the thread has found by now; a text that was chosen meanwhile is looked for next."""
        assert self._reader is not None and self._timer is not None
        if not self._reader.is_alive():
            self._timer.stop()
            if any(preset.config.data.paths not in self._texts for preset in self._presets):
                self._begin_to_read()
        self._show()

    def _forecast(self, preset: Preset) -> Forecast:
        return make_forecast(preset, self._past_runs, self._texts.get(preset.config.data.paths), self._free_bytes)

    @property
    def _highlighted(self) -> Preset:
        return self._presets[self.query_one(PresetList).highlighted or 0]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what starts from a model asks for one."""
        return self._highlighted.config.base.path is not None if action == "choose_base" else True

    def action_open_past_run(self) -> None:
        self._show_runs()

    def action_choose_text(self) -> None:
        """For all presets, as long as this picker is there."""
        self.app.push_screen(ask_for_text(self._text), self._choose_text)

    def _choose_text(self, text: str | None) -> None:
        if text is not None:
            self._text = text
            self._texts.pop((text,), None)
            self._change()

    def action_choose_base(self) -> None:
        self.app.push_screen(ask_for_base(self._base, list_runs(), time.time()), self._choose_base)

    def _choose_base(self, base: str | None) -> None:
        if base is not None:
            self._base = base
            self._change()

    def _change(self) -> None:
        self._presets = [self._with_choices(preset) for preset in self._given]
        self._begin_to_read()
        self._show()

    def _with_choices(self, preset: Preset) -> Preset:
        if preset.problem and not preset.lacks_base:
            return preset
        base = self._base if preset.config.base.path is not None and self._base else None
        try:
            return preset.changed([], [self._text] if self._text else [], base)
        except UserError as error:
            return replace(preset, problem=str(error))

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Another preset is looked at."""
        self._show()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter, or a click: starts, or asks for what is missing or doubtful.

        One whose text is not found yet starts: the training looks for it as well.
        """
        preset = self._presets[message.option_index]
        forecast = self._forecast(preset)
        if preset.lacks_base:
            self.action_choose_base()
        elif forecast.is_text_missing:
            self.action_choose_text()
        elif not forecast.problem:
            self._start_if_meant(preset, forecast)

    def _start_if_meant(self, preset: Preset, forecast: Forecast) -> None:
        concerns = [f"{preset.name} {forecast.alarm}."] if forecast.alarm else []
        busy = [] if self._is_busy_accepted else find_busy_here(self._busy, time.time())
        concerns += [f"{name} is training on this machine: both will be slower." for name in _names(busy)]
        if not concerns:
            self._start(preset)
            return

        def start(answer: str | None) -> None:
            if answer:
                self._is_busy_accepted |= bool(busy)
                self._start(preset)

        self.app.push_screen(ask_whether_to_start(concerns), start)

    def _show(self) -> None:
        presets, details, busy = (
            self.query_one(PresetList),
            self.query_one(PresetDetails),
            self.query_one("#busy", Label),
        )
        preset = self._highlighted
        forecast = self._forecast(preset)
        told = "".join(f"o opens the run that trains here: {name}" for name in _names(self._busy))
        busy.update(Content(told))
        busy.display = bool(told)
        if (details.preset, details.forecast) != (preset, forecast):
            details.show_preset(preset, forecast)
            presets.can_start = forecast.problem is None or preset.lacks_base or forecast.is_text_missing
            self.refresh_bindings()


def _names(runs: Sequence[RunDirectory]) -> list[str]:
    """The first of some runs, and how many there are besides; empty without any."""
    others = f" (and {len(runs) - 1} more)" if len(runs) > 1 else ""
    return [safe_line(name_of(run)) + others for run in runs[:1]]
