"""launch(): a training in a thread of the program. Importing this file does not import torch."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tui_trainer import places
from tui_trainer.config import RunConfig
from tui_trainer.events import Event, TerminalLost
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.failures import EXIT_ERROR, EXIT_FINISHED, FullDisk, Refused, explain
from tui_trainer.training.interruption import ProgramLink, StopRequested


@dataclass(frozen=True)
class NewRun:
    """A run to begin. `run_dir` None: a new folder below the runs folder."""

    config: RunConfig
    preset: str
    run_dir: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class ResumedRun:
    """A run to resume from its last checkpoint, under a configuration that may have changed.

    `allow_changed_data`: read the text again, and accept the text and the tokenizer as they are now.
    `is_paused`: be ready for the next step, and wait.
    `data`: where the text is now; empty: where it was.
    """

    run: RunDirectory
    config: RunConfig
    device: str = "auto"
    allow_changed_data: bool = False
    is_paused: bool = False
    data: tuple[str, ...] = ()


class TrainingHandle:
    """What the program holds of a training in its own process; everything else is in the run directory."""

    def __init__(self, request: NewRun | ResumedRun, on_directory: Callable[[RunDirectory], None]) -> None:
        """Prepares the thread; `launch` starts it."""
        self._request = request
        self._on_directory = on_directory
        self._link = ProgramLink()
        # Not a daemon: the interpreter must not end while a checkpoint is being written.
        self._thread = threading.Thread(target=self._run, name="trainer")
        self.run_dir: RunDirectory | None = None
        self.failure: str | None = None
        """Why it failed, at most three lines; None while all is well."""
        self.exit_code = EXIT_FINISHED

    @property
    def config(self) -> RunConfig | None:
        """What the run was trained under, once it has ended; None when it did not get so far."""
        return self._link.config

    def start(self) -> None:
        """Begins the training."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the training, its last save included, is still going on."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Asks the training to save and end. Returns at once; may be called again and from any thread."""
        self._link.stop()

    def move(self) -> None:
        """Asks the training to save and end, because another process is to go on with the run."""
        self._link.move()

    def report(self, fact: Event) -> None:
        """Something that happened to the program, for the log."""
        self._link.report(fact)

    def lose_terminal(self) -> None:
        """Has the log say that the terminal is gone; the training goes on."""
        self.report(TerminalLost())

    def join(self, timeout: float | None = None) -> None:
        """Waits for the end, at most `timeout` seconds."""
        self._thread.join(timeout)

    def _announce(self, run: RunDirectory) -> None:
        self.run_dir = run
        self._on_directory(run)

    def _run(self) -> None:
        try:
            from tui_trainer.training.session import hold_session  # imports torch, which may fail in its own ways

            hold_session(self._request, self._link, self._announce)
        except StopRequested:  # before there was anything to save
            pass
        except BaseException as error:  # noqa: BLE001 - the thread's outermost frame: reported, never lost
            self.exit_code, self.failure = explain(error)
            if isinstance(error, Refused) or not self._has_directory():
                self.run_dir = None
            if self.exit_code == EXIT_ERROR and not isinstance(error, FullDisk):
                self._write_traceback()
        if not self._has_directory():
            self.run_dir = None

    def _has_directory(self) -> bool:
        """Whether there is a run: one that did not get as far as its first checkpoint was removed."""
        return self.run_dir is not None and self.run_dir.manifest.exists()

    def _write_traceback(self) -> None:
        """The traceback is for the maintainers, so it goes to a file and not to the screen."""
        log = self.run_dir.console_log if self.run_dir else places.state_folder() / "failures.log"
        # A disk that takes no traceback has already been reported by its first error.
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as file:
                traceback.print_exc(file=file)
            if self.run_dir is None:
                self.failure = f"{self.failure}\nnothing was kept of this start; the traceback is in {log}"


def ignore_directory(run: RunDirectory) -> None:
    """For those who look at the handle instead."""


def launch(
    request: NewRun | ResumedRun, on_directory: Callable[[RunDirectory], None] = ignore_directory
) -> TrainingHandle:
    """Starts a training in a thread of its own and returns at once.

    Args:
        request: a new run or a resumed one.
        on_directory: told the run directory, in the training's thread, as soon as there is one.
    """
    handle = TrainingHandle(request, on_directory)
    handle.start()
    return handle
