"""The whole planned learning rate, and where the run is on it."""

from __future__ import annotations

from tui_trainer.lr_schedule import LearningRateSchedule
from tui_trainer.monitor import numbers
from tui_trainer.monitor.history import Series
from tui_trainer.tui import braille
from tui_trainer.tui.lines import Line, spread
from tui_trainer.tui.widgets.run_pane import RunPane

HERE = "│"
HEADROOM = 1.02
LOWEST_TOP = 1e-12


class ScheduleCurve(RunPane):
    """What is behind, as it was, in the colour of train; what is ahead, as planned, quiet; a line between."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        schedule = self.follower.schedule if self.follower else None
        if self.follower is None or schedule is None:
            return []
        state = self.follower.state
        current, factor = state.current_step, state.learning_rate_factor
        curve = draw_progress(schedule, factor, state.history.learning_rate, current, width, height - 1)
        rate = state.step.learning_rate if state.step else schedule(current) * factor
        left: Line = [(numbers.rate(rate), "value"), (" here", "label")]
        right: Line = [("peak ", "label"), (numbers.rate(schedule.peak), "value")]
        if factor != 1.0:
            right.append((f" ×{factor:.3g}", "warning"))
        return [*curve, spread(left, right, width)]


def draw_schedule(schedule: LearningRateSchedule, width: int, height: int) -> list[Line]:
    """A whole schedule, as planned, as a small curve of width × height cells."""
    return _draw(width, height, [braille.Curve(_planned(schedule, 1.0, width), "train")])


def draw_progress(
    schedule: LearningRateSchedule, factor: float, recorded: Series, current: int, width: int, height: int
) -> list[Line]:
    """The recorded rates up to step `current`, then the plan times `factor`, in width × height cells."""
    planned = _planned(schedule, factor, width)
    share = (current - 1) / max(1, schedule.max_steps - 1)
    here = round(min(1.0, max(0.0, share)) * (len(planned) - 1))
    behind = braille.bridge_gaps(recorded.means(len(planned), 1, schedule.max_steps)[: here + 1])
    ahead = [*[None] * here, *planned[here:]]
    lines = _draw(width, height, [braille.Curve(ahead, "quiet"), braille.Curve(behind, "train")])
    return [_with_sign(line, here // braille.DOTS_WIDE) for line in lines]


def _planned(schedule: LearningRateSchedule, factor: float, width: int) -> list[braille.Column | None]:
    count = width * braille.DOTS_WIDE
    scale = (schedule.max_steps - 1) / max(1, count - 1)
    rates = [schedule(1 + round(column * scale)) * factor for column in range(count)]
    return [(rate, rate) for rate in rates]


def _draw(width: int, height: int, curves: list[braille.Curve]) -> list[Line]:
    highest = max((column[1] for curve in curves for column in curve.columns if column), default=0.0)
    return braille.draw(width, max(1, height), curves, 0.0, max(highest, LOWEST_TOP) * HEADROOM)


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
