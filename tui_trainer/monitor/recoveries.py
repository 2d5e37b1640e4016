"""How a trainer helped itself, in words."""

from __future__ import annotations

from tui_trainer.events import MicroBatchReduced, RolledBack, StepSkipped
from tui_trainer.monitor import numbers


def skip_text(event: StepSkipped) -> str:
    """Which update was not made, why, and what comes next."""
    if event.reason == "overflow":
        scale = "" if event.loss_scale is None else f" {event.loss_scale:g}"
        return f"step {event.step:,}   fp16 overflow, which is normal: again with loss scale{scale}"
    reason = "not finite" if event.reason == "non_finite" else event.reason
    known = [("loss", event.train_loss), ("grad norm", event.grad_norm)]
    figures = "".join(f", {name} {numbers.loss(value)}" for name, value in known if value is not None)
    return f"step {event.step:,}   {reason}{figures}: on with the next batch"


def roll_back_text(event: RolledBack) -> str:
    """From where to where, at which rate it goes on, and why."""
    rate = f"planned learning rate × {event.learning_rate_factor:g}"
    return f"from step {event.from_step:,} to step {event.step:,}   {rate}   {event.reason}"


def micro_batch_text(event: MicroBatchReduced) -> str:
    """What fits into memory from now on."""
    sequences = numbers.counted(event.micro_batch_size, "sequence")
    if event.phase == "evaluating":
        return f"{sequences} of an evaluation at once   {event.reason}"
    return f"{sequences} at once from step {event.step:,} on   {event.reason}"
