"""Events for the diagnosis: recorded ones, and made ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tui_trainer.diagnosis import Diagnosis
from tui_trainer.event_codec import decode
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    EvaluationCompleted,
    Event,
    RunStarted,
    SampleGenerated,
    StepCompleted,
)

RECORDINGS = Path(__file__).parent.parent / "recordings"


def recorded_events(name: str) -> list[Event]:
    """What a recorded run told, without the advice of its time."""
    records = [decode(line) for line in (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()]
    return [r.event for r in records if r and not isinstance(r.event, AdviceRaised | AdviceCleared)]


def advice_on(events: Iterable[Event], diagnosis: Diagnosis | None = None) -> list[AdviceRaised | AdviceCleared]:
    diagnosis = diagnosis or Diagnosis()
    return [advice for event in events for advice in diagnosis.take_in(event)]


def changes(advice: Iterable[AdviceRaised | AdviceCleared]) -> list[tuple[int, str, str]]:
    """(step, rule, level) of each change; what is raised again with fresh figures is none. Cleared: level ""."""
    levels: dict[str, str] = {}
    found = []
    for each in advice:
        level = each.level if isinstance(each, AdviceRaised) else ""
        if levels.get(each.rule) != level:
            found.append((each.step, each.rule, level))
        levels[each.rule] = level
    return found


def started(**changed) -> RunStarted:
    values = {
        "run_id": "test", "parameter_count": 500_000, "max_steps": 1000, "tokens_per_step": 256,
        "steps_per_epoch": 500.0, "train_tokens": 130_000, "val_tokens": 13_000, "vocab_size": 2048,
        "world_size": 1, "threads": 1, "device": "cpu", "precision": "fp32", "baseline_loss": 6.3,
    }  # fmt: skip
    return RunStarted(**values | changed)


def step(number: int, train_loss: float | None, learning_rate=1e-3, grad_norm: float | None = 2.0, **changed):
    values = {
        "step": number, "epoch": 1, "tokens_seen": 256 * number, "elapsed_seconds": 0.1 * number,
        "train_loss": train_loss, "train_perplexity": None, "train_accuracy": None, "learning_rate": learning_rate,
        "grad_norm": grad_norm, "is_clipped": True, "tokens_per_second": 1000.0, "peak_memory_bytes": 0,
    }  # fmt: skip
    return StepCompleted(**values | changed)


def evaluation(number: int, train_loss: float | None, val_loss: float | None) -> EvaluationCompleted:
    values = {
        "step": number, "epoch": 1, "elapsed_seconds": 0.1 * number, "train_eval_loss": train_loss,
        "train_eval_perplexity": None, "train_eval_accuracy": None, "val_loss": val_loss, "val_perplexity": None,
        "val_accuracy": None, "val_bpb": None, "is_best": False, "seconds": 0.1,
    }  # fmt: skip
    return EvaluationCompleted(**values)


def sample(number: int, text: str, tokens=100, quoted_tokens=0, quote="", **settings) -> SampleGenerated:
    return SampleGenerated(number, "The ", text, settings, tokens, quoted_tokens, quote)


def saved(number: int) -> CheckpointSaved:
    return CheckpointSaved(number, path="x", is_best=False, seconds=0.1)
