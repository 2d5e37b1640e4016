"""What the figures of a run mean: pure rules from its events to evidence and remedy."""

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.diagnosis import Diagnosis
from tui_trainer.diagnosis.early_stopping import evaluations_without_gain, has_lost_patience
from tui_trainer.diagnosis.evaluations import Evaluation, is_noise_below
from tui_trainer.diagnosis.model_size import find_model_size
from tui_trainer.diagnosis.overfitting import find_overfitting
from tui_trainer.diagnosis.verdict import Verdict, find_verdict

__all__ = [
    "Advice",
    "Diagnosis",
    "Evaluation",
    "Verdict",
    "evaluations_without_gain",
    "find_model_size",
    "find_overfitting",
    "find_verdict",
    "has_lost_patience",
    "is_noise_below",
]
