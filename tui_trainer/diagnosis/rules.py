"""All rules, asked about one history."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tui_trainer.diagnosis import learning_rate
from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.divergence import RULE as DIVERGENCE
from tui_trainer.diagnosis.divergence import find_divergence
from tui_trainer.diagnosis.generalization_gap import RULE as GENERALIZATION_GAP
from tui_trainer.diagnosis.generalization_gap import find_generalization_gap
from tui_trainer.diagnosis.gradient_norm import RULE as GRADIENT_NORM
from tui_trainer.diagnosis.gradient_norm import find_growing_gradients
from tui_trainer.diagnosis.history import History
from tui_trainer.diagnosis.memorization import RULE as MEMORIZATION
from tui_trainer.diagnosis.memorization import find_memorization
from tui_trainer.diagnosis.model_size import RULE as MODEL_SIZE
from tui_trainer.diagnosis.model_size import find_model_size
from tui_trainer.diagnosis.overfitting import RULE as OVERFITTING
from tui_trainer.diagnosis.overfitting import find_overfitting
from tui_trainer.diagnosis.plateau import RULE as PLATEAU
from tui_trainer.diagnosis.plateau import find_plateau
from tui_trainer.diagnosis.repetition import RULE as REPETITION
from tui_trainer.diagnosis.repetition import find_repetition
from tui_trainer.diagnosis.validation_noise import RULE as VALIDATION_NOISE
from tui_trainer.diagnosis.validation_noise import find_noisy_validation

Rule = Callable[[History, str | None], Advice | None]
"""A history and the level of the advice that stands already, to what holds now."""


RULES: Mapping[str, Rule] = {
    DIVERGENCE: lambda run, level: find_divergence(run.moment.steps, run.moment.trouble, level),
    learning_rate.HIGH_RULE: lambda run, level: learning_rate.find_high_learning_rate(
        run.evaluations, run.facts.max_steps, run.facts.baseline_loss, level
    ),
    VALIDATION_NOISE: lambda run, _: find_noisy_validation(run.evaluations, run.facts.val_tokens),
    GRADIENT_NORM: lambda run, level: find_growing_gradients(run.evaluations, level),
    OVERFITTING: lambda run, level: find_overfitting(run.evaluations, level),
    MEMORIZATION: lambda run, level: find_memorization(run.moment.samples, run.evaluations, level),
    GENERALIZATION_GAP: lambda run, level: find_generalization_gap(run.evaluations, level),
    learning_rate.LOW_RULE: lambda run, level: learning_rate.find_low_learning_rate(
        run.evaluations, run.facts.max_steps, run.facts.baseline_loss, level
    ),
    PLATEAU: lambda run, level: find_plateau(run.evaluations, run.facts.max_steps, run.facts.baseline_loss, level),
    REPETITION: lambda run, level: find_repetition(run.moment.samples, run.facts.max_steps, level),
    MODEL_SIZE: lambda run, _: find_model_size(run.facts.parameter_count, run.facts.train_tokens, run.facts.epochs),
}
"""In the order in which a person should read what they raise together."""
