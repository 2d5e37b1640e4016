"""Records as a trainer would write them, and the state that they make."""

from __future__ import annotations

from dataclasses import fields

from tui_trainer.events import AdviceRaised, CheckpointSaved, EvaluationCompleted, Record, RunStarted
from tui_trainer.monitor.run_state import RunState


def fold(records) -> RunState:
    state = RunState()
    for record in records:
        state.apply(record)
    return state


def started(**changes) -> Record:
    event = RunStarted(
        **{
            "run_id": "r",
            "parameter_count": 1000,
            "max_steps": 100,
            "tokens_per_step": 256,
            "steps_per_epoch": 50.0,
            "train_tokens": 9000,
            "val_tokens": 1000,
            "vocab_size": 512,
            "world_size": 1,
            "threads": 2,
            "device": "cpu",
            "precision": "fp32",
            **changes,
        }
    )
    return Record(0.0, 0, event)


def evaluated(step: int, val_loss: float, is_best: bool) -> Record:
    values = dict.fromkeys((field.name for field in fields(EvaluationCompleted)), 1.0)
    values |= {"step": step, "epoch": 1, "val_loss": val_loss, "is_best": is_best, "elapsed_seconds": step / 10}
    values["is_noise"] = False
    return Record(float(step), 0, EvaluationCompleted(**values))


def advice(step: int, level: str, rule: str = "overfitting") -> Record:
    return Record(float(step), 0, AdviceRaised(rule, level, f"at {step}", "rest", step, {}))


def saved(step: int, *, is_best: bool = True) -> Record:
    return Record(float(step), 0, CheckpointSaved(step, "s", is_best=is_best, seconds=1.0))
