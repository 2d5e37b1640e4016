"""The monitor: one run, live."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, Label

from tui_trainer.monitor.follower import RunFollower, open_follower
from tui_trainer.tui.driver import SurvivingDriver
from tui_trainer.tui.precise_updates import PreciseScreen
from tui_trainer.tui.screens.picker import PickerScreen
from tui_trainer.tui.services import Services, Training, Writer
from tui_trainer.tui.widgets.event_feed import EventFeed
from tui_trainer.tui.widgets.figures import Figures
from tui_trainer.tui.widgets.loss_chart import LossChart
from tui_trainer.tui.widgets.prompt_panel import PromptPanel
from tui_trainer.tui.widgets.run_header import RunHeader
from tui_trainer.tui.widgets.run_pane import RunPane
from tui_trainer.tui.widgets.schedule_curve import ScheduleCurve
from tui_trainer.tui.widgets.sparklines import Sparklines
from tui_trainer.tui.widgets.step_bar import StepBar
from tui_trainer.tui.widgets.verdict_line import VerdictLine

FIGURES_SECONDS = 0.5
READING_SECONDS = 0.05
CHART_EVERY = 2
"""Curves are drawn at every second look."""


class MonitorScreen(PreciseScreen):
    """Looks at the run directory twice a second and redraws what changed."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "prompt", "prompt", priority=True),
        Binding("b", "back", "presets"),
    ]

    def __init__(self, services: Services, training: Training, preset: str) -> None:
        """Watches a training of this process.

        Args:
            services: what the program can do.
            training: the training, just launched.
            preset: its name.
        """
        super().__init__()
        self._services = services
        self._writer: Writer | None = None
        self._ticks = 0
        self._was_alive = True
        self._curves_are_stale = False
        self.training = training
        self.preset = preset
        self.follower: RunFollower | None = None
        self.is_leaving = False

    def compose(self) -> ComposeResult:
        yield RunHeader(id="header")
        yield StepBar(id="bar")
        with Horizontal(id="main"):
            yield LossChart(title="loss", id="chart")
            yield Figures(title="now", id="figures")
        with Horizontal(id="strip"):
            yield Sparklines(title="since the start", id="sparklines")
            yield ScheduleCurve(title="learning rate", id="schedule")
            yield VerdictLine(title="verdict", id="verdict")
        yield PromptPanel(id="prompt-panel")
        yield EventFeed(id="feed")
        yield Footer()
        yield Label("make me a little larger", id="too-small")

    def on_mount(self) -> None:
        chart = self.query_one("#chart", LossChart)
        chart.border_title = "loss   [$train]─[/] train  [$val]─[/] val  [$success]◆[/] best"
        self.query_one(RunHeader).announce(self.preset, "loading torch")
        self.set_interval(FIGURES_SECONDS, self.look)

    def look(self) -> None:
        """Takes in what is new and shows it; curves at every second look, when there is something new in them."""
        self._ticks += 1
        is_alive = self.training.is_alive()
        if self.follower is None:
            self._find_run()
        if self.follower is not None and self._take_in(self.follower):
            self._curves_are_stale = True
            self._show(with_curves=False)
        if self._curves_are_stale and self._ticks % CHART_EVERY == 0:
            self._show(with_curves=True)
        self.query_one(RunHeader).redraw()
        if self._was_alive and not is_alive:
            self._end()

    @staticmethod
    def _take_in(follower: RunFollower) -> bool:
        """Reads for a moment; a long log takes several looks, so that keys are answered meanwhile."""
        has_changed, until = False, time.monotonic() + READING_SECONDS
        while follower.poll():
            has_changed = True  # even when the time was up while it read
            if time.monotonic() > until:
                break
        return has_changed

    @property
    def is_typing(self) -> bool:
        """Whether a person writes a prompt or a setting."""
        return self.is_mounted and self.query_one(PromptPanel).has_focus_within

    @property
    def _has_picker(self) -> bool:
        """Whether there is a picker below to go back to."""
        return any(isinstance(screen, PickerScreen) for screen in self.app.screen_stack)

    def leave(self) -> None:
        """Stops the training; the screen goes when it is saved."""
        self.is_leaving = True
        self.training.stop()
        self.query_one(RunHeader).announce(self.preset, "saving, then leaving")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer shows only keys that work now: while a person types, letters are text."""
        if action == "prompt":
            return not self.is_typing and self.follower is not None and self.query_one(PromptPanel).display
        if action == "back":
            return not self.is_typing and not self.training.is_alive() and self._has_picker
        return True

    def action_prompt(self) -> None:
        self.query_one(PromptPanel).focus_prompt()

    def action_back(self) -> None:
        self.app.pop_screen()

    def _find_run(self) -> None:
        self.follower = open_follower(self.training.run_dir)
        if self.follower is None:
            return
        self.query_one(RunHeader).announce(self.preset, None)
        self.query_one(PromptPanel).connect(self._open_writer, self.training.is_alive, self.follower.config.sampling)
        self.refresh_bindings()

    def _open_writer(self) -> Writer:
        """Opens the writer once; called in the generation's thread."""
        assert self.follower is not None
        if self._writer is None:
            self._writer = self._services.open_writer(self.follower.run)
        return self._writer

    def _show(self, *, with_curves: bool) -> None:
        assert self.follower is not None
        self._curves_are_stale &= not with_curves
        curves = (LossChart, Sparklines, ScheduleCurve)
        for pane in self.query(RunPane):
            if with_curves or not isinstance(pane, curves):
                pane.show_run(self.follower)
        self.query_one(PromptPanel).show_run(self.follower)

    def _end(self) -> None:
        """The training is over: shows the last of it, and why it failed if it did."""
        self._was_alive = False
        if self.follower and self.follower.run.path.exists():
            self.follower.drain()
            self._show(with_curves=True)
        if self.training.failure:
            self.query_one(RunHeader).announce(self.preset, "failed")
            self.query_one(VerdictLine).show_failure(self.training.failure)
        self.refresh_bindings()
        has_nothing_to_show = self.training.run_dir is None and not self._has_picker
        is_unseen = isinstance(self.app._driver, SurvivingDriver) and self.app._driver.is_gone
        if self.is_leaving or has_nothing_to_show or is_unseen:
            self.app.exit()
