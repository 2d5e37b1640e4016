"""Divergence: the training loss rises and does not come back, or steps have no finite figures at all."""

from __future__ import annotations

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.steps import Steps
from tui_trainer.diagnosis.trouble import Trouble

RULE = "divergence"
LASTING_STEPS = 5
"""A single step means nothing."""
FAR_RISE = 1.0
"""Nats: the model chooses among e times as many tokens as before."""
RECOVERED_SHARE = 0.5
"""Of the rise that raised it: what stands needs less to stay, so that it never flickers."""
REPEATED = 2
REMEDY = (
    "Lower the learning rate (학습률), keep gradient clipping at 1.0 (그래디언트 클리핑); "
    "go on from the best checkpoint, which is kept."
)


def find_divergence(steps: Steps, trouble: Trouble, raised_level: str | None = None) -> Advice | None:
    """The divergence advice for the steps so far, or None.

    Args:
        steps: the training losses.
        trouble: skipped steps and roll-backs that are not yet over.
        raised_level: the level of the advice that stands already.
    """
    if trouble.rolled_back:
        return _rolled_back(trouble)
    rise = _find_rise(steps, raised_level)
    if trouble.skipped and not (rise and rise.level == "wrong"):
        return _skipped(trouble)
    return rise


def _find_rise(steps: Steps, raised_level: str | None) -> Advice | None:
    is_lasting = max(steps.high_in_a_row, steps.rising_in_a_row) >= LASTING_STEPS
    stays = raised_level in ("warning", "wrong") and steps.rise > RECOVERED_SHARE * steps.margin
    if steps.lowest_loss is None or steps.first_loss is None or not (is_lasting or stays):
        return None
    share = RECOVERED_SHARE if raised_level == "wrong" else 1.0
    far = max(FAR_RISE, steps.margin)
    level = "wrong" if steps.rise > share * far else "warning"
    evidence = (
        f"train loss {steps.smoothed_loss:.2f} is {steps.rise:.2f} above its lowest {steps.lowest_loss:.2f} "
        f"(step {steps.lowest_step:,}); the first step had {steps.first_loss:.2f}"
    )
    values = {
        "train_loss": steps.smoothed_loss,
        "lowest_train_loss": steps.lowest_loss,
        "lowest_step": steps.lowest_step,
        "rise": steps.rise,
        "noise": steps.noise,
    }
    return Advice(RULE, level, evidence, REMEDY, values)


def _skipped(trouble: Trouble) -> Advice:
    figures = [
        f"{name} {value:.3g}" if value is not None else f"{name} not finite"
        for name, value in (("loss", trouble.train_loss), ("gradient norm", trouble.grad_norm))
    ]
    times = "once" if trouble.skipped == 1 else f"{trouble.skipped} times"
    evidence = f"the update to step {trouble.skipped_step:,} was skipped: {', '.join(figures)}; skipped {times} of late"
    level = "note" if trouble.skipped < REPEATED else "warning"
    return Advice(RULE, level, evidence, REMEDY, {"skipped": trouble.skipped, "step": trouble.skipped_step})


def _rolled_back(trouble: Trouble) -> Advice:
    evidence = (
        f"went back from step {trouble.from_step:,} to {trouble.rolled_back_step:,}: {trouble.reason}; "
        f"the learning rate is now {trouble.learning_rate_factor:g} of what was planned"
    )
    level = "warning" if trouble.rolled_back < REPEATED else "wrong"
    values = {
        "from_step": trouble.from_step,
        "step": trouble.rolled_back_step,
        "learning_rate_factor": trouble.learning_rate_factor,
        "roll_backs": trouble.rolled_back,
    }
    return Advice(RULE, level, evidence, REMEDY, values)
