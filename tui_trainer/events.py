"""The facts of a run: what the trainer appends to its log and everybody else reads.

How each becomes one line of JSON is `event_codec`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened, in the past tense, with plain values."""


@dataclass(frozen=True)
class RunStarted(Event):
    """The trainer is ready for its first step; `resumed_from_step` is null the first time."""

    run_id: str
    parameter_count: int
    max_steps: int
    tokens_per_step: int
    steps_per_epoch: float
    train_tokens: int
    val_tokens: int
    vocab_size: int
    world_size: int
    threads: int
    device: str
    precision: str
    resumed_from_step: int | None = None
    precision_reason: str = ""
    """Why this precision was chosen."""
    micro_batch_size: int | None = None
    """Sequences in memory at once; a step adds their gradients up to the batch."""
    baseline_loss: float | None = None
    """The validation loss, in nats a token, of a model that knows nothing but how often each token occurs."""
    parameter_groups: list[dict[str, Any]] = field(default_factory=list)
    """What the optimizer treats alike: name, optimizer, tensors, parameters, weight_decay."""
    learning_rate_factor: float = 1.0
    """What the planned learning rate is multiplied with, after roll-backs."""
    is_text_changed: bool = False
    """Whether the text is another one than before: earlier results say nothing about it."""
    base: dict[str, Any] = field(default_factory=dict)
    """The model that it goes on from, as in run.json: name, path, step, val_loss, sha256; empty: none."""


@dataclass(frozen=True)
class PhaseStarted(Event):
    """preparing_data, compiling, training, evaluating, saving, sampling or paused began; `total` units or null."""

    phase: str
    total: int | None = None


@dataclass(frozen=True)
class StepCompleted(Event):
    """One optimizer update. `train_loss` is that step's own, in nats a token."""

    step: int
    epoch: int
    tokens_seen: int
    elapsed_seconds: float
    train_loss: float | None
    train_perplexity: float | None
    train_accuracy: float | None
    learning_rate: float
    grad_norm: float | None
    is_clipped: bool
    tokens_per_second: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class StepSkipped(Event):
    """The update to `step` was not made, because its loss or gradient was not finite; `step` comes again.

    `reason` is overflow (fp16: the same batch comes again with the lower `loss_scale`) or non_finite (the next batch).
    """

    step: int
    reason: str
    train_loss: float | None
    grad_norm: float | None
    loss_scale: float | None = None


@dataclass(frozen=True)
class RolledBack(Event):
    """Weights and optimizer are again those of the checkpoint of `step`; what came after it never happened."""

    step: int
    from_step: int
    reason: str
    learning_rate_factor: float
    """What the planned learning rate is multiplied with from here on."""


@dataclass(frozen=True)
class MicroBatchReduced(Event):
    """Memory ran out: fewer sequences are in memory at once, and `step` comes again; the batch stays what it is.

    `phase` is training, or evaluating when it was an evaluation that did not fit.
    """

    step: int
    micro_batch_size: int
    reason: str
    phase: str = "training"


@dataclass(frozen=True)
class EvaluationCompleted(Event):
    """Both sides measured in eval mode, each token once. `val_bpb`: bits a byte of validation text."""

    step: int
    epoch: int
    elapsed_seconds: float
    train_eval_loss: float | None
    train_eval_perplexity: float | None
    train_eval_accuracy: float | None
    val_loss: float | None
    val_perplexity: float | None
    val_accuracy: float | None
    val_bpb: float | None
    is_best: bool
    seconds: float
    val_loss_error: float | None = None
    """The standard error of `val_loss`, in nats: how far chance alone may have moved it, if tokens were independent."""
    is_noise: bool = False
    """Whether the validation side is so small that its loss says nothing; the newest evaluation then counts as best."""


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint is on the disk and can be loaded."""

    step: int
    path: str
    is_best: bool
    seconds: float


@dataclass(frozen=True)
class SampleGenerated(Event):
    """Text the model wrote at this step: at each evaluation, and when somebody asks.

    `quote` is the longest piece of it that stands letter for letter in the training text, of `quoted_tokens` tokens.
    """

    step: int
    prompt: str
    text: str
    settings: dict[str, Any]
    tokens: int = 0
    quoted_tokens: int = 0
    quote: str = ""


@dataclass(frozen=True)
class AdviceRaised(Event):
    """A rule of `diagnosis` fired; `level` is note, warning or wrong."""

    rule: str
    level: str
    evidence: str
    remedy: str
    step: int
    values: dict[str, float]
    until: str = ""
    """"start": it is about one start of the run, so the next start, or the end, makes it void."""


@dataclass(frozen=True)
class AdviceCleared(Event):
    """What a rule warned of has passed."""

    rule: str
    step: int


@dataclass(frozen=True)
class ControlApplied(Event):
    """A command from `control/` took effect; `max_steps` and `learning_rate_factor`: as they are from here on."""

    id: str
    action: str
    value: Any
    requested_by: str
    step: int
    max_steps: int | None = None
    learning_rate_factor: float | None = None


@dataclass(frozen=True)
class ControlDiscarded(Event):
    """A command from `control/` had no effect; `reason` is at most three lines."""

    id: str
    action: str
    value: Any
    requested_by: str
    reason: str = ""


@dataclass(frozen=True)
class RunPaused(Event):
    """Somebody paused the run; its last complete step is saved."""

    step: int


@dataclass(frozen=True)
class RunResumed(Event):
    """The pause of `seconds` is over. A run that is resumed by another process writes RunStarted instead."""

    step: int
    seconds: float


@dataclass(frozen=True)
class RunMoving(Event):
    """This process saved and hands the run over to another one, whose RunStarted follows."""

    step: int
    elapsed_seconds: float


@dataclass(frozen=True)
class TerminalLost(Event):
    """The terminal hung up; the training goes on without a screen."""


@dataclass(frozen=True)
class HardwareSampled(Event):
    """How busy the machine is. CPU and GPU in per cent of all there is, memory of this process and of the machine."""

    step: int
    cpu_percent: float
    memory_bytes: int
    memory_total_bytes: int
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None


@dataclass(frozen=True)
class RunFinished(Event):
    """The run ended well: completed, stopped or early_stopped."""

    reason: str
    step: int
    elapsed_seconds: float


@dataclass(frozen=True)
class RunFailed(Event):
    """The run ended badly; `reason` is at most three lines."""

    reason: str
    step: int
    elapsed_seconds: float


EVENTS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        RunStarted,
        PhaseStarted,
        StepCompleted,
        StepSkipped,
        RolledBack,
        MicroBatchReduced,
        EvaluationCompleted,
        CheckpointSaved,
        SampleGenerated,
        AdviceRaised,
        AdviceCleared,
        ControlApplied,
        ControlDiscarded,
        RunPaused,
        RunResumed,
        RunMoving,
        TerminalLost,
        HardwareSampled,
        RunFinished,
        RunFailed,
    )
}


@dataclass(frozen=True)
class Record:
    """One line of the log: an event, when it happened (Unix seconds) and in which segment of the run."""

    time: float
    segment: int
    event: Event
