"""What the figures of a run mean: pure rules from metric history to verdict, evidence and remedy."""

from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.overfitting import Advice, find_overfitting
from tui_trainer.diagnosis.verdict import Verdict, find_verdict

__all__ = ["Advice", "Evaluation", "Verdict", "find_overfitting", "find_verdict"]


class Diagnosis:
    def take_in(self, event):
        return []

    def as_state(self):
        return {}

    @classmethod
    def from_state(cls, state):
        return cls()


def evaluations_without_gain(val_losses, min_delta):
    best, count = None, 0
    for loss in val_losses:
        if best is None or loss < best - min_delta:
            best, count = loss, 0
        else:
            count += 1
    return count
