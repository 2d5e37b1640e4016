"""The whole planned learning rate, and where the run is on it."""

from __future__ import annotations

from tui_trainer.lr_schedule import LearningRateSchedule
from tui_trainer.monitor import numbers
from tui_trainer.tui import braille
from tui_trainer.tui.lines import Line, spread
from tui_trainer.tui.widgets.run_pane import RunPane

HERE = "│"


class ScheduleCurve(RunPane):
    """What is behind in the colour of train, what is ahead quiet, and a line between."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        schedule = self.follower.schedule if self.follower else None
        if self.follower is None or schedule is None:
            return []
        step = self.follower.state.step
        current = step.step if step else self.follower.state.current_step
        curve = draw_schedule(schedule, width, height - 1, current)
        now = numbers.rate(step.learning_rate if step else schedule(1))
        left: Line = [(now, "value"), (" here", "label")]
        right: Line = [("peak ", "label"), (numbers.rate(schedule.peak), "value")]
        return [*curve, spread(left, right, width)]


def draw_schedule(schedule: LearningRateSchedule, width: int, height: int, current: int | None) -> list[Line]:
    """A schedule as a small curve of width × height cells; `current` None draws it all as planned."""
    count = width * braille.DOTS_WIDE
    scale = (schedule.max_steps - 1) / max(1, count - 1)
    rates = [schedule(1 + round(column * scale)) for column in range(count)]
    here = count if current is None else round((current - 1) / scale) if scale else count
    behind = [(rate, rate) if column <= here else None for column, rate in enumerate(rates)]
    ahead = [(rate, rate) if column >= here else None for column, rate in enumerate(rates)]
    curves = [braille.Curve(ahead, "quiet"), braille.Curve(behind, "train")]
    lines = braille.draw(width, max(1, height), curves, 0.0, schedule.peak * 1.02)
    if current is None:
        return lines
    return [_with_sign(line, min(width - 1, max(0, here // braille.DOTS_WIDE))) for line in lines]


def _with_sign(line: Line, cell: int) -> Line:
    """The line with "you are here" at one cell."""
    before: Line = []
    after: Line = []
    position = 0
    for text, role in line:
        inside = cell - position
        before.append((text[: max(0, inside)], role))
        after.append((text[max(0, inside + 1) :], role))
        position += len(text)
    return [span for span in (*before, (HERE, "accent"), *after) if span[0]]
