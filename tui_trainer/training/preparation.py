"""Everything between a configuration and the first step."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch

from tui_trainer.checkpoints import Checkpoint, CheckpointStore
from tui_trainer.config import RunConfig, to_toml
from tui_trainer.data.batches import EvaluationWindows, TrainingWindows, check_lengths
from tui_trainer.data.corpus import open_corpus
from tui_trainer.data.tokenizers import Tokenizer, load_tokenizer
from tui_trainer.data.tokens import TokenSplit, prepare_tokens
from tui_trainer.errors import UserError
from tui_trainer.estimates import evaluation_batch_size
from tui_trainer.events import AdviceRaised, Event, PhaseStarted, RunStarted
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.model import GPT
from tui_trainer.presets import DEFAULT_EPOCHS
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.status import StatusFile
from tui_trainer.training.device import choose_precision
from tui_trainer.training.interruption import ControlDesk, StopSwitch
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.optimizer import make_optimizer
from tui_trainer.training.progress import Progress
from tui_trainer.training.state import load_state_tensors
from tui_trainer.training.trainer import CHECKPOINT_RULE, Trainer

MAX_TRAIN_EVAL_WINDOWS = 256
"""Enough windows for a steady figure of the train side; the validation side is always measured whole."""


def prepare_trainer(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    device: torch.device,
    switch: StopSwitch,
    status: StatusFile,
    emit: Callable[[Event], None],
) -> Trainer:
    """A trainer that is ready for its first step, announced as RunStarted.

    Raises:
        UserError: for data or a checkpoint that cannot be used, and for a run that is over.
        StopRequested: when it was stopped meanwhile.
    """
    config, is_resumed = request.config, isinstance(request, ResumedRun)
    store = CheckpointStore(run.checkpoints)
    store.clean()
    checkpoint = store.load("last", repair=True) if is_resumed else None
    progress = Progress.from_state(checkpoint.state["progress"]) if checkpoint else Progress()
    _refuse_if_over(run, config, progress, config.training.max_steps)  # before the text is read, where it is known
    control = ControlDesk(run.control, switch, emit, progress.step)
    tokenizer, split = _prepare_data(run, config, is_resumed, control, status, emit)
    train_windows = TrainingWindows(
        split.train, config.model.context_length, config.stride, config.training.batch_size, config.training.seed
    )
    max_steps = config.training.max_steps or train_windows.steps_for(config.training.epochs or DEFAULT_EPOCHS)
    _refuse_if_over(run, config, progress, max_steps)
    model, optimizer = _make_model(run, config, tokenizer.vocab_size, device, checkpoint)
    precision = _settle_precision(run, config, device)
    if checkpoint:
        _accept_resume(run, config, checkpoint, progress, emit)
    rows = evaluation_batch_size(config, tokenizer.vocab_size)
    trainer = Trainer(
        config=config,
        model=model,
        optimizer=optimizer,
        schedule=make_schedule(config.training, max_steps),
        train_windows=train_windows,
        train_eval_windows=EvaluationWindows(split.train, config.model.context_length, rows, MAX_TRAIN_EVAL_WINDOWS),
        val_windows=EvaluationWindows(split.val, config.model.context_length, rows),
        tokenizer=tokenizer,
        precision=precision,
        store=store,
        control=control,
        status=status,
        emit=emit,
        progress=progress,
    )
    emit(_started(run, trainer, split, is_resumed))
    status.update(state="running", step=progress.step, max_steps=max_steps)
    return trainer


def _refuse_if_over(run: RunDirectory, config: RunConfig, progress: Progress, max_steps: int | None) -> None:
    # A run that was stopped within its last evaluation still owes that one.
    if max_steps and (progress.step > max_steps or progress.step == max_steps == progress.evaluated_step):
        raise UserError(
            f"{run.path}: complete at step {progress.step:,} of {max_steps:,}\n"
            f"to go on: tui-trainer resume {run.path} --set training.max_steps={progress.step * 2}"
        )
    if progress.has_lost_patience(config.training.early_stop_patience):
        raise UserError(
            f"{run.path}: stopped early at step {progress.step:,}: "
            f"{progress.evaluations_without_gain} evaluations without a better validation loss\n"
            f"to go on: tui-trainer resume {run.path} --set training.early_stop_patience=0"
        )


def _make_model(
    run: RunDirectory, config: RunConfig, vocab_size: int, device: torch.device, checkpoint: Checkpoint | None
) -> tuple[GPT, torch.optim.Optimizer]:
    """Model and optimizer: drawn from the seed, or as the checkpoint has them, with its threads and randomness."""
    if checkpoint:
        torch.set_num_threads(int(checkpoint.state["threads"]))
    torch.manual_seed(config.training.seed)
    model = GPT(config.model, vocab_size).to(device)
    optimizer = make_optimizer(model, config.training)
    if checkpoint:
        try:
            load_state_tensors(model, optimizer, checkpoint.tensors)
        except RuntimeError as error:
            raise UserError(
                f"{run.config_file}: [model] does not describe the weights of step {checkpoint.step:,}\n"
                "put the old values back, or start a new run with tui-trainer train"
            ) from error
    return model, optimizer


def _settle_precision(run: RunDirectory, config: RunConfig, device: torch.device) -> str:
    """What was chosen at the first start holds for each resume on the same kind of device."""
    manifest = run.describe()
    precision = choose_precision(config.training.precision, device)
    if config.training.precision == "auto" and manifest.get("device") == device.type:
        precision = str(manifest.get("precision", precision))
    replace_file(
        run.manifest, json.dumps(manifest | {"device": device.type, "precision": precision}, indent=2).encode()
    )
    return precision


def _accept_resume(
    run: RunDirectory, config: RunConfig, checkpoint: Checkpoint, progress: Progress, emit: Callable[[Event], None]
) -> None:
    """From here on the run goes on: what was changed for this resume also holds for the next one."""
    replace_file(run.config_file, to_toml(config).encode())
    if checkpoint.warning:
        progress.raised_levels[CHECKPOINT_RULE] = "warning"
        remedy = "It goes on from the one before; the next save replaces it."
        emit(AdviceRaised(CHECKPOINT_RULE, "warning", checkpoint.warning, remedy, progress.step, {}))


def _started(run: RunDirectory, trainer: Trainer, split: TokenSplit, is_resumed: bool) -> RunStarted:
    return RunStarted(
        run_id=run.run_id,
        parameter_count=sum(parameter.numel() for parameter in trainer.model.parameters()),
        max_steps=trainer.max_steps,
        tokens_per_step=trainer.config.tokens_per_step,
        steps_per_epoch=trainer.train_windows.steps_per_epoch,
        train_tokens=len(split.train),
        val_tokens=len(split.val),
        vocab_size=trainer.tokenizer.vocab_size,
        world_size=1,
        threads=torch.get_num_threads(),
        device=str(trainer.device),
        precision=trainer.precision,
        resumed_from_step=trainer.progress.step if is_resumed else None,
    )


def _prepare_data(
    run: RunDirectory,
    config: RunConfig,
    is_resumed: bool,
    control: ControlDesk,
    status: StatusFile,
    emit: Callable[[Event], None],
) -> tuple[Tokenizer, TokenSplit]:
    """Text to tokens. A resumed run keeps its tokenizer and must find the same text.

    Raises:
        UserError: when the text cannot be used, is too short, or is no longer the same.
    """
    corpus = open_corpus(config.data)
    emit(PhaseStarted("preparing_data"))
    status.update(phase="preparing_data")

    def on_progress(done: int, total: int) -> None:
        control.check()
        status.update(phase_done=done, phase_total=total)

    known = load_tokenizer(run.tokenizer) if is_resumed else None
    tokenizer, split = prepare_tokens(corpus, config.data, tokenizer=known, on_progress=on_progress)
    check_lengths(split, config, corpus.name)
    manifest = run.describe()
    if is_resumed and manifest.get("data_fingerprint") != split.fingerprint:
        raise UserError(
            f"{corpus.name}: the text is not the one that {run.path} was trained on\n"
            "put the old text back, or start a new run with tui-trainer train"
        )
    if not is_resumed:
        tokenizer.save(run.tokenizer)
        manifest |= {"data": corpus.name, "data_fingerprint": split.fingerprint}
        replace_file(run.manifest, json.dumps(manifest, indent=2).encode())
    return tokenizer, split
