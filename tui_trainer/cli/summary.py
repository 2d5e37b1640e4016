"""What stands on the normal screen when everything is over."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from pathlib import Path

from tui_trainer.events import RunFinished
from tui_trainer.monitor import numbers
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.safe_text import safe_line


def summary_lines(follower: RunFollower) -> list[str]:
    """Final and best losses, where the run is, and the commands to go on.

    Of a long run whose history is not read yet, the best loss is that of the checkpoint.
    """
    state = follower.state
    last, best = state.evaluation, state.best
    lines = [
        "",
        f"{follower.run.run_id}: {_ending(follower)}, "
        f"step {numbers.whole(state.current_step)} of {numbers.whole(state.max_steps)}, "
        f"{numbers.duration(state.elapsed_seconds)}",
    ]
    if last:
        lines.append(
            f"  last evaluation  step {last.step:>8,}   train loss {numbers.loss(last.train_eval_loss)}"
            f"   val loss {numbers.loss(last.val_loss)}   val perplexity {numbers.perplexity(last.val_perplexity)}"
        )
    if best:
        lines.append(
            f"  best evaluation  step {best.step:>8,}   train loss {numbers.loss(best.train_eval_loss)}"
            f"   val loss {numbers.loss(best.val_loss)}   val perplexity {numbers.perplexity(best.val_perplexity)}"
        )
    elif not (last and last.is_noise) and (best_loss := follower.run.best_metrics().get("val_loss")) is not None:
        lines.append(f"  best checkpoint                                      val loss {numbers.loss(best_loss)}")
    lines.append(f"  run       {shlex.quote(str(follower.run.path))}")
    lines += [f"  {name:<8}  {command}" for name, command in ways_on(follower).items()]
    return [safe_line(line) for line in lines]


def ways_on(follower: RunFollower) -> dict[str, str]:
    """What can be done with a run next: the command of each of generate, compare, attach, resume that makes sense."""
    program, path = program_name(), shlex.quote(str(follower.run.path))
    prompt = next(iter(follower.config.sampling.prompts), "The ")
    # A prompt with a line end cannot be typed on one line; `generate` takes the same one when it is given none.
    argument = f" {shlex.quote(prompt)}" if prompt.isprintable() else ""
    has_best = follower.state.best or follower.run.best_metrics()
    ways = {"generate": f"{program} generate {path}{argument}"} if has_best else {}
    if ways and follower.state.started and follower.state.started.base:
        ways["compare"] = f"{program} compare {path}"
    if judge(follower.status, time.time()) in (Liveness.ALIVE, Liveness.STALE):
        return ways | {"attach": f"{program} attach {path}"}
    return ways | {"resume": f"{program} resume {path}{_extension(follower)}"}


def program_name() -> str:
    """How this program can be called again from the same place: by its name only if the shell would find it."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m tui_trainer"
    found = shutil.which(called.name)
    is_on_path = found is not None and Path(found).resolve() == called.resolve()
    return called.name if is_on_path else shlex.quote(str(called))


def _ending(follower: RunFollower) -> str:
    ended = follower.state.ended
    if isinstance(ended, RunFinished):
        return ended.reason.replace("_", " ")
    return "failed" if ended else "still training"


def _extension(follower: RunFollower) -> str:
    """What a run that came to its own end needs to go on: more steps, or patience."""
    ended, max_steps = follower.state.ended, follower.state.max_steps
    if isinstance(ended, RunFinished) and ended.reason == "completed" and max_steps:
        return f" --set training.max_steps={2 * max_steps}"
    if isinstance(ended, RunFinished) and ended.reason == "early_stopped":
        return " --set training.early_stop_patience=0"
    return ""
