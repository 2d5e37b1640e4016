"""The verdict line: is it learning, and should a person do something?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui_trainer.diagnosis.early_stopping import evaluations_without_gain
from tui_trainer.diagnosis.evaluations import Evaluation, best_of


@dataclass(frozen=True)
class Verdict:
    """One line; `level` is waiting, good, note, warning or wrong. `remedy` is empty when there is nothing to do."""

    level: str
    text: str
    remedy: str = ""


def find_verdict(
    evaluations: Sequence[Evaluation],
    advice: Sequence[tuple[str, str, str]] = (),
    is_over: bool = False,
    patience: int = 0,
    min_delta: float = 0.0,
) -> Verdict:
    """Says how it goes.

    Args:
        evaluations: in the order of their steps.
        advice: (level, evidence, remedy) of what stands, worst first.
        is_over: whether the run has ended.
        patience: evaluations without a gain after which the run stops early; 0: never.
        min_delta: how much lower a validation loss must be to be a gain, in nats.
    """
    if advice:
        return Verdict(*advice[0])
    if not evaluations:
        return Verdict("waiting", "no evaluation yet")
    first, last, best = evaluations[0], evaluations[-1], best_of(evaluations)
    if len(evaluations) == 1:
        return Verdict("waiting", f"val {last.val_loss:.3f}: one evaluation so far, the next will tell")
    if is_over and last.val_loss > first.val_loss:
        text = f"val rose from {first.val_loss:.3f} to {last.val_loss:.3f}: it diverged, or learned nothing"
        return Verdict(
            "wrong", text, "Start again with a lower learning rate, for instance a tenth, and with clipping."
        )
    if is_over:
        return Verdict("good", f"val fell from {first.val_loss:.3f} to {best.val_loss:.3f}, best at step {best.step:,}")
    if patience and (without_gain := evaluations_without_gain([each.val_loss for each in evaluations], min_delta)):
        text = f"no better for {without_gain} of {patience} evaluations; at {patience} it stops"
        return Verdict("note", f"{text}: best val {best.val_loss:.3f}")
    if best is last:
        before = evaluations[-2]
        fall = before.val_loss - last.val_loss
        return Verdict("good", f"still improving: val −{fall:.3f} in {last.step - before.step:,} steps")
    return Verdict("note", f"no better for {last.step - best.step:,} steps: best val {best.val_loss:.3f}")
