"""The app: which screen is shown, and how it is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver

from tui_trainer.presets import Preset
from tui_trainer.tui import theme
from tui_trainer.tui.screens.picker import PickerScreen
from tui_trainer.tui.screens.stop_question import StopQuestion
from tui_trainer.tui.services import Services, Training

if TYPE_CHECKING:
    from tui_trainer.tui.screens.monitor import MonitorScreen


class TrainerApp(App[None]):
    """Starts with the picker, or with a training that runs already."""

    CSS_PATH = "trainer.tcss"
    TITLE = "tui-trainer"
    HORIZONTAL_BREAKPOINTS = [(0, "-cramped"), (40, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-slim"), (20, "-low"), (32, "-high"), (44, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "explain", "explain"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+q", "leave", show=False, priority=True),
        Binding("ctrl+c", "leave", show=False),
    ]

    def __init__(
        self,
        services: Services,
        presets: Sequence[Preset] = (),
        training: tuple[Training, str] | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        """Prepares the app.

        Args:
            services: what the program can do for the screen.
            presets: what the picker offers.
            training: one that was launched already, with its preset's name; then there is no picker.
            driver_class: how the terminal is driven; None: Textual's own.
        """
        super().__init__(driver_class=driver_class)
        self._services = services
        self._presets = presets
        self._first = training
        self.monitors: list[MonitorScreen] = []
        """Every run that was watched, in order."""

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours that Textual's own themes lack."""
        return theme.VARIABLE_DEFAULTS

    def on_mount(self) -> None:
        self.register_theme(theme.DARK)
        self.register_theme(theme.LIGHT)
        self.theme = theme.DARK.name
        if self._first is None:
            self.push_screen(PickerScreen(self._presets, self.start))
        else:
            self._watch(*self._first)

    def start(self, preset: Preset) -> None:
        """Launches a preset and watches it; one training at a time, however fast somebody presses Enter."""
        if self.monitors and self.monitors[-1].training.is_alive():
            return
        training = self._services.launch(preset.config, preset.name)
        self._watch(training, preset.name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a person types into the prompt, letters are text and no keys."""
        if action == "explain" or action == "quit":
            return not self._is_typing()
        return True

    async def action_quit(self) -> None:
        """Every way to leave is the same question while a training goes on."""
        monitor = self.monitors[-1] if self.monitors else None
        if monitor is None or not monitor.training.is_alive():
            self.exit()
        elif not monitor.is_leaving and not isinstance(self.screen, StopQuestion):
            self.push_screen(StopQuestion(), self._answer)

    async def action_leave(self) -> None:
        """The same question from anywhere, also while a person types; asked already, it is the answer."""
        if isinstance(self.screen, StopQuestion):
            self.screen.action_stop()
        else:
            await self.action_quit()

    def action_explain(self) -> None:
        from tui_trainer.tui.screens.explain import ExplainScreen

        is_watching = bool(self.monitors) and self.screen is self.monitors[-1]
        self.push_screen(ExplainScreen(self.monitors[-1].follower if is_watching else None))

    def _answer(self, is_stop: bool | None) -> None:
        if is_stop and self.monitors[-1].training.is_alive():
            self.monitors[-1].leave()
        elif is_stop:  # it ended while the question stood
            self.exit()

    def _watch(self, training: Training, preset: str) -> None:
        from tui_trainer.tui.screens.monitor import MonitorScreen  # not needed for the first paint

        monitor = MonitorScreen(self._services, training, preset)
        self.monitors.append(monitor)
        self.push_screen(monitor)

    def _is_typing(self) -> bool:
        return bool(self.monitors) and self.screen is self.monitors[-1] and self.monitors[-1].is_typing
