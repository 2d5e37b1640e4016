"""How a run stands, in sentences."""

from __future__ import annotations

from tui_trainer.console.spoken_words import (
    about,
    duration,
    in_words,
    loss,
    percent,
    perplexity,
    rate,
    rough,
    sentence,
    whole,
)
from tui_trainer.events import AdviceRaised, EvaluationCompleted, RunFailed, RunFinished, RunPaused, SampleGenerated
from tui_trainer.monitor.controls import is_preparing_text
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.run_state import RunState
from tui_trainer.monitor.safe_text import safe_line

MAX_SAMPLE = 4000
"""Characters of a text that are shown: a log may come from anywhere."""
LEVELS = {"note": "Note", "warning": "Warning", "wrong": "Something is wrong"}
LEVEL = 0.005
"""Of the loss: who falls or rises by less is level."""
ENDINGS = {"completed": "is complete", "stopped": "was stopped", "early_stopped": "stopped early"}


def progress(follower: RunFollower) -> str:
    """Where it is, how the loss does, how long it takes."""
    state = follower.state
    text = f"{_place(state)}. {_training_loss(state)}."
    left = follower.seconds_left
    return text if left is None else f"{text} {sentence(f'{about(left)} left')}"


def evaluation(event: EvaluationCompleted, state: RunState) -> str:
    """What an evaluation measured, beside the best."""
    best = state.best
    if event.is_noise:
        beside = f" plus or minus {loss(event.val_loss_error)}, which is noise: there are too few tokens"
    elif event.is_best:
        beside = ", the best so far"
    elif best and best.step < event.step:
        beside = f", not better than {loss(best.val_loss)} at step {whole(best.step)}"
    else:
        beside = ""
    figures = f"validation loss {loss(event.val_loss)}{beside}; perplexity {perplexity(event.val_perplexity)}"
    return f"Evaluation at step {whole(event.step)}: {figures}."


def best(state: RunState) -> str:
    """The best evaluation, and whether its checkpoint can speak."""
    if state.best is None and state.evaluation and state.evaluation.is_noise:
        return "There is no best: the validation text is too short to tell. The newest checkpoint is used."
    if state.best is None:
        return "There is no evaluation yet."
    found = state.best
    figures = f"validation loss {loss(found.val_loss)}, perplexity {perplexity(found.val_perplexity)}"
    is_there = found.step == state.best_checkpoint_step
    return f"The best is step {whole(found.step)}: {figures}{'; it is saved' if is_there else ''}."


def paused(event: RunPaused, state: RunState) -> str:
    """Where it was paused, and that the step is saved; while the text is prepared there is no step."""
    if is_preparing_text(state):
        return "Paused while the text is prepared."
    return f"Paused at step {whole(event.step)}, which is saved."


def standing(follower: RunFollower) -> list[str]:
    """Everything that can be known right now."""
    state = follower.state
    if state.ended:
        return [ending(state.ended), best(state)]
    if state.started is None:
        return ["The training has not begun yet."]
    lines = [paused(state.paused, state)] if state.paused else []
    lines += [progress(follower) if state.step else f"{_place(state)}."]
    if state.evaluation:
        lines.append(evaluation(state.evaluation, state))
    if state.evaluation is not state.best:
        lines.append(best(state))
    if state.step:
        lines.append(_machinery(state))
    return lines + [advice(each) for each in follower.standing_advice]


def place(follower: RunFollower) -> list[str]:
    """Where a run stands, for somebody who comes to it: two sentences."""
    state = follower.state
    if state.ended:
        return [ending(state.ended)]
    if state.started is None:
        return ["The training has not begun yet."]
    paused = "It is paused. " if state.paused else ""
    return [paused + (progress(follower) if state.step else f"{_place(state)}."), best(state)]


def advice(event: AdviceRaised) -> str:
    """How bad, which rule, and what it saw."""
    rule = in_words(event.rule.replace("_", " "))
    return f"{LEVELS.get(event.level, 'Note')}: {rule}. {sentence(in_words(event.evidence))}"


def ending(event: RunFinished | RunFailed) -> str:
    """How it ended, and when."""
    when = f"at step {whole(event.step)} after {duration(event.elapsed_seconds)}"
    if isinstance(event, RunFailed):
        return sentence(f"The training failed {when}: {in_words(event.reason)}")
    how = ENDINGS.get(event.reason) or f"ended ({in_words(event.reason.replace('_', ' '))})"
    return sentence(f"The training {how} {when}, and is saved")


def results(state: RunState) -> list[str]:
    """What came of a run that is over for us: the best evaluation, and the last when it is another."""
    lines = [best(state)] if state.best else []
    last = state.evaluation
    if last and last is not state.best:
        lines.append(f"The last evaluation was at step {whole(last.step)}: validation loss {loss(last.val_loss)}.")
    return lines


def sample(event: SampleGenerated) -> list[str]:
    """What the model wrote when it was asked to."""
    return told_text(event.step, event.prompt + event.text)


def told_text(step: int, text: str) -> list[str]:
    """Text of a model, between two sentences that say so."""
    return [f"At step {whole(step)} the model writes:", *text_lines(text), "End of the text."]


def text_lines(text: str) -> list[str]:
    """Text of a model, line by line, without what a terminal might obey; empty lines say nothing."""
    return [safe_line(line) for line in text[:MAX_SAMPLE].split("\n") if line.strip()]


def _place(state: RunState) -> str:
    step, last = state.current_step, state.max_steps
    if not last:
        return f"Step {whole(step)}"
    return f"Step {whole(step)} of {whole(last)}, {percent(step / last)}"


def _training_loss(state: RunState) -> str:
    value = state.step.train_loss if state.step else None
    trend = _trend(state)
    return f"Training loss {loss(value)}{f', and {trend}' if trend else ''}"


def _trend(state: RunState) -> str | None:
    """How the training loss of the last evaluation does beside the one before: a single step's tells nothing."""
    losses = [event.train_eval_loss for event in state.evaluations[-2:] if event.train_eval_loss is not None]
    if len(losses) < 2:
        return None
    change = (losses[1] - losses[0]) / max(abs(losses[0]), 1e-9)
    return "level" if abs(change) < LEVEL else "falling" if change < 0 else "rising"


def _machinery(state: RunState) -> str:
    assert state.step is not None
    epoch = f"Epoch {whole(state.step.epoch)} of {whole(state.epochs)}. " if state.epochs else ""
    speed = f"{rough(state.tokens_per_second)} tokens per second"
    return f"{epoch}Learning rate {rate(state.step.learning_rate)}; {speed}."
