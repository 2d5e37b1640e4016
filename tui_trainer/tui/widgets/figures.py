"""The figures of now: of this step, and of both sides at the last evaluation."""

from __future__ import annotations

from tui_trainer.monitor import numbers
from tui_trainer.monitor.history import CLIPPED_OF
from tui_trainer.monitor.run_state import RunState
from tui_trainer.tui.lines import Line, width_of
from tui_trainer.tui.widgets.run_pane import RunPane

LABEL, COLUMN = 12, 10
GENEROUS_HEIGHT = 12
NOTICEABLE = 0.0005


class Figures(RunPane):
    """A small table; on a low screen, one line."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        state = self.follower.state if self.follower else RunState()
        if height < 6:
            return [_short(state, width)]
        at = f"at step {state.evaluation.step:,}" if state.evaluation else "at the first evaluation"
        head: Line = [
            (" " * LABEL, ""),
            ("this step".rjust(COLUMN), "label"),
            ("train".rjust(COLUMN), "train"),
            ("val".rjust(COLUMN), "val"),
        ]
        note: Line = [(" " * LABEL + f"{'':>{COLUMN}}{'both ' + at:>{2 * COLUMN}}", "quiet")]
        gap: list[Line] = [[]] if height >= GENEROUS_HEIGHT else []
        return [head, *gap, *_measured(state), note, *gap, *_machine(state), *gap, *_size(state)][:height]


def _measured(state: RunState) -> list[Line]:
    """Loss, perplexity, accuracy and bits a byte: of this step, and of both sides at the last evaluation."""
    rows = [
        ("loss", numbers.loss, "train_loss", "train_eval_loss", "val_loss"),
        ("perplexity", numbers.perplexity, "train_perplexity", "train_eval_perplexity", "val_perplexity"),
        ("accuracy", numbers.percent, "train_accuracy", "train_eval_accuracy", "val_accuracy"),
        ("bits / byte", numbers.loss, None, None, "val_bpb"),
    ]
    lines: list[Line] = []
    for label, show, of_step, of_train, of_val in rows:
        cells = (
            (state.step, of_step, "value"),
            (state.evaluation, of_train, "train"),
            (state.evaluation, of_val, "val"),
        )
        line: Line = [(label.ljust(LABEL), "label")]
        for event, field, role in cells:
            text = show(getattr(event, field, None)) if field else ""
            line.append((text.rjust(COLUMN), role))
        lines.append(line)
    lines[0] += _change(state)
    return lines


def _change(state: RunState) -> Line:
    """How the validation loss moved since the evaluation before."""
    if len(state.evaluations) < 2:
        return []
    before, now = state.evaluations[-2].val_loss, state.evaluations[-1].val_loss
    if before is None or now is None or abs(now - before) < NOTICEABLE:
        return []
    return [(f"  ▼ {before - now:.3f}", "good")] if now < before else [(f"  ▲ {now - before:.3f}", "warning")]


def _machine(state: RunState) -> list[Line]:
    step = state.step
    rate = numbers.rate(step.learning_rate if step else None)
    return [
        [("learning rate".ljust(LABEL + 2), "label"), (rate.rjust(COLUMN - 2), "value"),
         ("   grad norm ", "label"), (numbers.loss(step.grad_norm if step else None).rjust(7), "value")],
        [("clipped".ljust(LABEL), "label"), (_clipped(state).rjust(COLUMN), "value"),
         (f"   of the last {CLIPPED_OF} steps", "label")],
        [("tokens / s".ljust(LABEL), "label"), (numbers.short(state.tokens_per_second).rjust(COLUMN), "value"),
         ("   memory    ", "label"), (numbers.size(step.peak_memory_bytes if step else None).rjust(7), "value")],
    ]  # fmt: skip


def _size(state: RunState) -> list[Line]:
    """What is trained, and on what: it never changes, so it comes last."""
    started, step = state.started, state.step
    if started is None:
        return []
    seen = numbers.short(step.tokens_seen if step else None)
    return [
        [("parameters".ljust(LABEL), "label"), (numbers.short(started.parameter_count).rjust(COLUMN), "value"),
         ("   vocabulary", "label"), (numbers.whole(started.vocab_size).rjust(7), "value")],
        [("tokens seen".ljust(LABEL), "label"), (seen.rjust(COLUMN), "value"),
         (f"   on {started.device}, {started.precision}, {numbers.counted(started.threads, 'thread')}", "label")],
    ]  # fmt: skip


def _clipped(state: RunState) -> str:
    share = state.history.clipped_share
    return numbers.UNKNOWN if share is None else f"{100 * share:.0f} %"


def _short(state: RunState, width: int) -> Line:
    """The figures that matter most; on a narrow screen the last ones are left out, never cut."""
    step, evaluation = state.step, state.evaluation
    items = [
        (" train ", numbers.loss(getattr(step, "train_loss", None)).rjust(5), "train"),
        ("  val ", numbers.loss(getattr(evaluation, "val_loss", None)).rjust(5), "val"),
        ("  perplexity ", numbers.perplexity(getattr(evaluation, "val_perplexity", None)).rjust(5), "val"),
        ("  lr ", numbers.rate(getattr(step, "learning_rate", None)).rjust(6), "value"),
        ("  grad ", numbers.loss(getattr(step, "grad_norm", None)).rjust(5), "value"),
        ("  tok/s ", numbers.short(state.tokens_per_second).rjust(6), "value"),
    ]
    return _as_fits(items, width)


def _as_fits(items: list[tuple[str, str, str]], width: int) -> Line:
    line: Line = []
    for label, figure, role in items:
        longer: Line = [*line, (label, "label"), (figure, role)]
        if width_of(longer) > width:
            break
        line = longer
    return line
