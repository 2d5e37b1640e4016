"""Everything between a configuration and the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig, TrainingConfig, to_toml
from tui_trainer.data.baseline import unigram_loss
from tui_trainer.data.batches import TrainingWindows
from tui_trainer.diagnosis import Diagnosis
from tui_trainer.errors import UserError
from tui_trainer.estimates import evaluation_batch_size
from tui_trainer.events import Event, RunStarted
from tui_trainer.lr_schedule import explain_long_warmup, settle_warmup
from tui_trainer.model.mismatches import find_mismatches
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogWriter
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.status import StatusFile
from tui_trainer.training import resumption
from tui_trainer.training.base import Base
from tui_trainer.training.evaluator import Evaluator
from tui_trainer.training.exactness import describe_machine, settle_threads
from tui_trainer.training.full_disk import DiskSpace
from tui_trainer.training.hardware import HardwareMeter
from tui_trainer.training.interruption import ControlDesk, ProgramLink
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.learner import MODEL_PREFIX, Learner
from tui_trainer.training.memory import choose_micro_batch_size
from tui_trainer.training.notices import Notice
from tui_trainer.training.precision import Precision, choose_precision
from tui_trainer.training.progress import Progress
from tui_trainer.training.resumption import Origin
from tui_trainer.training.samples import SampleWriter
from tui_trainer.training.steering import plan_steps
from tui_trainer.training.stopwatch import Stopwatch
from tui_trainer.training.text import Text, prepare_text
from tui_trainer.training.trainer import Trainer
from tui_trainer.training.updater import Updater


@dataclass
class Plan:
    """What is settled before anything large is made."""

    config: RunConfig
    max_steps: int
    text: Text
    windows: TrainingWindows
    progress: Progress
    origin: Origin | None
    base: Base | None
    given_notices: list[Notice]
    wanted: TrainingConfig
    """As it was asked for: the warm-up may be longer than the run."""

    @property
    def vocab_size(self) -> int:
        """Tokens in the vocabulary."""
        return self.text.tokenizer.vocab_size

    def notices(self) -> list[Notice]:
        """What is to be said about this start."""
        base = self.base
        of_base = [*base.notices, *base.explain_context(self.config.model.context_length)] if base else []
        of_start = self.origin.notices if self.origin else []
        warmup = explain_long_warmup(self.wanted, self.max_steps)
        of_plan = [Notice("warmup", *warmup)] if warmup else []
        return [*self.given_notices, *of_start, *of_plan, *of_base, *self.text.notices]


def prepare_trainer(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    device: torch.device,
    link: ProgramLink,
    status: StatusFile,
    log: EventLogWriter,
    stopwatch: Stopwatch,
    base: Base | None = None,
    notices: list[Notice] | None = None,
) -> Trainer:
    """A trainer that is ready for its first step, announced as RunStarted.

    A new run with a base has its configuration and its tokenizer already; its weights are taken here. `notices` is
    what else is to be said about this start.

    Raises:
        UserError: for data or a checkpoint that cannot be used, and for a run that is over.
        StopRequested: when it was stopped meanwhile.
    """
    control = ControlDesk(run.control, link, log.append)
    store = CheckpointStore(run.checkpoints)
    store.clean()
    plan = _settle(run, request, store, control, status, log.append, base, notices or [])
    config, progress, text, origin = plan.config, plan.progress, plan.text, plan.origin
    _settle_sizes(plan, device)
    learner = _make_learner(run, plan, device)
    context_length, lengths = config.model.context_length, text.tokenizer.token_byte_lengths
    trainer = Trainer(
        config=config,
        max_steps=plan.max_steps,
        learner=learner,
        train_windows=plan.windows,
        updater=Updater(learner, progress.micro_batch_size),
        evaluator=Evaluator(text.split, context_length, progress.evaluation_rows, lengths),
        samples=SampleWriter(text.tokenizer, text.split.train),
        hardware=HardwareMeter(device),
        store=store,
        control=control,
        status=status,
        emit=log.append,
        stage_config=partial(stage_config, run),
        write_config=lambda changed: write_config(run, changed),
        text={"data_fingerprint": text.split.fingerprint, "tokens": text.key},
        progress=progress,
        diagnosis=Diagnosis.from_state(origin.diagnosis) if origin else Diagnosis(),
        stopwatch=stopwatch,
        disk=DiskSpace(run, log, status, control, stopwatch),
    )
    _announce(run, trainer, plan)
    if origin and origin.is_changed:
        # Before what it was changed for is written down and looks like no change any more.
        stage_config(run, config)
        trainer.save(is_best=False)
    # From here on the run goes on: what was changed for this start also holds for the next one.
    write_config(run, config)
    text.remember(run, device=learner.device.type, precision=learner.precision.name)
    control.is_paused |= isinstance(request, ResumedRun) and request.is_paused
    status.update(state="running", step=progress.step, max_steps=plan.max_steps)
    return trainer


def _settle(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    store: CheckpointStore,
    control: ControlDesk,
    status: StatusFile,
    emit: Callable[[Event], None],
    base: Base | None,
    notices: list[Notice],
) -> Plan:
    """From where, on which text and how far; whatever is to be refused is refused here."""
    progress, origin = Progress(), None
    if isinstance(request, ResumedRun):
        origin = resumption.load_origin(store)
        config = resumption.follow_config(run, origin, request.config, is_data_free=request.allow_changed_data)
        request, progress = replace(request, config=config), origin.progress
        resumption.refuse_if_over(run, config, progress, config.training.max_steps)
    config, control.step = request.config, progress.step
    text = prepare_text(run, request, origin, control, status, emit)
    windows = TrainingWindows(
        text.split.train, config.model.context_length, config.stride, config.training.batch_size, config.training.seed
    )
    max_steps = plan_steps(config, windows)
    if origin:
        resumption.refuse_if_over(run, config, progress, max_steps)
        before = origin.config or run.read_config()
        origin = resumption.follow_plan(store, origin, (before, plan_steps(before, windows)), (config, max_steps))
        origin = resumption.accept_changed_text(origin) if text.is_changed else origin
        progress = origin.progress
    plan = _with_warmup(config, max_steps)
    return Plan(plan, max_steps, text, windows, progress, origin, base, notices, config.training)


def stage_config(run: RunDirectory, config: RunConfig) -> None:
    """Writes a changed configuration beside the present one, before it is saved in a checkpoint."""
    replace_file(run.next_config_file, to_toml(config).encode())


def write_config(run: RunDirectory, config: RunConfig) -> None:
    """Makes a configuration that of the run."""
    replace_file(run.config_file, to_toml(config).encode())
    run.next_config_file.unlink(missing_ok=True)


def _with_warmup(config: RunConfig, max_steps: int) -> RunConfig:
    """The configuration with its warm-up spelled out, so that a longer plan does not change it."""
    warmup = {"warmup_steps": min(settle_warmup(config.training, max_steps), max_steps)}
    return config.model_copy(update={"training": config.training.model_copy(update=warmup)})


def _make_learner(run: RunDirectory, plan: Plan, device: torch.device) -> Learner:
    """Network and optimizers: drawn from the seed, from a base, or as the checkpoint has them, randomness and all."""
    origin = plan.origin
    if origin:
        settle_threads(origin.checkpoint.state.get("machine", {}).get("threads"))
        _refuse_other_weights(run, plan, origin)
    learner = Learner.make(plan.config, plan.vocab_size, device, _settle_precision(run, plan.config, device))
    if plan.base:
        learner.model.load_state_dict(plan.base.take_weights(plan.config.model.context_length))
    if origin:
        learner.load(origin.checkpoint.tensors, origin.checkpoint.state.get("scaler", {}))
        resumption.note_machine(origin, describe_machine(learner))
    return learner


def _refuse_other_weights(run: RunDirectory, plan: Plan, origin: Origin) -> None:
    """Raises UserError when [model] was changed meanwhile."""
    tensors = origin.checkpoint.tensors.items()
    weights = {name.removeprefix(MODEL_PREFIX): tensor for name, tensor in tensors if name.startswith(MODEL_PREFIX)}
    if mismatches := find_mismatches(plan.config.model, plan.vocab_size, weights):
        raise UserError(
            f"{run.config_file}: [model] does not describe the weights of step {origin.checkpoint.step:,}\n"
            f"{'; '.join(mismatches[:5])}\n"
            "put the old values back, or start a new run with tui-trainer train"
        )


def _settle_precision(run: RunDirectory, config: RunConfig, device: torch.device) -> Precision:
    """What was chosen at the first start holds for each resume on the same kind of device."""
    before = run.describe()
    precision = choose_precision(config.training.precision, device)
    is_settled = config.training.precision == "auto" and before.get("device") == device.type and "precision" in before
    if is_settled and before["precision"] != precision.name:
        return Precision(str(before["precision"]), "as at the start of this run")
    return precision


def _settle_sizes(plan: Plan, device: torch.device) -> None:
    """How much is in memory at once: sums are cut there, so a resume keeps what the first start decided."""
    progress, config = plan.progress, plan.config
    progress.micro_batch_size = progress.micro_batch_size or choose_micro_batch_size(config, plan.vocab_size, device)
    progress.evaluation_rows = progress.evaluation_rows or evaluation_batch_size(config, plan.vocab_size)


def _announce(run: RunDirectory, trainer: Trainer, plan: Plan) -> None:
    """The run is ready; what is to be said about its start follows."""
    trainer.tell(_started(run, trainer, plan.text, plan.origin))
    for notice in plan.notices():
        trainer.notice(notice)


def _started(run: RunDirectory, trainer: Trainer, text: Text, origin: Origin | None) -> RunStarted:
    learner, split = trainer.learner, text.split
    return RunStarted(
        run_id=run.run_id,
        parameter_count=sum(parameter.numel() for parameter in learner.model.parameters()),
        max_steps=trainer.max_steps,
        tokens_per_step=trainer.config.tokens_per_step,
        steps_per_epoch=trainer.train_windows.steps_per_epoch,
        train_tokens=len(split.train),
        val_tokens=len(split.val),
        vocab_size=text.tokenizer.vocab_size,
        world_size=1,
        threads=torch.get_num_threads(),
        device=str(learner.device),
        precision=learner.precision.name,
        resumed_from_step=trainer.progress.step if origin else None,
        precision_reason=learner.precision.reason,
        micro_batch_size=trainer.progress.micro_batch_size,
        baseline_loss=unigram_loss(split.train, split.val, text.tokenizer.vocab_size),
        parameter_groups=[group.describe(trainer.config.training.weight_decay) for group in learner.optimizers.groups],
        learning_rate_factor=trainer.progress.learning_rate_factor,
        is_text_changed=text.is_changed,
        base=_base_of(run),
    )


def _base_of(run: RunDirectory) -> dict[str, Any]:
    base = run.describe().get("base")
    return base if isinstance(base, dict) else {}
