"""The whole history of a long log, folded a piece at a time while its end is watched already."""

from __future__ import annotations

from pathlib import Path

from tui_trainer.events import Record
from tui_trainer.monitor.run_state import RunState
from tui_trainer.runs.event_log import READ_BYTES, EventLogReader
from tui_trainer.runs.step_lines import read_in_blocks


class Backfill:
    """A state that catches up with the place up to which somebody else follows the log."""

    def __init__(self, log: Path) -> None:
        self.state = RunState()
        self._reader = EventLogReader(log)

    @property
    def offset(self) -> int:
        """Bytes of the log that are in the state."""
        return self._reader.offset

    def fold(self, end: int) -> bool:
        """Takes in the next piece before the byte `end`: some milliseconds. Says whether there was any."""
        before = self.offset
        for part in read_in_blocks(self._reader.read_text(READ_BYTES, end)):
            if isinstance(part, Record):
                self.state.apply(part)
            else:
                self.state.apply_steps(part)
        return self.offset != before
