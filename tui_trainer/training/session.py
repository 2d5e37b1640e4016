"""One process's share of a run: make or open the directory, prepare everything, train, leave it in order."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psutil
import torch

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.data.corpus import find_openings, open_corpus
from tui_trainer.errors import UserError
from tui_trainer.events import RunFailed, RunFinished, RunMoving
from tui_trainer.runs.catalogue import find_base, note_run
from tui_trainer.runs.directory import RunDirectory, create_run, remove_run
from tui_trainer.runs.event_log import EventLogWriter, last_segment
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import Status, StatusFile, read_status
from tui_trainer.training import random_state
from tui_trainer.training.base import Base, load_base
from tui_trainer.training.device import choose_device, is_here
from tui_trainer.training.failures import Diverged, Refused, explain
from tui_trainer.training.full_disk import full_disk_explained
from tui_trainer.training.interruption import ProgramLink, StopRequested
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.memory import release_memory
from tui_trainer.training.notices import Notice
from tui_trainer.training.preparation import prepare_trainer
from tui_trainer.training.progress import Progress
from tui_trainer.training.stopwatch import Stopwatch

_is_training = threading.Lock()
SILENT_SECONDS = 10.0
"""Without locks, a status that was written within this time means that its process lives."""


def hold_session(request: NewRun | ResumedRun, link: ProgramLink, announce: Callable[[RunDirectory], None]) -> None:
    """Trains one run from its start, or from its last checkpoint, to its end.

    A new run that ends by a mistake or a stop before its first checkpoint leaves no directory behind, and a
    resumed one that does not get as far as its first step is what it was before.

    Args:
        request: the run.
        link: asked between micro-batches whether to stop.
        announce: told the directory as soon as there is one.

    Raises:
        UserError: for what a person can mend.
        Diverged: when the loss is no longer finite.
        StopRequested: when it was stopped before there was anything to keep.
    """
    device = choose_device(_device_name(request))
    with own_torch_settings(device):
        _hold_session(request, device, link, announce)


def _hold_session(
    request: NewRun | ResumedRun, device: torch.device, link: ProgramLink, announce: Callable[[RunDirectory], None]
) -> None:
    base = _load_base(request)
    request = _with_absolute_paths(request, base)
    run = request.run if isinstance(request, ResumedRun) else _make_directory(request, base)
    try:
        with full_disk_explained(run), RunLock(run.lock_file) as lock:
            notices = _without_lock(run, lock)
            announce(run)
            _train(run, request, device, link, base, notices)
    except BaseException as error:
        # One that diverged at once has a log that says so; any other has nothing that anybody could use.
        is_useless = isinstance(request, NewRun) and not isinstance(error, Diverged)
        if is_useless and not CheckpointStore(run.checkpoints).steps():
            remove_run(run)
        raise
    finally:
        release_memory(device)  # another process may need the room: that is what a handover is for


@contextlib.contextmanager
def own_torch_settings(device: torch.device) -> Iterator[None]:
    """Torch's random numbers and threads belong to the process: one training at a time has them, and puts them back."""
    if not _is_training.acquire(blocking=False):
        raise RuntimeError("one training at a time: torch's random numbers belong to the whole process")
    threads, numbers = torch.get_num_threads(), random_state.capture(device)
    try:
        yield
    finally:
        random_state.restore(numbers, device)
        torch.set_num_threads(threads)
        _is_training.release()


def _device_name(request: NewRun | ResumedRun) -> str:
    """A resumed run stays on the kind of device it was on, unless another is asked for or that one is gone."""
    if isinstance(request, ResumedRun) and request.device == "auto":
        before = request.run.describe().get("device")
        if isinstance(before, str) and is_here(before):
            return before
    return request.device


def _load_base(request: NewRun | ResumedRun) -> Base | None:
    """What a new run goes on from; a resumed one has its own weights and needs no base any more."""
    base = request.config.base
    if isinstance(request, ResumedRun) or base.path is None:
        return None
    return load_base(find_base(base.path), "best" if base.step is None else base.step)


def _with_absolute_paths(request: NewRun | ResumedRun, base: Base | None) -> NewRun | ResumedRun:
    """The request once its text is known to be there; of a new run, a base decides the shape."""
    config = base.adopt(request.config) if base else request.config
    if isinstance(request, NewRun):
        corpus = open_corpus(config.data)
        paths = corpus.resolve()
        if paths and "prompts" not in config.sampling.model_fields_set:
            sampling = config.sampling.model_copy(update={"prompts": find_openings(corpus.beginning())})
            config = config.model_copy(update={"sampling": sampling})
    elif request.data:
        paths = open_corpus(config.data.model_copy(update={"paths": request.data})).resolve()
    else:
        return request  # it may have its tokens, and then needs no text
    data = config.data.model_copy(update={"paths": paths})
    return replace(request, config=config.model_copy(update={"data": data}))


def _without_lock(run: RunDirectory, lock: RunLock) -> list[Notice]:
    """What to say where the file system has no locks.

    Raises:
        UserError: when the status says that another process is training there right now.
    """
    if not lock.missing_because:
        return []
    status = read_status(run.status_file)
    silent = time.time() - status.heartbeat if status else math.inf
    if status and status.state in ("starting", "running") and silent < SILENT_SECONDS and not _is_gone(status):
        raise UserError(
            f"{run.path}: process {status.pid} on {status.host} wrote its status {silent:.0f} s ago; stop it first\n"
            f"this file system has no locks; if that process is dead, try again in {SILENT_SECONDS:.0f} s"
        )
    evidence = f"no lock on {run.lock_file}: {lock.missing_because}"
    return [Notice("lock", evidence, "Make sure that only one process trains this run.")]


def _is_gone(status: Status) -> bool:
    """Whether its process is this one, or one of this machine that is no more."""
    is_here = status.host == socket.gethostname()
    return is_here and (status.pid == os.getpid() or not psutil.pid_exists(status.pid))


def _make_directory(request: NewRun, base: Base | None) -> RunDirectory:
    """The directory of a new run; a base is named in it, and its tokenizer is there from the start."""
    now, described = datetime.now().astimezone(), base.describe() if base else None
    run = create_run(request.config, request.preset, request.run_dir, now, described)
    try:
        if base:
            base.tokenizer.save(run.tokenizer)
    except OSError:
        remove_run(run)
        raise
    note_run(run)
    return run


def _train(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    device: torch.device,
    link: ProgramLink,
    base: Base | None,
    notices: list[Notice],
) -> None:
    """Trains, and records how it ended whatever happens."""
    stopwatch = Stopwatch()
    status = StatusFile(run.status_file, elapsed=lambda: stopwatch.seconds)
    status_before = _read_if_there(run.status_file)
    log = EventLogWriter(run.event_log, last_segment(run.event_log) + 1, time.time)
    trainer, state, is_refused = None, "failed", False
    status.start()
    try:
        with full_disk_explained(run):
            trainer = prepare_trainer(run, request, device, link, status, log, stopwatch, base, notices)
            reason = trainer.train()
            link.config = trainer.config
            state = "moving" if link.is_moving and reason == "stopped" else "finished"
            log.append(_ending(state, reason, trainer.progress))
            trainer.disk.wait_for_log(trainer.progress.step)
        status.update(reason=reason)
    except BaseException as error:
        is_refused = trainer is None and isinstance(error, UserError | StopRequested)
        elapsed = trainer.progress.elapsed_seconds if trainer else 0.0
        # The disk may be what failed, and the first error is the one to report.
        with contextlib.suppress(OSError):
            if not is_refused:
                log.append(RunFailed(explain(error)[1], status.step, round(elapsed, 3)))
        if is_refused and isinstance(error, UserError):
            raise Refused(str(error)) from error
        raise
    finally:
        status.close(state)
        log.close()
        if is_refused and status_before:
            replace_file(run.status_file, status_before)


def _ending(state: str, reason: str, progress: Progress) -> RunMoving | RunFinished:
    elapsed = round(progress.elapsed_seconds, 3)
    return RunMoving(progress.step, elapsed) if state == "moving" else RunFinished(reason, progress.step, elapsed)


def _read_if_there(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
