"""One process's share of a run: make or open the directory, prepare everything, train, leave it in order."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import torch

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig, to_toml
from tui_trainer.data.batches import EvaluationWindows, TrainingWindows, check_lengths
from tui_trainer.data.corpus import open_corpus
from tui_trainer.data.tokenizers import Tokenizer, load_tokenizer
from tui_trainer.data.tokens import TokenSplit, prepare_tokens
from tui_trainer.errors import UserError
from tui_trainer.estimates import evaluation_batch_size
from tui_trainer.events import AdviceRaised, Event, PhaseStarted, RunFailed, RunFinished, RunStarted
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.model import GPT
from tui_trainer.runs.catalogue import note_run
from tui_trainer.runs.directory import RunDirectory, create_run
from tui_trainer.runs.event_log import EventLogWriter, last_segment
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import StatusFile
from tui_trainer.training.device import choose_device, choose_precision
from tui_trainer.training.failures import explain, full_disk_explained
from tui_trainer.training.interruption import ControlDesk, StopRequested, StopSwitch
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.optimizer import make_optimizer
from tui_trainer.training.progress import Progress
from tui_trainer.training.state import load_state_tensors
from tui_trainer.training.trainer import Trainer

DEFAULT_EPOCHS = 10
MAX_TRAIN_EVAL_WINDOWS = 256
"""Enough windows for a steady figure of the train side; the validation side is always measured whole."""


def hold_session(request: NewRun | ResumedRun, switch: StopSwitch, announce: Callable[[RunDirectory], None]) -> None:
    """Trains one run from its start, or from its last checkpoint, to its end.

    A new run that ends by a mistake or a stop before its first checkpoint leaves no directory behind, and a
    resumed one that does not get as far as its first step is what it was before.

    Args:
        request: the run.
        switch: asked between micro-batches whether to stop.
        announce: told the directory as soon as there is one.

    Raises:
        UserError: for what a person can mend.
        Diverged: when the loss is no longer finite.
        StopRequested: when it was stopped before there was anything to keep.
    """
    device = choose_device(request.device)
    run = request.run if isinstance(request, ResumedRun) else _make_directory(request)
    try:
        with full_disk_explained(run), RunLock(run.lock_file):
            announce(run)
            _train(run, request, device, switch)
    except (UserError, StopRequested):
        if isinstance(request, NewRun) and not CheckpointStore(run.checkpoints).steps():
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def _make_directory(request: NewRun) -> RunDirectory:
    """The directory of a new run, once its data is known to be there; paths become absolute."""
    corpus = open_corpus(request.config.data)
    data = request.config.data.model_copy(update={"paths": corpus.resolve()})
    config = request.config.model_copy(update={"data": data})
    run = create_run(config, request.preset, request.run_dir, datetime.now().astimezone())
    note_run(run)
    return run


def _train(run: RunDirectory, request: NewRun | ResumedRun, device: torch.device, switch: StopSwitch) -> None:
    """Trains, and records how it ended whatever happens."""
    status, status_before = StatusFile(run.status_file), _read_if_there(run.status_file)
    log = EventLogWriter(run.event_log, last_segment(run.event_log) + 1, time.time)
    trainer, state, is_refused = None, "failed", False
    status.start()
    try:
        with full_disk_explained(run):
            trainer = _prepare(run, request, device, switch, status, log.append)
            reason = trainer.train()
            log.append(RunFinished(reason, trainer.progress.step, round(trainer.progress.elapsed_seconds, 3)))
        state = "finished"
    except BaseException as error:
        is_refused = trainer is None and isinstance(error, UserError | StopRequested)
        elapsed = trainer.progress.elapsed_seconds if trainer else 0.0
        # The disk may be what failed, and the first error is the one to report.
        with contextlib.suppress(OSError):
            if not is_refused:
                log.append(RunFailed(explain(error)[1], status.step, round(elapsed, 3)))
        raise
    finally:
        status.close(state)
        log.close()
        if is_refused and status_before:
            replace_file(run.status_file, status_before)


def _read_if_there(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _prepare(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    device: torch.device,
    switch: StopSwitch,
    status: StatusFile,
    emit: Callable[[Event], None],
) -> Trainer:
    """Everything between a configuration and the first step."""
    config, is_resumed = request.config, isinstance(request, ResumedRun)
    store = CheckpointStore(run.checkpoints)
    store.clean()
    checkpoint = store.load("last", repair=True) if is_resumed else None
    progress = Progress.from_state(checkpoint.state["progress"]) if checkpoint else Progress()
    control = ControlDesk(run.control, switch, emit)
    control.step = progress.step
    tokenizer, split = _prepare_data(run, config, is_resumed, control, status, emit)
    train_windows = TrainingWindows(
        split.train, config.model.context_length, config.stride, config.training.batch_size, config.training.seed
    )
    max_steps = config.training.max_steps or train_windows.steps_for(config.training.epochs or DEFAULT_EPOCHS)
    # A run that was stopped within its last evaluation still owes that one.
    if progress.step > max_steps or progress.step == max_steps == progress.evaluated_step:
        raise UserError(
            f"{run.path}: complete at step {progress.step:,} of {max_steps:,}\n"
            f"to go on: tui-trainer resume {run.path} --set training.max_steps={progress.step * 2}"
        )
    if checkpoint:
        torch.set_num_threads(int(checkpoint.state["threads"]))
    torch.manual_seed(config.training.seed)
    model = GPT(config.model, tokenizer.vocab_size).to(device)
    optimizer = make_optimizer(model, config.training)
    if checkpoint:
        load_state_tensors(model, optimizer, checkpoint.tensors)
        if checkpoint.warning:
            emit(AdviceRaised("checkpoint", "warning", checkpoint.warning, "", progress.step, {}))
    precision = choose_precision(config.training.precision, device)
    rows = evaluation_batch_size(config, tokenizer.vocab_size)
    val_windows = EvaluationWindows(split.val, config.model.context_length, rows)
    train_eval_windows = EvaluationWindows(split.train, config.model.context_length, rows, MAX_TRAIN_EVAL_WINDOWS)
    if is_resumed:
        # What was changed for this resume also holds for the next one.
        replace_file(run.config_file, to_toml(config).encode())
    emit(
        RunStarted(
            run_id=run.run_id,
            parameter_count=sum(parameter.numel() for parameter in model.parameters()),
            max_steps=max_steps,
            tokens_per_step=config.tokens_per_step,
            steps_per_epoch=train_windows.steps_per_epoch,
            train_tokens=len(split.train),
            val_tokens=len(split.val),
            vocab_size=tokenizer.vocab_size,
            world_size=1,
            threads=torch.get_num_threads(),
            device=str(device),
            precision=precision,
            resumed_from_step=progress.step if checkpoint else None,
        )
    )
    status.update(state="running", step=progress.step, max_steps=max_steps)
    return Trainer(
        config=config,
        model=model,
        optimizer=optimizer,
        schedule=make_schedule(config.training, max_steps),
        train_windows=train_windows,
        train_eval_windows=train_eval_windows,
        val_windows=val_windows,
        tokenizer=tokenizer,
        precision=precision,
        store=store,
        control=control,
        status=status,
        emit=emit,
        progress=progress,
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
    emit(PhaseStarted("preparing_data", corpus.size_bytes))
    status.update(phase="preparing_data", phase_total=corpus.size_bytes)

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
