"""The monitor: one run, live."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Label

from tui_trainer.errors import UserError
from tui_trainer.inference.writer import Writer
from tui_trainer.monitor.follower import RunFollower, open_follower
from tui_trainer.monitor.standing import Standing, next_steps
from tui_trainer.runs.control import name_requester
from tui_trainer.tui.keys import CHART_ACTIONS, MONITOR_KEYS, REVIVING_ACTIONS, STEERING_ACTIONS, bindings
from tui_trainer.tui.screens.question import ask_how_to_leave
from tui_trainer.tui.screens.reading import ReadScreen, feed_text, verdict_text
from tui_trainer.tui.screens.steering import SteeringScreen
from tui_trainer.tui.services import Services, Training
from tui_trainer.tui.widgets.chart import Chart
from tui_trainer.tui.widgets.event_feed import EventFeed
from tui_trainer.tui.widgets.figures import Figures
from tui_trainer.tui.widgets.key_line import KeyLine
from tui_trainer.tui.widgets.next_line import NextLine
from tui_trainer.tui.widgets.prompt_panel import PromptPanel
from tui_trainer.tui.widgets.run_header import RunHeader
from tui_trainer.tui.widgets.run_pane import RunPane
from tui_trainer.tui.widgets.schedule_curve import ScheduleCurve
from tui_trainer.tui.widgets.sparklines import Sparklines
from tui_trainer.tui.widgets.step_bar import StepBar
from tui_trainer.tui.widgets.verdict_line import VerdictLine

FIGURES_SECONDS = 0.5
READING_SECONDS = 0.05
HANDOVER_SECONDS = 60.0
FOLDING_SECONDS = 0.02
RESTING_SECONDS = 0.002
"""Between two pieces of a long history: a key waits for one of them at most."""
FOLDING_NOTE_SECONDS = 1.0
CHART_EVERY = 4
"""Curves are drawn at every fourth look: they are most of what is sent, and nobody sees one grow within a second."""
BYTES_A_CELL = 0.6
"""A second, of the whole screen: curves wait until what was sent, figures included, is no more than that."""
LEAST_BYTES = 2000
LONGEST_DEBT_SECONDS = 10
"""Of what a person's own keys have sent, no more is waited for."""


class MonitorScreen(SteeringScreen):
    """Looks at the run directory twice a second and redraws what changed."""

    AUTO_FOCUS = ""
    ALLOW_IN_MAXIMIZED_VIEW = "#header,#next,#keys"
    BINDINGS: ClassVar[list[BindingType]] = bindings(MONITOR_KEYS)

    def __init__(self, services: Services, training: Training, preset: str) -> None:
        """Watches a training.

        Args:
            services: what the program can do.
            training: of this process or another.
            preset: its name.
        """
        super().__init__(services)
        self._writer: Writer | None = None
        self._ticks = 0
        self._was_alive = True
        self._could_detach = False
        self._is_folding = False
        self._curves_are_stale = False
        self._debt = 0.0
        self._counted_bytes = 0
        self.training = training
        self.preset = preset
        self.is_leaving = False

    def compose(self) -> ComposeResult:
        yield RunHeader(id="header")
        yield StepBar(id="bar")
        with Horizontal(id="main"):
            yield Chart(id="chart")
            yield Figures(title="now", id="figures")
        with Horizontal(id="strip"):
            yield Sparklines(title="since the start", id="sparklines")
            yield ScheduleCurve(title="learning rate", id="schedule")
            yield VerdictLine(title="verdict", id="verdict")
        yield NextLine(id="next")
        yield PromptPanel(id="prompt-panel")
        yield EventFeed(id="feed")
        yield KeyLine()
        yield Label("make me a little larger", id="too-small")

    def on_mount(self) -> None:
        self.query_one(RunHeader).announce(self.preset, "loading torch" if self.training.ends_with_screen else None)
        self.set_interval(FIGURES_SECONDS, self.look)
        self.call_after_refresh(self.look)  # a run that is there already is shown at once

    def look(self) -> None:
        """Takes in what is new and shows it; curves at every fourth look at most, when something is new in them."""
        self._ticks += 1
        self._pay_off()
        is_alive = self.training.is_alive()
        if self.follower is None:
            self._find_run()
        if self.follower is not None and self._take_in(self.follower):
            self._curves_are_stale = True
            self._show(with_curves=False)
        if self.follower is not None:
            self._begin_to_fold(self.follower)
        if self._curves_are_stale and self._ticks % CHART_EVERY == 1 and not self._debt:
            self._show(with_curves=True)
        self.query_one(RunHeader).redraw()
        self._offer_next_steps()
        if self.training.has_moved:
            self.app.exit()
        elif self._was_alive and not is_alive:
            self._end()
        self._was_alive = is_alive
        if self._could_detach != self.can_detach:
            self._could_detach = self.can_detach
            self.refresh_bindings()

    def _pay_off(self) -> None:
        """Bytes above the budget are paid off look by look, so that a slow link is never flooded by curves."""
        budget = max(BYTES_A_CELL * self.size.width * self.size.height, LEAST_BYTES)
        sent, self._counted_bytes = self.sent_bytes - self._counted_bytes, self.sent_bytes
        debt = min(self._debt + sent, LONGEST_DEBT_SECONDS * budget)
        self._debt = max(0.0, debt - FIGURES_SECONDS * budget)

    def _begin_to_fold(self, follower: RunFollower) -> None:
        """Reads the whole history of a long run, which is shown from its end until then."""
        if follower.history_share < 1:
            share = f"{100 * follower.history_share:.0f} %"
            self.note(f"reading its history: {share}", FOLDING_NOTE_SECONDS)
            if not self._is_folding:
                self._is_folding = True
                self.run_worker(self._fold(follower))

    async def _fold(self, follower: RunFollower) -> None:
        """A moment at a time, so that keys are answered in between."""
        while follower.fold_slice(FOLDING_SECONDS):
            await asyncio.sleep(RESTING_SECONDS)
        self._is_folding = False
        self._show(with_curves=True)

    def _take_in(self, follower: RunFollower) -> bool:
        """Reads for a moment; a long log takes several looks, so that keys are answered meanwhile."""
        has_changed, until = False, time.monotonic() + READING_SECONDS
        while follower.poll(self.hear):
            has_changed = True  # even when the time was up while it read
            if time.monotonic() > until:
                break
        return has_changed

    @property
    def is_typing(self) -> bool:
        """Whether a person writes a prompt or a setting."""
        return self.is_mounted and self.query_one(PromptPanel).has_focus_within

    @property
    def can_detach(self) -> bool:
        """Whether it trains by now: before, there is nobody to ask and nothing to hand over."""
        status = self.follower.status if self.follower else None
        return self.training.is_alive() and status is not None and status.state == "running"

    @property
    def _has_list(self) -> bool:
        """Whether there is a list below, of presets or of runs, to go back to."""
        return len(self.app.screen_stack) > 2

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a person types, letters are text; a key that cannot act says why (`why_not`)."""
        return not self.is_typing

    def why_not(self, action: str) -> str | None:
        """Why an action cannot do anything now; the footer shows only keys that can."""
        is_over = self.follower is not None and self.follower.standing.is_over
        is_readonly = self._services.steer is None
        if self.follower is None and action not in ("detach", "back"):
            return "the training is still being prepared"
        if action in STEERING_ACTIONS | REVIVING_ACTIONS and is_readonly:
            return "this screen only watches (--readonly)"
        is_complete = self.follower is not None and self.follower.standing is Standing.COMPLETED
        if action == "change_rate" and is_complete:
            return "it is complete: m trains it longer"
        if action in STEERING_ACTIONS and is_over:
            return f"nobody trains this run any more: {'m trains it longer' if is_complete else 'r resumes it'}"
        if action in STEERING_ACTIONS | REVIVING_ACTIONS and not is_over and not self.can_detach:
            return "the training is still being prepared"
        if action == "start_again" and not is_over:
            return "it is still training: x stops it first"
        if action in REVIVING_ACTIONS and is_over and self.training.is_alive():
            return "it is still being saved"
        if action in CHART_ACTIONS and not self._chart.display:
            return "there is no room for the chart: make the window larger"
        if action == "detach" and not self.training.ends_with_screen:
            return "q leaves; the training runs in a process of its own"
        if action == "detach" and not self.can_detach:
            return "the training has ended" if is_over else "the training is still being prepared"
        if action == "back" and not self._has_list:
            return "there is no list to go back to"
        if action == "back" and self.training.is_alive() and self.training.ends_with_screen:
            return "stop the training first (x), or hand it over (d)"
        return None

    def _offer_next_steps(self) -> None:
        """The keys that make sense now, below the verdict."""
        if self.follower is None:
            return
        may_steer = self._services.steer is not None
        has_checkpoint = self.follower.state.best_checkpoint_step is not None
        steps = next_steps(self.follower.standing, may_steer=may_steer, has_checkpoint=has_checkpoint)
        self.query_one(NextLine).offer(steps, "" if may_steer else "watching only")

    def resume(self, overrides: list[str]) -> None:
        """Trains on from the last checkpoint, in this process and on this screen."""
        assert self.follower is not None and self._services.resume is not None
        try:
            training = self._services.resume(self.follower.run, overrides)
        except UserError as error:
            self.note(" ".join(str(error).split()))
            return
        self.post_message(self.Revived(training, self.preset))

    def action_start_again(self) -> None:
        """A new run with the settings of this one."""
        if self.may("start_again"):
            assert self.follower is not None
            self.post_message(self.Revived(self._services.launch(self.follower.config, self.preset), self.preset))

    class Revived(Message):
        """A training was launched from here, to be watched instead of the one that is over."""

        def __init__(self, training: Training, preset: str) -> None:
            super().__init__()
            self.training, self.preset = training, preset

    def action_prompt(self) -> None:
        """Where there is no room for the panel, it takes the whole screen."""
        if not self.may("prompt"):
            return
        panel = self.query_one(PromptPanel)
        if not panel.display:
            self.maximize(panel, container=False)
        panel.focus_prompt()

    def action_back(self) -> None:
        if self.may("back"):
            self.app.pop_screen()

    def action_enlarge(self) -> None:
        """The focused pane, else the newest answer or the chart, on the whole screen; and back."""
        if self.maximized:
            self.minimize()
            return
        panel = self.query_one(PromptPanel)
        fallback = panel if panel.display and (panel.has_answer or not self._chart.display) else self._chart
        self.maximize(self.focused or fallback)

    def action_explain_verdict(self) -> None:
        if self.may("explain_verdict"):
            assert self.follower is not None
            self.app.push_screen(ReadScreen("verdict", partial(verdict_text, self.follower, self.training.failure)))

    def action_show_feed(self) -> None:
        if self.may("show_feed"):
            assert self.follower is not None
            self.app.push_screen(ReadScreen("what happened, newest first", partial(feed_text, self.follower)))

    def action_scroll_answer(self, pages: int) -> None:
        self.query_one(PromptPanel).action_scroll_page(pages)

    def action_scroll_line(self, lines: int) -> None:
        self.query_one(PromptPanel).action_scroll(lines)

    def ask_to_leave(self) -> None:
        """Stop, hand over or stay?"""
        is_paused = self.follower is not None and self.follower.standing is Standing.PAUSED
        self.app.push_screen(ask_how_to_leave(can_detach=self.can_detach, is_paused=is_paused), self._leave)

    def action_detach(self) -> None:
        """A training of this process is handed over to one of its own; any other is detached already."""
        if not self.training.ends_with_screen:
            self.app.exit()
        elif self.may("detach") and not self.is_leaving:
            self.training.detach(name_requester())
            self.note("saving, then handing over to a process of its own …", HANDOVER_SECONDS)

    def action_next_view(self) -> None:
        self._chart.next_view()

    def action_previous_view(self) -> None:
        self._chart.next_view(-1)

    def action_cursor(self, columns: int) -> None:
        self._chart.move_cursor(columns)

    def action_hide_cursor(self) -> None:
        self._chart.hide_cursor()

    def action_zoom(self, factor: float) -> None:
        self._chart.zoom(factor)

    def action_pan(self, share: float) -> None:
        self._chart.pan(share)

    def action_show_all(self) -> None:
        self._chart.show_all()

    def action_follow(self) -> None:
        self._chart.follow()

    def action_toggle_log(self) -> None:
        self._chart.toggle_log()

    def action_toggle_smoothing(self) -> None:
        self._chart.toggle_smoothing()

    @property
    def _chart(self) -> Chart:
        return self.query_one(Chart)

    def _leave(self, answer: str | None) -> None:
        if answer and not self.training.is_alive():  # it ended while the question stood
            self.app.exit()
        elif answer == "detach":
            self.action_detach()
        elif answer:
            self.is_leaving = True
            self.training.stop()
            self.query_one(RunHeader).announce(self.preset, "saving, then leaving")

    def _find_run(self) -> None:
        self.follower = open_follower(self.training.run_dir)
        if self.follower is None:
            return
        self.query_one(RunHeader).announce(self.preset, None)
        self.query_one(PromptPanel).connect(self._open_writer, self._is_training, self.follower.config.sampling)
        self.refresh_bindings()

    def _is_training(self) -> bool:
        """Whether something trains here, this run or another; called in the generation's thread."""
        assert self.follower is not None
        return self.training.is_alive() or self._services.is_training_beside(self.follower.run)

    def _open_writer(self) -> Writer:
        """Opens the writer once; called in the generation's thread."""
        assert self.follower is not None
        if self._writer is None:
            self._writer = self._services.open_writer(self.follower.run)
        return self._writer

    def _show(self, *, with_curves: bool) -> None:
        assert self.follower is not None
        self._curves_are_stale &= not with_curves
        curves = (Chart, Sparklines, ScheduleCurve)
        for pane in self.query(RunPane):
            if with_curves or not isinstance(pane, curves):
                pane.show_run(self.follower)
        self.query_one(PromptPanel).show_run(self.follower)

    def _end(self) -> None:
        """The training is over: shows the last of it, and why it failed if it did."""
        if self.follower and self.follower.run.path.exists():
            self.follower.catch_up(self.hear)
            self._show(with_curves=True)
        if self.training.failure:
            self.query_one(RunHeader).announce(self.preset, "failed")
            self.query_one(VerdictLine).show_failure(self.training.failure)
        self.refresh_bindings()
        has_nothing_to_show = self.training.run_dir is None and not self._has_list
        if self.is_leaving or has_nothing_to_show:
            self.app.exit()
