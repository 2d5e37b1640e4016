"""What stands on the normal screen when everything is over."""

from __future__ import annotations

import shlex

from tui_trainer.events import RunFinished
from tui_trainer.monitor import numbers
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.safe_text import safe_line


def summary_lines(follower: RunFollower) -> list[str]:
    """Final and best losses, where the run is, and the commands to go on."""
    state = follower.state
    last, best = state.evaluation, state.best
    path = safe_line(shlex.quote(str(follower.run.path)))
    prompt = shlex.quote(next(iter(follower.config.sampling.prompts), "The "))
    lines = [
        "",
        f"{safe_line(follower.run.run_id)}: {_ending(follower)}, "
        f"step {numbers.whole(state.current_step)} of {numbers.whole(state.max_steps)}, "
        f"{numbers.duration(state.elapsed_seconds)}",
    ]
    if last:
        lines.append(
            f"  last  step {last.step:>8,}   train loss {numbers.loss(last.train_eval_loss)}"
            f"   val loss {numbers.loss(last.val_loss)}   val perplexity {numbers.perplexity(last.val_perplexity)}"
        )
    if best:
        lines.append(
            f"  best  step {best.step:>8,}   train loss {numbers.loss(best.train_eval_loss)}"
            f"   val loss {numbers.loss(best.val_loss)}   val perplexity {numbers.perplexity(best.val_perplexity)}"
        )
    lines.append(f"  run       {path}")
    if best:
        lines.append(f"  generate  tui-trainer generate {path} {safe_line(prompt)}")
    lines.append(f"  resume    tui-trainer resume {path}{_extension(follower)}")
    return lines


def _ending(follower: RunFollower) -> str:
    ended = follower.state.ended
    if isinstance(ended, RunFinished):
        return ended.reason.replace("_", " ")
    return "failed" if ended else "still training"


def _extension(follower: RunFollower) -> str:
    """A complete run can only go on further than it was meant to."""
    ended, max_steps = follower.state.ended, follower.state.max_steps
    if isinstance(ended, RunFinished) and ended.reason == "completed" and max_steps:
        return f" --set training.max_steps={2 * max_steps}"
    return ""
