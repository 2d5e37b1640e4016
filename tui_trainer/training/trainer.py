"""The training loop: evaluate, save, step, and again, until the last step or until somebody asks to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.batches import TrainingWindows
from tui_trainer.diagnosis import Diagnosis, has_lost_patience, is_noise_below
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    Event,
    MicroBatchReduced,
    PhaseStarted,
    RolledBack,
    StepSkipped,
)
from tui_trainer.lr_schedule import describe_change, explain_long_warmup, make_schedule
from tui_trainer.runs.status import StatusFile
from tui_trainer.training import recovery
from tui_trainer.training.device import peak_memory_bytes
from tui_trainer.training.evaluator import Evaluator
from tui_trainer.training.exactness import describe_machine
from tui_trainer.training.failures import BadState, OutOfMemory
from tui_trainer.training.full_disk import DiskSpace
from tui_trainer.training.hardware import HardwareMeter
from tui_trainer.training.interruption import ControlDesk, PauseRequested, StopRequested
from tui_trainer.training.learner import Learner, find_non_finite
from tui_trainer.training.notices import Notice
from tui_trainer.training.progress import Progress
from tui_trainer.training.reports import evaluation_report, step_report
from tui_trainer.training.resumption import EXTENSION_REMEDY
from tui_trainer.training.samples import SampleWriter
from tui_trainer.training.step import Skipped
from tui_trainer.training.stopwatch import Stopwatch
from tui_trainer.training.updater import Updater
from tui_trainer.training.wishes import meet_wishes

LEAST_LOGGED_STEPS = 50
"""Of a run, whatever `log_interval`: with fewer there would be no curve."""
LOGGED_AT_START = 5
"""The first figures, and enough steps to tell the time left."""


@dataclass
class Trainer:
    """One run in one process. Everything it needs is handed to it; everything it finds out is an event."""

    config: RunConfig
    max_steps: int
    learner: Learner
    train_windows: TrainingWindows
    updater: Updater
    evaluator: Evaluator
    samples: SampleWriter
    hardware: HardwareMeter
    store: CheckpointStore
    control: ControlDesk
    status: StatusFile
    emit: Callable[[Event], None]
    stage_config: Callable[[RunConfig], None]
    write_config: Callable[[RunConfig], None]
    text: dict[str, str]
    """Fingerprint and tokens key of the text, for the checkpoints."""
    progress: Progress
    diagnosis: Diagnosis
    stopwatch: Stopwatch
    disk: DiskSpace

    def __post_init__(self) -> None:
        self.schedule = make_schedule(self.config.training, self.max_steps)
        self.stopwatch.add(self.progress.elapsed_seconds)
        self._judged_step: int | None = None
        self._is_saved = self.store.pointer("last") == self.progress.step
        self._notices: list[str] = []
        self._first_step = self.progress.step
        self._is_noise = is_noise_below(self.evaluator.val.target_count)

    def train(self) -> str:
        """Trains to the end and returns why it ended: completed, stopped or early_stopped.

        The last complete step is saved in each case.

        Raises:
            Diverged: when going back to an earlier state did not help; the checkpoints hold finite numbers only.
            OutOfMemory: when one sequence at a time is too much; the last complete step is saved.
        """
        self.learner.model.train()
        self.disk.is_patient = True
        try:
            return self._loop()
        except StopRequested:
            self.save_last()
            return "stopped"
        except OutOfMemory:
            self.save_last()
            raise
        finally:
            self.control.close()

    def _loop(self) -> str:
        self._enter("training", self.max_steps)
        while True:
            try:
                if self.control.is_paused:
                    self._pause()
                if reason := self._advance():
                    return reason
            except PauseRequested:
                continue
            except BadState as error:
                self._roll_back(str(error))

    def _pause(self) -> None:
        """Waits at the last complete step, which is saved first: a pause may last the night."""
        self.save_last()
        self._enter("paused", None)
        self.status.update(is_paused=True)  # a stop leaves it so: who takes the run over goes on with the pause
        with self.stopwatch.held():
            self.control.wait_while_paused(self._meet_while_paused)
        self.status.update(is_paused=False)
        self._enter("training", self.max_steps)

    def _meet_while_paused(self) -> None:
        if meet_wishes(self):
            self._enter("paused", None)

    def _advance(self) -> str | None:
        """One round of the loop; says why the run is over, when it is."""
        self.control.step = self.progress.step
        if self.disk.is_short():
            self.disk.wait_for_log(self.progress.step)
            self._enter("training", self.max_steps)
        has_met = meet_wishes(self)
        is_evaluated = self._evaluation_is_due()
        is_best = is_evaluated and self.evaluate()
        is_sampled = self._samples_are_due() and self.write_samples()
        reason = self._reason_to_end()
        is_saved = is_best or self._checkpoint_is_due() or bool(reason and not self._is_saved)
        if is_saved:
            self.save(is_best=is_best)
        if self._samples_are_due():  # they were interrupted
            self.control.check()
        if not reason:
            if has_met or is_evaluated or is_sampled or is_saved:
                self._enter("training", self.max_steps)
            self._step()
        return reason

    def _reason_to_end(self) -> str | None:
        """A resumed run is judged by its next evaluation, not once more by its last."""
        training, step = self.config.training, self.progress.step
        patience, min_delta = training.early_stop_patience, training.early_stop_min_delta
        if self._judged_step == step and has_lost_patience(self.progress.val_losses, patience, min_delta):
            return "early_stopped"
        return "completed" if step >= self.max_steps else None

    def _step(self) -> None:
        """One optimizer update, or, when it is interrupted or skipped, none."""
        started = self.stopwatch.seconds
        step, batch = self.progress.step + 1, self.progress.next_batch
        outcome = self.updater.update(
            self.train_windows.batch(batch),
            self.learning_rate(step),
            self.config.training.grad_clip,
            self._check_control,
            self._note_overflow,
            self._note_smaller,
        )
        if isinstance(outcome, Skipped):
            self._pass_over(step, outcome)
            return
        self.progress.step = step
        self.progress.tokens_seen += self.config.tokens_per_step
        self._is_saved = False
        self._note_time()
        self.status.update(step=step, phase_done=step, elapsed_seconds=self.progress.elapsed_seconds)
        if self._is_logged(step):
            tokens_per_second = self.config.tokens_per_step / max(self.stopwatch.seconds - started, 1e-9)
            epoch, memory = self.train_windows.epoch_of(batch), peak_memory_bytes(self.learner.device)
            self.tell(step_report(self.progress, epoch, outcome, tokens_per_second, memory))
        if sampled := self.hardware.look(step):
            self.emit(sampled)

    def _is_logged(self, step: int) -> bool:
        """Whatever the interval, there are enough figures for the curves, and the first ones come at once."""
        interval = min(self.config.training.log_interval, max(1, self.max_steps // LEAST_LOGGED_STEPS))
        return step <= LOGGED_AT_START or step % interval == 0 or step == self.max_steps

    def learning_rate(self, step: int) -> float:
        """The planned rate, lowered by each roll-back."""
        return self.schedule(step) * self.progress.learning_rate_factor

    def _note_overflow(self, skipped: Skipped) -> None:
        step = self.progress.step + 1
        self.tell(StepSkipped(step, "overflow", skipped.loss, skipped.grad_norm, skipped.loss_scale))

    def _note_smaller(self, reason: str) -> None:
        self.progress.micro_batch_size = self.updater.micro_batch_size
        self.tell(MicroBatchReduced(self.progress.step + 1, self.updater.micro_batch_size, reason))

    def _pass_over(self, step: int, skipped: Skipped) -> None:
        """Goes on to the next batch when a loss or a gradient is not finite."""
        self.tell(StepSkipped(step, "non_finite", skipped.loss, skipped.grad_norm, skipped.loss_scale))
        self._is_saved = False
        if self.progress.note_skip() >= recovery.MAX_SKIPS:
            raise BadState(f"step {step}: {skipped}")

    def _roll_back(self, reason: str) -> None:
        """Goes back to the last checkpoint, with other batches ahead and half the rate."""
        before = self.progress.step
        self.progress = recovery.go_back(self.store, self.learner, self.progress, reason)
        self._is_saved = False
        self.tell(RolledBack(self.progress.step, before, reason, self.progress.learning_rate_factor))
        self._enter("training", self.max_steps)

    def _evaluation_is_due(self) -> bool:
        step = self.progress.step
        return self.progress.evaluated_step != step and (
            step % self.config.training.eval_interval == 0
            or step == self.max_steps
            or self.train_windows.is_epoch_end(self.progress.next_batch - 1)
        )

    def _checkpoint_is_due(self) -> bool:
        step = self.progress.step
        return not self._is_saved and (
            step % self.config.training.checkpoint_interval == 0 or step == self.schedule.stable_until
        )

    def evaluate(self) -> bool:
        """Measures both sides in the same way and says whether the validation loss is the best so far.

        Only what was planned counts for the patience: nobody ends a run early by looking often.
        """
        started, is_planned = self.stopwatch.seconds, self._evaluation_is_due()
        self._enter("evaluating", len(self.evaluator))
        train, val = self.evaluator.measure(self.learner, self._note_batch, self._note_fewer_rows)
        progress = self.progress
        if not (math.isfinite(train.loss) and math.isfinite(val.loss)):
            raise BadState(f"step {progress.step}: train loss {train.loss:g}, validation loss {val.loss:g}")
        is_best = self._is_noise or progress.best_val_loss is None or val.loss < progress.best_val_loss
        if is_best:
            progress.best_val_loss, progress.best_step = val.loss, progress.step
        progress.evaluated_step, progress.val_loss = progress.step, val.loss
        if is_planned and not self._is_noise:
            progress.val_losses.append(val.loss)
            self._judged_step = progress.step
        self._is_saved = False
        self._note_time()
        epoch = self.train_windows.epoch_of(max(1, progress.next_batch - 1))
        seconds = self.stopwatch.seconds - started
        self.tell(evaluation_report(progress, epoch, train, val, seconds, is_best=is_best, is_noise=self._is_noise))
        return is_best

    def _note_batch(self, done: int) -> None:
        self._check_control()
        self.status.update(phase_done=done)

    def _note_fewer_rows(self, reason: str) -> None:
        self.progress.evaluation_rows = self.evaluator.rows
        self.tell(MicroBatchReduced(self.progress.step, self.evaluator.rows, reason, "evaluating"))
        self._enter("evaluating", len(self.evaluator))

    def _samples_are_due(self) -> bool:
        progress = self.progress
        return bool(self.config.sampling.prompts) and progress.evaluated_step == progress.step != progress.sampled_step

    def write_samples(self) -> bool:
        """What the model writes by now; when somebody asks to stop or to pause, it is owed."""
        self._enter("sampling", None)
        samples = self.samples.write(self.learner, self.config, self.progress.step, self.control.is_interrupted)
        if samples is None:
            return False
        self.progress.sampled_step = self.progress.step
        self._is_saved = False
        for sample in samples:
            self.tell(sample)
        return True

    def save(self, *, is_best: bool) -> None:
        """Saves the state of this step.

        Raises:
            BadState: when it holds a number that is not finite; nothing is saved.
        """
        started = self.stopwatch.seconds
        self._enter("saving", None)
        progress = self.progress
        self._note_time()
        tensors = self.learner.tensors()
        if name := find_non_finite(tensors):
            raise BadState(f"step {progress.step}: {name} is not finite")
        if progress.step > progress.failed_step:
            progress.rollbacks = 0
        save = partial(
            self.store.save,
            progress.step,
            tensors,
            self._state(),
            {"val_loss": None if self._is_noise or progress.evaluated_step != progress.step else progress.val_loss},
            is_best=is_best,
            is_stable=progress.step == self.schedule.stable_until,
            keep=self.config.training.keep_checkpoints,
        )
        path = self.disk.wait_for(save, progress.step)
        self._is_saved = True
        self.tell(CheckpointSaved(progress.step, path.name, is_best, round(self.stopwatch.seconds - started, 3)))
        if progress.step > self._first_step:
            for rule in self._notices:
                self.tell(AdviceCleared(rule, progress.step))
            self._notices = []

    def _state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the tensors."""
        return {
            "progress": self.progress.as_state(),
            "scaler": self.learner.scaler_state(),
            "diagnosis": self.diagnosis.as_state(),
            "machine": describe_machine(self.learner),
            "config": self.config.model_dump(mode="json"),
            "text": self.text,
        }

    def notice(self, notice: Notice) -> None:
        """Says something about this start, or about another plan; it stands until a later step is saved."""
        self._notices.append(notice.rule)
        self._first_step = self.progress.step
        self.tell(AdviceRaised(notice.rule, "note", notice.evidence, notice.remedy, self.progress.step, {}, "start"))

    def save_last(self) -> None:
        """Saves the last complete step; when its weights are not finite, the step it goes back to."""
        if self._is_saved:
            return
        try:
            self.save(is_best=False)
        except BadState as error:
            self._roll_back(str(error))
            self.save(is_best=False)

    def go_on_with(self, config: RunConfig, max_steps: int) -> None:
        """Makes a changed configuration that of the run.

        It is saved before it is written down: a kill between the two must not have the steps since the last checkpoint
        made again under other settings.
        """
        before, self.schedule = self.schedule, make_schedule(config.training, max_steps)
        self.learner.optimizers.set_weight_decay(config.training.weight_decay)
        self.config, self.max_steps = config, max_steps
        self._is_saved = False
        self.disk.wait_for(partial(self.stage_config, config), self.progress.step)
        self.save_last()
        self.disk.wait_for(partial(self.write_config, config), self.progress.step)
        self.status.update(max_steps=max_steps)
        is_replanned = before.max_steps != max_steps
        if is_replanned and (change := describe_change(before, self.schedule, self.progress.step)):
            self.notice(Notice("schedule", change, EXTENSION_REMEDY))
        if too_long := explain_long_warmup(config.training, max_steps):
            self.notice(Notice("warmup", *too_long))

    def tell(self, event: Event) -> None:
        """Records a fact, and what it means."""
        self.emit(event)
        for advice in self.diagnosis.take_in(event):
            self.emit(advice)

    def _enter(self, phase: str, total: int | None) -> None:
        done = self.progress.step if phase == "training" else 0
        self.status.update(phase=phase, phase_done=done, phase_total=total)
        self.emit(PhaseStarted(phase, total))

    def _check_control(self) -> None:
        self.control.step = self.progress.step
        self.control.check()

    def _note_time(self) -> None:
        self.progress.elapsed_seconds = self.stopwatch.seconds
