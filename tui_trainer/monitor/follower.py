"""RunFollower: polls a run directory and keeps a RunState up to date."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.events import ControlApplied, Event, Record, RunStarted
from tui_trainer.lr_schedule import LearningRateSchedule, make_schedule
from tui_trainer.monitor.run_state import RunState
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogReader
from tui_trainer.runs.status import Status, read_status


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
    """Reads a run the same way whether it trains here, elsewhere, or ended long ago."""

    def __init__(self, run: RunDirectory) -> None:
        """Reads the configuration of the run.

        Raises:
            UserError: when it cannot be read.
        """
        self.run = run
        self.config: RunConfig = run.read_config()
        self.state = RunState()
        self.status: Status | None = None
        self._reader = EventLogReader(run.event_log)

    def poll(self, on_record: Callable[[Record], None] = ignore_record) -> bool:
        """Takes in what is new, a bounded share of it; says whether anything was."""
        has_changed = self._take_in(on_record)
        status = read_status(self.run.status_file)
        has_changed |= status != self.status
        self.status = status
        return has_changed

    def drain(self, on_record: Callable[[Record], None] = ignore_record) -> None:
        """Takes in everything there is."""
        while self.poll(on_record):
            pass

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The planned learning rate, once the number of steps is known."""
        if self.state.max_steps is None:
            return None
        return make_schedule(self.config.training, self.state.max_steps)

    @property
    def seconds_left(self) -> float | None:
        """Time to the end, or None while it is not known."""
        started, max_steps = self.state.started, self.state.max_steps
        if started is None or max_steps is None or self.state.ended:
            return None
        return self.state.pace.seconds_left(
            self.state.current_step,
            max_steps,
            self.config.training.eval_interval,
            started.steps_per_epoch,
        )

    def _take_in(self, on_record: Callable[[Record], None]) -> bool:
        records = self._reader.read()
        for record in records:
            if _may_change_settings(record.event):
                with suppress(UserError):
                    self.config = self.run.read_config()
            self.state.apply(record)
            on_record(record)
        return bool(records)


def _may_change_settings(event: Event) -> bool:
    """A resumed run may go on under other settings, and a person may change some while it trains."""
    return isinstance(event, RunStarted) or (isinstance(event, ControlApplied) and event.action == "set")
