"""RunFollower: polls a run directory and keeps a RunState up to date."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.events import AdviceCleared, AdviceRaised, ControlApplied, Event, Record, RunStarted
from tui_trainer.lr_schedule import LearningRateSchedule, make_schedule
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.run_state import RunState
from tui_trainer.monitor.safe_text import without_glosses
from tui_trainer.monitor.standing import Standing, standing_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import READ_BYTES, EventLogReader
from tui_trainer.runs.status import Status, read_status

if TYPE_CHECKING:
    from tui_trainer.monitor.backfill import Backfill

DISK = "disk"
"""The rule under which a trainer reports a full disk."""
LONG_LOG_BYTES = 1 << 21
"""A log with more is first glimpsed at: some seven thousand steps."""
GLIMPSE_BYTES = 1 << 20
"""How much of its end is looked at: some three thousand steps."""


def ignore_record(record: Record) -> None:
    """For those who only want the state."""


def open_follower(run: RunDirectory | None) -> RunFollower | None:
    """A follower, or None while there is nothing to follow: a run is made, and perhaps removed, by another thread."""
    if run is None or not run.config_file.exists():
        return None
    try:
        return RunFollower(run)
    except UserError:
        return None


class RunFollower:
    """Reads a run the same way whether it trains here, elsewhere, or ended long ago.

    Of a long log, `state` first is a glimpse: how the run began and the end of its log. It goes on with what is new
    while `fold_slice` folds all of the log; then `state` is the whole one, as if each line had been read live.
    """

    def __init__(self, run: RunDirectory, *, is_glimpsing: bool = True) -> None:
        """Reads the configuration of the run.

        Args:
            run: need not have a log yet.
            is_glimpsing: whether the end of a long log comes first; else each of its records is heard of.

        Raises:
            UserError: when it cannot be read.
        """
        self.run = run
        self.config: RunConfig = run.read_config()
        self.state = RunState()
        self.status: Status | None = None
        self._trouble = ""
        self._is_glimpsing = is_glimpsing
        self._reader = EventLogReader(run.event_log)
        self._backfill: Backfill | None = None

    def poll(self, on_record: Callable[[Record], None] = ignore_record) -> bool:
        """Takes in what is new, a bounded share of it; says whether anything was.

        `on_record` hears of each record once, in order; of a long log, from the glimpse of its end on.
        """
        has_changed = self._take_in(on_record)
        status = read_status(self.run.status_file)
        has_changed |= status != self.status
        self.status = status
        self._follow_trouble(on_record)
        return has_changed

    def _follow_trouble(self, on_record: Callable[[Record], None]) -> None:
        """Has what a full log cannot tell be heard like an event of the log; once there is room, the log tells it."""
        status = self.status
        is_alive = judge(status, time.time()) in (Liveness.ALIVE, Liveness.STALE)
        trouble = status.trouble if status and is_alive else ""
        if status is None or trouble == self._trouble:
            return
        self._trouble = trouble
        event: Event = AdviceRaised(DISK, "wrong", trouble, "", status.step, {}, "start")
        if not trouble:
            event = AdviceCleared(DISK, status.step)
        if trouble or DISK in self.state.advice:
            record = Record(status.heartbeat, self.state.segment, event)
            self.state.apply(record)
            on_record(record)

    def catch_up(self, on_record: Callable[[Record], None] = ignore_record) -> None:
        """Takes in everything that is new."""
        while self.poll(on_record):
            pass

    def drain(self, on_record: Callable[[Record], None] = ignore_record) -> None:
        """Takes in everything there is, the whole history included."""
        self.catch_up(on_record)
        self.fold_slice(math.inf)

    def fold_slice(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
        """Folds the history of a long log for a moment, so that keys are answered; says whether more is left."""
        until = clock() + seconds
        while self._backfill is not None:
            has_more = self._backfill.fold(self._reader.offset)
            if self._backfill.offset == self._reader.offset:
                self.state, self._backfill, self._trouble = self._backfill.state, None, ""
            elif not has_more and not self.run.event_log.exists():  # there will be no more of it than the glimpse
                self._backfill = None
            elif not has_more:  # a mirror has put an older copy there: the rest comes with the next one
                return False
            elif clock() >= until:
                break
        return self._backfill is not None

    @property
    def history_share(self) -> float:
        """How much of the log is in the history: 1 when it is whole."""
        return self._backfill.offset / self._reader.offset if self._backfill else 1.0

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The planned learning rate, once the number of steps is known."""
        if self.state.max_steps is None:
            return None
        return make_schedule(self.config.training, self.state.max_steps)

    @property
    def standing(self) -> Standing:
        """How the run stands now."""
        return standing_of(self.state, self.status, time.time())

    @property
    def standing_advice(self) -> list[AdviceRaised]:
        """The advice that stands, worst first; what was said about one start does not outlive its process."""
        is_dead = self.standing is Standing.INTERRUPTED
        standing = [each for each in self.state.standing_advice if not (is_dead and each.until == "start")]
        return [replace(advice, remedy=without_glosses(advice.remedy)) for advice in standing]

    @property
    def elapsed_seconds(self) -> float:
        """Time spent training, over all segments; the status knows it also while no step or evaluation is complete."""
        running = self.status.elapsed_seconds if self.status and not self.state.ended else 0.0
        return max(self.state.elapsed_seconds, running)

    @property
    def seconds_left(self) -> float | None:
        """Time to the end, or None while it is not known."""
        started, max_steps = self.state.started, self.state.max_steps
        if started is None or max_steps is None or self.standing.is_over:
            return None
        return self.state.pace.seconds_left(
            self.state.current_step,
            max_steps,
            self.config.training.eval_interval,
            started.steps_per_epoch,
        )

    def _take_in(self, on_record: Callable[[Record], None]) -> bool:
        log, place = self._reader.logs, self._reader.offset
        records = self._reader.read(READ_BYTES)
        if self._reader.logs != log:  # the first look at it, or another one took its place
            self.state, self._backfill, self._trouble = RunState(), None, ""
            is_long = self._is_glimpsing and self._reader.unread_bytes > LONG_LOG_BYTES
            if is_long and self._reader.skip_to_last(GLIMPSE_BYTES):
                self._begin_glimpse(records)
                records = self._reader.read(GLIMPSE_BYTES)
        for record in records:
            if _may_change_settings(record.event):
                with suppress(UserError):
                    self.config = self.run.read_config()
            self.state.apply(record)
            on_record(record)
        return (self._reader.logs, self._reader.offset) != (log, place)

    def _begin_glimpse(self, first_records: list[Record]) -> None:
        from tui_trainer.monitor.backfill import Backfill  # with numpy, which the picker starts without

        self._backfill = Backfill(self.run.event_log)
        started = (record for record in first_records if isinstance(record.event, RunStarted))
        for record in list(started)[:1]:
            self.state.apply(record)
        status = read_status(self.run.status_file)
        if status is not None and status.max_steps is not None:  # a resume may have changed it since
            self.state.max_steps = status.max_steps


def _may_change_settings(event: Event) -> bool:
    """A resumed run may go on under other settings, and a person may change some while it trains."""
    return isinstance(event, RunStarted) or (isinstance(event, ControlApplied) and event.action == "set")
