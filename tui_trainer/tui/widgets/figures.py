"""The figures of now: of this step, and of both sides at the last evaluation."""

from __future__ import annotations

from tui_trainer.monitor import numbers
from tui_trainer.monitor.run_state import RunState
from tui_trainer.tui.lines import Line
from tui_trainer.tui.widgets.run_pane import RunPane

LABEL, COLUMN = 12, 10
NOTICEABLE = 0.0005


class Figures(RunPane):
    """A small table; on a low screen, two lines."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        state = self.follower.state if self.follower else RunState()
        if height < 6:
            return _short(state)
        step, evaluation = state.step, state.evaluation
        at = f"at step {evaluation.step:,}" if evaluation else "not yet"
        head: Line = [
            (" " * LABEL, ""),
            ("this step".rjust(COLUMN), "label"),
            ("train".rjust(COLUMN), "train"),
            ("val".rjust(COLUMN), "val"),
        ]
        rows = [
            _row("loss", numbers.loss, step and step.train_loss, evaluation and evaluation.train_eval_loss,
                 evaluation and evaluation.val_loss, _change(state)),
            _row("perplexity", numbers.perplexity, step and step.train_perplexity,
                 evaluation and evaluation.train_eval_perplexity, evaluation and evaluation.val_perplexity),
            _row("accuracy", numbers.percent, step and step.train_accuracy,
                 evaluation and evaluation.train_eval_accuracy, evaluation and evaluation.val_accuracy),
            _row("bits / byte", numbers.loss, None, None, evaluation and evaluation.val_bpb),
        ]  # fmt: skip
        note: Line = [(" " * LABEL + "train, val: both sides in eval mode, " + at, "quiet")]
        return [head, *rows, note, *([[]] if height >= 11 else []), *_machine(state)]


def _row(
    label: str,
    show: object,
    this_step: float | None,
    train: float | None,
    val: float | None,
    change: Line | None = None,
) -> Line:
    assert callable(show)
    line: Line = [(label.ljust(LABEL), "label")]
    for value, role in ((this_step, "value"), (train, "train"), (val, "val")):
        text = show(value) if value is not None else ("" if label.startswith("bits") else numbers.UNKNOWN)
        line.append((text.rjust(COLUMN), role))
    return line + (change or [])


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
    clipped: Line = [(" clipped", "note")] if step and step.is_clipped else [("        ", "")]
    rate = numbers.rate(step.learning_rate if step else None)
    return [
        [("learning rate".ljust(LABEL + 2), "label"), (rate.rjust(COLUMN - 2), "value"),
         ("   grad norm ", "label"), (numbers.loss(step.grad_norm if step else None).rjust(7), "value"), *clipped],
        [("tokens / s".ljust(LABEL), "label"), (numbers.short(state.tokens_per_second).rjust(COLUMN), "value"),
         ("   memory    ", "label"), (numbers.size(step.peak_memory_bytes if step else None).rjust(7), "value")],
    ]  # fmt: skip


def _short(state: RunState) -> list[Line]:
    step, evaluation = state.step, state.evaluation
    val = evaluation.val_loss if evaluation else None
    return [
        [
            (" train ", "label"), (numbers.loss(step.train_loss if step else None).rjust(6), "train"),
            ("  val ", "label"), (numbers.loss(val).rjust(6), "val"),
            ("  ppl ", "label"), (numbers.perplexity(evaluation.val_perplexity if evaluation else None).rjust(6), "val"),
            ("  acc ", "label"), (numbers.percent(evaluation.val_accuracy if evaluation else None).rjust(6), "val"),
            ("  bits/byte ", "label"), (numbers.loss(evaluation.val_bpb if evaluation else None).rjust(5), "val"),
        ],
        [
            (" lr ", "label"), (numbers.rate(step.learning_rate if step else None).rjust(9), "value"),
            ("  grad ", "label"), (numbers.loss(step.grad_norm if step else None).rjust(6), "value"),
            ("  tok/s ", "label"), (numbers.short(state.tokens_per_second).rjust(7), "value"),
            ("  memory ", "label"), (numbers.size(step.peak_memory_bytes if step else None).rjust(7), "value"),
        ],
    ]  # fmt: skip
