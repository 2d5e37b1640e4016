"""What a step or an evaluation measured, as the event that goes into the log."""

from __future__ import annotations

from tui_trainer.events import EvaluationCompleted, StepCompleted
from tui_trainer.training.evaluation import Measurement, perplexity_of
from tui_trainer.training.progress import Progress
from tui_trainer.training.step import Outcome


def step_report(
    progress: Progress, epoch: int, outcome: Outcome, tokens_per_second: float, peak_memory_bytes: int
) -> StepCompleted:
    """The event of the step that was just made."""
    return StepCompleted(
        step=progress.step,
        epoch=epoch,
        tokens_seen=progress.tokens_seen,
        elapsed_seconds=round(progress.elapsed_seconds, 3),
        train_loss=outcome.loss,
        train_perplexity=perplexity_of(outcome.loss),
        train_accuracy=outcome.accuracy,
        learning_rate=outcome.learning_rate,
        grad_norm=outcome.grad_norm,
        is_clipped=outcome.is_clipped,
        tokens_per_second=tokens_per_second,
        peak_memory_bytes=peak_memory_bytes,
    )


def evaluation_report(
    progress: Progress,
    epoch: int,
    train: Measurement,
    val: Measurement,
    seconds: float,
    *,
    is_best: bool,
    is_noise: bool,
) -> EvaluationCompleted:
    """The event of the evaluation that was just made."""
    return EvaluationCompleted(
        step=progress.step,
        epoch=epoch,
        elapsed_seconds=round(progress.elapsed_seconds, 3),
        train_eval_loss=train.loss,
        train_eval_perplexity=train.perplexity,
        train_eval_accuracy=train.accuracy,
        val_loss=val.loss,
        val_perplexity=val.perplexity,
        val_accuracy=val.accuracy,
        val_bpb=val.bits_per_byte,
        is_best=is_best,
        seconds=round(seconds, 3),
        val_loss_error=val.loss_error,
        is_noise=is_noise,
    )
