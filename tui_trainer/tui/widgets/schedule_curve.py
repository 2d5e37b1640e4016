"""The whole planned learning rate, and where the run is on it."""

from __future__ import annotations

from tui_trainer.lr_schedule import LearningRateSchedule
from tui_trainer.monitor import numbers
from tui_trainer.monitor.history import Series
from tui_trainer.tui.chart.curves import bridge_gaps
from tui_trainer.tui.dots import BRAILLE, Canvas, Column, Curve, DotStyle
from tui_trainer.tui.lines import Line, spread
from tui_trainer.tui.widgets.run_pane import RunPane

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
        curve = draw_progress(schedule, factor, state.history.learning_rate, current, width, height - 1, self.dots)
        rate = state.step.learning_rate if state.step else schedule(current) * factor
        left: Line = [(numbers.rate(rate), "value"), (" here", "label")]
        right: Line = [("peak ", "label"), (numbers.rate(schedule.peak), "value")]
        if factor != 1.0:
            right.append((f" ×{factor:.3g}", "warning"))
        return [*curve, spread(left, right, width)]


def draw_schedule(schedule: LearningRateSchedule, width: int, height: int, style: DotStyle = BRAILLE) -> list[Line]:
    """A whole schedule, as planned, as a small curve of width × height cells."""
    planned = Curve(_planned(schedule, 1.0, width * style.wide), "train")
    return _canvas(style, width, height, [planned]).lines()


def draw_progress(
    schedule: LearningRateSchedule,
    factor: float,
    recorded: Series,
    current: int,
    width: int,
    height: int,
    style: DotStyle = BRAILLE,
) -> list[Line]:
    """The recorded rates up to step `current`, then the plan times `factor`, in width × height cells."""
    planned = _planned(schedule, factor, width * style.wide)
    share = (current - 1) / max(1, schedule.max_steps - 1)
    here = round(min(1.0, max(0.0, share)) * (len(planned) - 1))
    behind = bridge_gaps(recorded.means(len(planned), 1, schedule.max_steps)[: here + 1])
    ahead = [*[None] * here, *planned[here:]]
    canvas = _canvas(style, width, height, [Curve(ahead, "quiet"), Curve(behind, "train")])
    for row in range(canvas.height):
        canvas.put(here // style.wide, row, style.signs.cursor, "accent")
    return canvas.lines()


def _planned(schedule: LearningRateSchedule, factor: float, count: int) -> list[Column | None]:
    scale = (schedule.max_steps - 1) / max(1, count - 1)
    rates = [schedule(1 + round(column * scale)) * factor for column in range(count)]
    return [(rate, rate) for rate in rates]


def _canvas(style: DotStyle, width: int, height: int, curves: list[Curve]) -> Canvas:
    highest = max((column[1] for curve in curves for column in curve.columns if column), default=0.0)
    canvas = Canvas(style, width, max(1, height), 0.0, max(highest, LOWEST_TOP) * HEADROOM)
    for curve in curves:
        canvas.plot(curve)
    return canvas
