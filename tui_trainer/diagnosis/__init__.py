"""What the figures of a run mean: pure rules from metric history to verdict, evidence and remedy."""

from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.overfitting import Advice, find_overfitting
from tui_trainer.diagnosis.verdict import Verdict, find_verdict

__all__ = ["Advice", "Evaluation", "Verdict", "find_overfitting", "find_verdict"]
