"""The training loop: evaluate, save, step, and again, until the last step or until somebody asks to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.batches import EvaluationWindows, TrainingWindows
from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.diagnosis import Evaluation, find_overfitting
from tui_trainer.diagnosis.overfitting import RULE as OVERFITTING
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    EvaluationCompleted,
    Event,
    PhaseStarted,
    StepCompleted,
)
from tui_trainer.lr_schedule import LearningRateSchedule
from tui_trainer.model import GPT
from tui_trainer.runs.status import StatusFile
from tui_trainer.training import random_state
from tui_trainer.training.device import peak_memory_bytes
from tui_trainer.training.evaluation import Measurement, evaluate, perplexity_of
from tui_trainer.training.failures import Diverged
from tui_trainer.training.interruption import ControlDesk, StopRequested
from tui_trainer.training.progress import Progress
from tui_trainer.training.state import find_non_finite, state_tensors
from tui_trainer.training.step import Outcome, update

CHECKPOINT_RULE = "checkpoint"
"""The advice that a damaged checkpoint raises and the next save clears."""


@dataclass
class Trainer:
    """One run in one process. Everything it needs is handed to it; everything it finds out is an event."""

    config: RunConfig
    model: GPT
    optimizer: torch.optim.Optimizer
    schedule: LearningRateSchedule
    train_windows: TrainingWindows
    train_eval_windows: EvaluationWindows
    val_windows: EvaluationWindows
    tokenizer: Tokenizer
    precision: str
    store: CheckpointStore
    control: ControlDesk
    status: StatusFile
    emit: Callable[[Event], None]
    progress: Progress

    @property
    def max_steps(self) -> int:
        """The last step of the run."""
        return self.schedule.max_steps

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.wte.weight.device

    def train(self) -> str:
        """Trains to the end and returns why it ended: completed, stopped or early_stopped.

        The last complete step is saved in each case.

        Raises:
            Diverged: when a loss, gradient or weight is not finite; nothing of that step is kept or saved.
        """
        self.model.train()
        self._started = time.monotonic() - self.progress.elapsed_seconds
        self._is_saved = self.store.pointer("last") == self.progress.step
        try:
            reason = self._loop()
        except StopRequested:
            reason = "stopped"
        if not self._is_saved:
            self._save(is_best=False)
        return reason

    def _loop(self) -> str:
        self._enter("training", self.max_steps)
        while True:
            is_evaluated = self._evaluation_is_due()
            is_best = is_evaluated and self._evaluate()
            if is_best or self._checkpoint_is_due():
                self._save(is_best=is_best)
                self._enter("training", self.max_steps)
            elif is_evaluated:
                self._enter("training", self.max_steps)
            if self.progress.has_lost_patience(self.config.training.early_stop_patience):
                return "early_stopped"
            if self.progress.step >= self.max_steps:
                return "completed"
            self._step()

    def _step(self) -> None:
        """One optimizer update, or, when interrupted, nothing at all."""
        started = time.monotonic()
        before = random_state.capture(self.device)
        try:
            outcome = self._update(self.progress.step + 1)
        except StopRequested:
            random_state.restore(before, self.device)
            raise
        self.progress.step += 1
        self.progress.tokens_seen += self.config.tokens_per_step
        self._is_saved = False
        self._note_time()
        self.status.update(
            step=self.progress.step, phase_done=self.progress.step, elapsed_seconds=self.progress.elapsed_seconds
        )
        if self.progress.step % self.config.training.log_interval == 0 or self.progress.step == self.max_steps:
            self._report(outcome, time.monotonic() - started)

    def _update(self, step: int) -> Outcome:
        try:
            return update(
                self.model,
                self.optimizer,
                self.train_windows.batch(step),
                self.schedule(step),
                self.config,
                self.precision,
                self._control_check,
            )
        except Diverged as error:
            raise Diverged(f"step {step}: {error}") from error

    def _evaluation_is_due(self) -> bool:
        step = self.progress.step
        return self.progress.evaluated_step != step and (
            step % self.config.training.eval_interval == 0
            or step == self.max_steps
            or self.train_windows.is_epoch_end(step)
        )

    def _checkpoint_is_due(self) -> bool:
        return not self._is_saved and self.progress.step % self.config.training.checkpoint_interval == 0

    def _evaluate(self) -> bool:
        """Measures both sides in the same way and says whether the validation loss is the best so far."""
        started = time.monotonic()
        self._enter("evaluating", len(self.train_eval_windows) + len(self.val_windows))
        train, val = (
            self._measure(self.train_eval_windows, 0),
            self._measure(self.val_windows, len(self.train_eval_windows)),
        )
        progress = self.progress
        if not (math.isfinite(train.loss) and math.isfinite(val.loss)):
            raise Diverged(f"step {progress.step}: train loss {train.loss:g}, validation loss {val.loss:g}")
        is_best = progress.best_val_loss is None or val.loss < progress.best_val_loss
        if is_best:
            progress.best_val_loss, progress.best_step = val.loss, progress.step
        self._count_patience(val.loss)
        progress.evaluated_step = progress.step
        progress.evaluations.append((progress.step, train.loss, val.loss))
        self._is_saved = False
        self._note_time()
        self.emit(self._evaluation_event(train, val, is_best, time.monotonic() - started))
        self._diagnose()
        return is_best

    def _measure(self, windows: EvaluationWindows, done: int) -> Measurement:
        def between_batches() -> None:
            nonlocal done
            self._control_check()
            done += 1
            self.status.update(phase_done=done)

        return evaluate(self.model, windows, self.tokenizer.token_byte_lengths, self.precision, between_batches)

    def _count_patience(self, val_loss: float) -> None:
        progress, enough = self.progress, self.config.training.early_stop_min_delta
        if progress.patience_val_loss is None or val_loss < progress.patience_val_loss - enough:
            progress.patience_val_loss, progress.evaluations_without_gain = val_loss, 0
        else:
            progress.evaluations_without_gain += 1

    def _diagnose(self) -> None:
        """Raises advice, with fresh figures while it stands, or clears it."""
        history = [Evaluation(*evaluation) for evaluation in self.progress.evaluations]
        raised = self.progress.raised_levels
        advice = find_overfitting(history, raised.get(OVERFITTING))
        if advice:
            raised[OVERFITTING] = advice.level
            self.emit(
                AdviceRaised(
                    advice.rule, advice.level, advice.evidence, advice.remedy, self.progress.step, advice.values
                )
            )
        elif raised.pop(OVERFITTING, None):
            self.emit(AdviceCleared(OVERFITTING, self.progress.step))

    def _save(self, *, is_best: bool) -> None:
        started = time.monotonic()
        self._enter("saving", None)
        progress = self.progress
        self._note_time()
        tensors = state_tensors(self.model, self.optimizer)
        if name := find_non_finite(tensors):
            raise Diverged(f"step {progress.step}: {name} is not finite")
        metrics = {"val_loss": progress.best_val_loss if is_best else self._last_val_loss()}
        path = self.store.save(
            progress.step,
            tensors,
            {"progress": progress.as_state(), "threads": torch.get_num_threads()},
            metrics,
            is_best=is_best,
            keep=self.config.training.keep_checkpoints,
        )
        self._is_saved = True
        self.emit(CheckpointSaved(progress.step, path.name, is_best, round(time.monotonic() - started, 3)))
        if progress.raised_levels.pop(CHECKPOINT_RULE, None):
            self.emit(AdviceCleared(CHECKPOINT_RULE, progress.step))

    def _last_val_loss(self) -> float | None:
        """The validation loss of exactly these weights, or None when they were not evaluated."""
        if self.progress.evaluated_step != self.progress.step or not self.progress.evaluations:
            return None
        return self.progress.evaluations[-1][2]

    def _control_check(self) -> None:
        self.control.step = self.progress.step
        self.control.check()

    def _note_time(self) -> None:
        self.progress.elapsed_seconds = time.monotonic() - self._started

    def _enter(self, phase: str, total: int | None) -> None:
        done = self.progress.step if phase == "training" else 0
        self.status.update(phase=phase, phase_done=done, phase_total=total)
        self.emit(PhaseStarted(phase, total))

    def _report(self, outcome: Outcome, seconds: float) -> None:
        progress = self.progress
        self.emit(
            StepCompleted(
                step=progress.step,
                epoch=self.train_windows.epoch_of(progress.step),
                tokens_seen=progress.tokens_seen,
                elapsed_seconds=round(progress.elapsed_seconds, 3),
                train_loss=outcome.loss,
                train_perplexity=perplexity_of(outcome.loss),
                train_accuracy=outcome.accuracy,
                learning_rate=outcome.learning_rate,
                grad_norm=outcome.grad_norm,
                is_clipped=outcome.is_clipped,
                tokens_per_second=self.config.tokens_per_step / max(seconds, 1e-9),
                peak_memory_bytes=peak_memory_bytes(self.device),
            )
        )

    def _evaluation_event(
        self, train: Measurement, val: Measurement, is_best: bool, seconds: float
    ) -> EvaluationCompleted:
        progress = self.progress
        return EvaluationCompleted(
            step=progress.step,
            epoch=self.train_windows.epoch_of(max(1, progress.step)),
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
        )
