"""Well-known values beside ours: nanoGPT's CPU experiment, the same with Muon, and the guide's small story.

    python benchmarks/values.py DATA_FOLDER [char] [fast] [verdict] [exact]

DATA_FOLDER holds tinyshakespeare.txt and the-verdict.txt, which are not part of this project. Without names all run:
about half an hour on two cores.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from tui_trainer.config import RunConfig, parse_config
from tui_trainer.events import AdviceRaised, EvaluationCompleted, Event, RunStarted, StepCompleted
from tui_trainer.model import GPT
from tui_trainer.presets import load_preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogReader
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import NewRun, ignore_directory
from tui_trainer.training.learner import Learner
from tui_trainer.training.precision import FP32
from tui_trainer.training.session import hold_session
from tui_trainer.training.step import accumulate_gradients

SEEDS = (1337, 1, 2)


def train(preset: str, text: Path, *overrides: str) -> tuple[list[Event], float]:
    """The events of a run of a preset on a text, and the seconds it took."""
    config = load_preset(preset).changed(overrides, [str(text)]).config
    with tempfile.TemporaryDirectory() as folder:
        run, started = RunDirectory(Path(folder) / "run"), time.monotonic()
        hold_session(NewRun(config, preset, run.path, "cpu"), ProgramLink(), ignore_directory)
        seconds = time.monotonic() - started
        return [record.event for record in EventLogReader(run.event_log).read(1 << 30)], seconds


def last(events: list[Event], kind: type[Event]) -> Event:
    return [event for event in events if isinstance(event, kind)][-1]


def compare_seeds(preset: str, text: Path, reference: str) -> None:
    """The full validation loss at the last step of three runs, and their mean."""
    losses = []
    for seed in SEEDS:
        events, seconds = train(preset, text, f"training.seed={seed}")
        evaluation, step = last(events, EvaluationCompleted), last(events, StepCompleted)
        losses.append(evaluation.val_loss)
        cost = f"{step.tokens_seen:,} tokens, {seconds:.0f} s"
        print(f"{preset}, seed {seed}: val {evaluation.val_loss:.4f} after {cost}", flush=True)
    print(f"{preset}: mean {statistics.mean(losses):.4f}   {reference}\n", flush=True)


def show_verdict(text: Path) -> None:
    """The guide's story: its figures are those of the training side."""
    events, seconds = train("the-verdict", text)
    steps = [event for event in events if isinstance(event, StepCompleted)]
    evaluations = [event for event in events if isinstance(event, EvaluationCompleted)]
    best = min(evaluations, key=lambda event: event.val_loss)
    total = last(events, RunStarted).max_steps
    marks = {"start (after a tenth)": total // 10, "middle (epoch 5)": total // 2, "end (epoch 10)": total}
    for (name, step), guide in zip(marks.items(), ("180, 15 %", "80, 30 %", "50, 40 %"), strict=True):
        near = min(evaluations, key=lambda event: abs(event.step - step))
        print(f"the-verdict, {name:21}: train perplexity {near.train_eval_perplexity:7.1f}, accuracy "
              f"{near.train_eval_accuracy:4.0%}   guide {guide}   (val {near.val_perplexity:,.0f})")  # fmt: skip
    raised = [event for event in events if isinstance(event, AdviceRaised) and event.rule == "overfitting"]
    told = f"raised at step {raised[0].step}, {raised[0].level}" if raised else "never raised"
    print(f"the-verdict: {len(steps)} steps in {seconds / 60:.1f} minutes   goal under 12")
    print(f"the-verdict: train perplexity {evaluations[-1].train_eval_perplexity:.1f}   goal at most 60")
    print(f"the-verdict: overfitting {told}   goal raised")
    print(f"the-verdict: best val {best.val_loss:.3f} at step {best.step}, last {evaluations[-1].val_loss:.3f}\n")


def check_exactness() -> None:
    """Gradients, AdamW and the split of a batch against plain computations, as relative differences."""
    config = parse_config({"model": {"dropout": 0.0}, "training": {"weight_decay": 0.1}}, "benchmark")
    inputs = torch.randint(2048, (8, 128), generator=torch.Generator().manual_seed(0))
    targets = inputs.roll(-1, 1)
    whole = gradients(config, lambda learner: accumulate_gradients(learner, inputs, targets, 8))
    for size in (4, 2, 1, 3):
        split = gradients(config, lambda learner, size=size: accumulate_gradients(learner, inputs, targets, size))
        print(f"gradients of 8 sequences, {size} at a time: {difference(split, whole):.1e}   reference 1.6e-7")
    plain = gradients(config, lambda learner: mean_loss(learner.model.double(), inputs, targets).backward())
    print(f"gradients in fp32 against double precision: {difference(whole, plain):.1e}")
    print(f"AdamW, ten steps, fused against torch's plain loop: {compare_adamw(config, inputs, targets):.1e}\n")


def mean_loss(model: GPT, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def gradients(config: RunConfig, work: Callable[[Learner], object]) -> torch.Tensor:
    learner = Learner.make(config, 2048, torch.device("cpu"), FP32)
    work(learner)
    return torch.cat([parameter.grad.double().flatten() for parameter in learner.model.parameters()])


def compare_adamw(config: RunConfig, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    ours, plain = (Learner.make(config, 2048, torch.device("cpu"), FP32) for _ in range(2))
    decay = config.training.weight_decay
    groups = plain.optimizers.groups
    rows = [{"params": group.parameters, "weight_decay": decay * group.decays} for group in groups]
    reference = torch.optim.AdamW(rows, lr=1e-3, betas=config.training.betas, foreach=False, fused=False)
    ours.optimizers.set_learning_rate(1e-3)
    for _ in range(10):
        for learner, optimizer in ((ours, ours.optimizers), (plain, reference)):
            learner.model.zero_grad()
            mean_loss(learner.model, inputs, targets).backward()
            optimizer.step()
    return difference(*(torch.cat([p.detach().flatten() for p in each.model.parameters()]) for each in (ours, plain)))


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm())


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or ["exact", "fast", "char", "verdict"]
    for name in names:
        if name == "exact":
            check_exactness()
        if name == "fast":
            compare_seeds("shakespeare-fast", folder / "tinyshakespeare.txt", "goal ≤ 1.88 in at most 384,000 tokens")
        if name == "char":
            nanogpt = "goal ≤ 1.90; nanoGPT: 1.874 and 1.880 on its 20-batch estimate"
            compare_seeds("shakespeare-char", folder / "tinyshakespeare.txt", nanogpt)
        if name == "verdict":
            show_verdict(folder / "the-verdict.txt")


if __name__ == "__main__":
    main()
