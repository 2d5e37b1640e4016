"""What a person wishes of a run that goes on: a setting, a checkpoint, an evaluation, a sample, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_trainer.errors import UserError
from tui_trainer.events import ControlApplied
from tui_trainer.runs.control import Command
from tui_trainer.training.steering import change_setting

if TYPE_CHECKING:
    from tui_trainer.training.trainer import Trainer


def meet_wishes(trainer: Trainer) -> bool:
    """Meets what waits, at a step boundary, and answers each; says whether there was any."""
    has_met = False
    while command := trainer.control.next_wish():
        try:
            MEET[command.action](trainer, command)
        except UserError as error:
            trainer.control.discard(command, str(error))
        trainer.control.drop_wish()
        has_met = True
    return has_met


def _set(trainer: Trainer, command: Command) -> None:
    progress, before = trainer.progress, trainer.config.training.learning_rate
    config, max_steps = change_setting(trainer.config, command.value, trainer.train_windows, progress.step)
    if config.training.learning_rate != before:
        progress.learning_rate_factor = 1.0  # who sets a rate means that rate
    trainer.go_on_with(config, max_steps)
    what = (command.id, command.action, command.value, command.requested_by)
    trainer.tell(ControlApplied(*what, progress.step, max_steps, progress.learning_rate_factor))


def _save(trainer: Trainer, command: Command) -> None:
    trainer.control.acknowledge(command)
    trainer.save_last()


def _evaluate(trainer: Trainer, command: Command) -> None:
    trainer.control.acknowledge(command)
    if trainer.progress.evaluated_step != trainer.progress.step and trainer.evaluate():
        trainer.save(is_best=True)


def _sample(trainer: Trainer, command: Command) -> None:
    if not trainer.config.sampling.prompts:
        raise UserError("sampling.prompts is empty: there is nothing to go on from")
    trainer.control.acknowledge(command)
    if trainer.progress.sampled_step != trainer.progress.step and not trainer.write_samples():
        trainer.control.check()  # it was interrupted, and comes again


MEET = {"set": _set, "save": _save, "evaluate": _evaluate, "sample": _sample}
