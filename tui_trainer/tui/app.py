"""The app: which screen is shown, and how it is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.theme import Theme

from tui_trainer.presets import Preset
from tui_trainer.runs.catalogue import list_runs
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui import theme
from tui_trainer.tui.dots import STYLES, DotStyle
from tui_trainer.tui.keys import EVERYWHERE, MONITOR_KEYS, bindings
from tui_trainer.tui.screens.picker import PickerScreen
from tui_trainer.tui.screens.question import Question
from tui_trainer.tui.services import Services, Training
from tui_trainer.tui.terminal import COLOUR_SYSTEMS, MODERN, TerminalKind
from tui_trainer.tui.theme_choice import remember_theme

if TYPE_CHECKING:
    from tui_trainer.tui.screens.monitor import MonitorScreen


class TrainerApp(App[None]):
    """Starts with the picker, with a list of runs, or with a training that runs already."""

    CSS_PATH = "trainer.tcss"
    TITLE = "tui-trainer"
    HORIZONTAL_BREAKPOINTS = [(0, "-cramped"), (40, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-slim"), (20, "-low"), (32, "-high"), (44, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(EVERYWHERE),
        Binding("ctrl+q", "leave", show=False, priority=True),
        Binding("ctrl+c", "leave", show=False),
    ]

    def __init__(
        self,
        services: Services,
        presets: Sequence[Preset] = (),
        training: tuple[Training, str] | None = None,
        runs: Sequence[RunDirectory] | None = None,
        driver_class: type[Driver] | None = None,
        terminal: TerminalKind = MODERN,
        theme_name: str = theme.DARK.name,
    ) -> None:
        """Prepares the app.

        Args:
            services: what the program can do for the screen.
            presets: what the picker offers.
            training: one that goes on already, with its preset's name; then there is no picker.
            runs: what to choose from instead of the presets.
            driver_class: how the terminal is driven; None: Textual's own.
            terminal: what it can show.
            theme_name: the theme to start with.
        """
        super().__init__(driver_class=driver_class, ansi_color=True if terminal.colours == "none" else None)
        self.console._color_system = COLOUR_SYSTEMS[terminal.colours]
        self.terminal = terminal
        self._theme_name = theme_name
        self._services = services
        self._presets = presets
        self._first = training
        self.dots: DotStyle = STYLES[terminal.charts]
        self._runs = runs
        self.monitor: MonitorScreen | None = None
        """The newest: there is never more than one among the screens."""
        self.trainings: list[Training] = []
        """Every training that was watched, in order; a run that was opened again stands at the end."""

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours that Textual's own themes lack."""
        return theme.defaults_for(self.current_theme)

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Ours before Textual's own."""
        themes = super().available_themes
        ours = {each.name: each for each in theme.THEMES}
        return ours | {name: each for name, each in themes.items() if name not in ours}

    def on_mount(self) -> None:
        for each in theme.THEMES:
            self.register_theme(each)
        self.theme = self._theme_name
        self.watch(self, "theme", remember_theme, init=False)
        if self._first is not None:
            self._watch(*self._first)
        elif self._runs is not None:
            self.show_runs(self._runs)
        else:
            self.push_screen(PickerScreen(self._presets, self.start, lambda: self.show_runs(list_runs())))

    def show_runs(self, runs: Sequence[RunDirectory]) -> None:
        """A list of runs, to open one."""
        from tui_trainer.tui.screens.runs import RunsScreen

        self.push_screen(RunsScreen(runs, self.open_run))

    def open_run(self, run: RunDirectory) -> None:
        """Watches a run that is there already."""
        self._watch(self._services.open_run(run), run.preset)

    def start(self, preset: Preset) -> None:
        """Launches a preset and watches it; one training at a time, however fast somebody presses Enter."""
        if self._own_training:
            return
        training = self._services.launch(preset.config, preset.name)
        self._watch(training, preset.name)

    def on_monitor_screen_revived(self, message: MonitorScreen.Revived) -> None:
        """A run that was over is resumed or started again: it takes the place of the one that was shown."""
        self.pop_screen()
        self._watch(message.training, message.preset)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a person types into the prompt, letters are text and no keys."""
        if action == "explain" or action == "quit":
            return not self._is_typing()
        return True

    @property
    def _own_training(self) -> MonitorScreen | None:
        """The monitor of the training that would end with this process."""
        training = self.monitor.training if self.monitor else None
        return self.monitor if training and training.ends_with_screen and training.is_alive() else None

    async def action_quit(self) -> None:
        """Every way to leave is the same question while a training of this process goes on."""
        monitor = self._own_training
        if monitor is None:
            self.exit()
        elif not monitor.is_leaving and not isinstance(self.screen, Question):
            monitor.ask_to_leave()

    async def action_leave(self) -> None:
        """The same question from anywhere, also while a person types; asked already, it is the answer."""
        if isinstance(self.screen, Question):
            self.screen.action_insist()
        else:
            await self.action_quit()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every key of the screen that works now, and the themes."""
        yield from (command for command in super().get_system_commands(screen) if command.title in ("Theme", "Quit"))
        for key in MONITOR_KEYS:
            if screen is self.monitor and not self.monitor.why_not(key.name):
                label = f"{key.label.capitalize()}  ({key.shown})"
                yield SystemCommand(label, key.help, partial(screen.run_action, key.action))

    def action_explain(self) -> None:
        from tui_trainer.tui.screens.explain import ExplainScreen

        watched = self.monitor.follower if self.monitor and self.screen is self.monitor else None
        self.push_screen(ExplainScreen(watched))

    def _watch(self, training: Training, preset: str) -> None:
        from tui_trainer.tui.screens.monitor import MonitorScreen  # not needed for the first paint

        self.trainings = [each for each in self.trainings if each.run_dir != training.run_dir]
        self.trainings.append(training)
        self.monitor = MonitorScreen(self._services, training, preset)
        self.push_screen(self.monitor)

    def _is_typing(self) -> bool:
        return self.monitor is not None and self.screen is self.monitor and self.monitor.is_typing
