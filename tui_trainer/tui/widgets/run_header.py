"""Is it alive? One line: which run, what it is doing, how far."""

from __future__ import annotations

import time

from tui_trainer.events import RunFailed, RunFinished
from tui_trainer.monitor import numbers
from tui_trainer.monitor.liveness import silence_text, waiting_text
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.monitor.standing import Standing
from tui_trainer.tui.lines import Line, spread
from tui_trainer.tui.widgets.run_pane import RunPane

NARROW, WIDE = 60, 100


class RunHeader(RunPane):
    """Where this is, and the state of the run."""

    notice: str | None = None
    """What the program itself is doing, when that is more than the run says: loading, saving before it leaves."""

    preset = ""

    def announce(self, preset: str, notice: str | None) -> None:
        """Names the preset and what the program is doing."""
        self.preset, self.notice = preset, notice
        self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        left: Line = [(" tui-trainer", "accent"), (" ▸", "quiet")] if width >= NARROW else []
        left += [(" ", ""), (safe_line(self.preset), "value")]
        if self.follower and width >= WIDE:
            left += [(" ▸ ", "quiet"), (short_id(self.follower.run.run_id), "label")]
        return [spread(left, self._right(width), width)]

    def _right(self, width: int) -> Line:
        follower = self.follower
        if self.notice or follower is None:
            return [("● ", "note"), (self.notice or "starting", "value"), (" ", "")]
        state = follower.state
        line: Line = [*self._activity()]
        if state.max_steps is not None:
            step = f"{state.current_step:,}".rjust(len(f"{state.max_steps:,}"))
            line += [("   step ", "label"), (step, "value"), (f" / {state.max_steps:,}", "label")]
        if state.step and width >= NARROW:
            epochs = numbers.whole(state.epochs)
            line += [("   epoch ", "label"), (str(state.step.epoch), "value"), (f" / {epochs}", "label")]
        return [*line, (" ", "")]

    def _activity(self) -> Line:
        assert self.follower is not None
        ended, status = self.follower.state.ended, self.follower.status
        if isinstance(ended, RunFailed):
            return [("✗ ", "wrong"), ("failed", "wrong")]
        if isinstance(ended, RunFinished):
            return [("✓ ", "good"), (ended.reason.replace("_", " "), "good")]
        if self.follower.state.is_moving:
            return [("● ", "note"), ("moving to another process", "value")]
        if self.follower.standing is Standing.INTERRUPTED:
            return [("✗ ", "warning"), ("interrupted", "warning")]
        if silence := silence_text(status, time.time()):
            return [("▲ ", "warning"), (silence, "warning")]
        if self.follower.state.paused:
            return [("‖ ", "note"), ("paused", "note")]
        if status and status.phase == "waiting_for_disk":
            return [("▲ ", "wrong"), ("waiting for disk space", "wrong")]
        return [("● ", "good"), (_phase_of(self), "value"), (waiting_text(status, time.time()), "label")]


def _phase_of(header: RunHeader) -> str:
    assert header.follower is not None
    status, phase = header.follower.status, header.follower.state.phase
    name = (status.phase if status else "") or (phase.phase if phase else "starting")
    text = name.replace("_", " ")
    if status and status.phase_total and name in ("preparing_data", "evaluating"):
        return f"{text} {100 * status.phase_done / status.phase_total:.0f} %"
    return text


def short_id(run_id: str) -> str:
    """20261123-164012-quick-test as 1123-1640: enough to tell today's runs apart."""
    date, _, rest = run_id.partition("-")
    time_of_day = rest.partition("-")[0]
    if len(date) == 8 and len(time_of_day) == 6 and (date + time_of_day).isdigit():
        return f"{date[4:]}-{time_of_day[:4]}"
    return safe_line(run_id)
