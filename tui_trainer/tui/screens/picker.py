"""The picker: which preset to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from tui_trainer.monitor.forecast import Forecast, PastRun, make_forecast, remember_past_runs
from tui_trainer.presets import Preset
from tui_trainer.tui.widgets.key_line import KeyLine
from tui_trainer.tui.widgets.preset_details import PresetDetails


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
        self._forecasts: list[Forecast] = []

    def compose(self) -> ComposeResult:
        yield Label(Content.from_markup("[$accent]tui-trainer[/]  [$label]choose what to train[/]"), id="title")
        with Horizontal(id="picker"):
            yield PresetList(*(Option(Content(preset.name)) for preset in self._presets), id="presets")
            yield PresetDetails(id="details")
        yield KeyLine()
        yield Label("make me a little larger", id="too-small")

    def on_screen_resume(self) -> None:
        """Paints at once; what earlier runs tell of the time a preset takes is read after that."""
        if not self._forecasts:
            self._forecast([])
        self.call_after_refresh(lambda: self._forecast(remember_past_runs()))

    def _forecast(self, past_runs: list[PastRun]) -> None:
        self._forecasts = [make_forecast(preset, past_runs) for preset in self._presets]
        self._show(self.query_one(PresetList).highlighted or 0)

    def action_open_past_run(self) -> None:
        self._show_runs()

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Another preset is looked at."""
        self._show(message.option_index)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter, or a click; a preset whose text is missing says so and does not start."""
        if self._forecasts and self._forecasts[message.option_index].problem is None:
            self._start(self._presets[message.option_index])

    def _show(self, index: int) -> None:
        if self._forecasts:
            self.query_one(PresetDetails).show_preset(self._presets[index], self._forecasts[index])
            self.query_one(PresetList).can_start = self._forecasts[index].problem is None
            self.refresh_bindings()
