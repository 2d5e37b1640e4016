"""When is it done? One bar."""

from __future__ import annotations

from tui_trainer.monitor import numbers
from tui_trainer.tui.lines import Line, width_of
from tui_trainer.tui.widgets.run_pane import RunPane

FULL, TIP, REST = "━", "╸", "─"


class StepBar(RunPane):
    """Share of the steps done, time elapsed and time left."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        share, tail = 0.0, ""
        if self.follower and self.follower.state.max_steps:
            state = self.follower.state
            share = state.current_step / max(1, state.max_steps or 1)
            elapsed = numbers.duration(self.follower.elapsed_seconds)
            left = "" if self.follower.standing.is_over else f"   {numbers.duration(self.follower.seconds_left)} left"
            tail = f"  {100 * share:3.0f} %   {elapsed} elapsed{left} "
        room = max(4, width - len(tail) - 1)
        halves = round(share * room * 2)
        done: Line = [(FULL * (halves // 2), "accent"), (TIP * (halves % 2), "accent")]
        rest = room - width_of(done)
        return [[(" ", ""), *done, (REST * rest, "quiet"), (tail, "label")]]
