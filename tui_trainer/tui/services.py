"""What the screen is given by the program: plain callables, so that it needs no torch to be complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tui_trainer.config import RunConfig
from tui_trainer.inference.writer import Writer
from tui_trainer.runs.directory import RunDirectory


class Training(Protocol):
    """A training that is watched, in this process or another."""

    @property
    def ends_with_screen(self) -> bool:
        """Whether it is one of this process, so that leaving is a question: stop it, or hand it over?"""

    @property
    def run_dir(self) -> RunDirectory | None:
        """Where it writes; None until there is such a place."""

    @property
    def failure(self) -> str | None:
        """Why it failed; None while all is well."""

    def is_alive(self) -> bool:
        """Whether it still trains or saves."""

    def stop(self) -> None:
        """Asks it to save and end."""

    def detach(self, requested_by: str) -> None:
        """Hands it over to a process of its own, so that the screen can go. Returns at once."""

    @property
    def is_moving(self) -> bool:
        """Whether it is being handed over."""

    @property
    def has_moved(self) -> bool:
        """Whether another process has it now."""


def refuse_to_open(run: RunDirectory) -> Training:
    """For a screen that shows one training only."""
    raise LookupError(run.path)


@dataclass(frozen=True)
class Services:
    """Everything the screen can have done."""

    launch: Callable[[RunConfig, str], Training]
    """Starts a run of a configuration under a preset's name."""
    open_writer: Callable[[RunDirectory], Writer]
    """Opens a writer for a run; slow, so it is called in a thread."""
    steer: Callable[[RunDirectory, str, Any], str] | None = None
    """Asks whoever trains a run for an action with a value, and returns the command's id; None: only watch.

    Raises UserError when nobody would read it, OSError when nothing can be written there."""
    open_run: Callable[[RunDirectory], Training] = refuse_to_open
    """A run that is there already, as something to watch."""
    is_training_beside: Callable[[RunDirectory], bool] = lambda _run: False
    """Whether this machine trains something, that run or another; it looks at many files."""
    resume: Callable[[RunDirectory, Sequence[str]], Training] | None = None
    """Resumes a run that nobody trains, with `section.key=value` overrides; None: only watch. Raises UserError."""
