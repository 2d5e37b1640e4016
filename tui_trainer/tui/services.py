"""What the screen is given by the program: plain callables, so that it needs no torch to be complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tui_trainer.config import RunConfig
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.runs.directory import RunDirectory


class Training(Protocol):
    """A training in this process, as `training.launch.TrainingHandle` is one."""

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


class Speaker(Protocol):
    """Which checkpoint is talking."""

    @property
    def step(self) -> int: ...

    @property
    def val_loss(self) -> float | None: ...

    @property
    def warning(self) -> str | None: ...


class Writer(Protocol):
    """Writes text with the best checkpoint of one run, as `inference.generator.TextGenerator` does."""

    def refresh(self) -> Speaker:
        """Loads the checkpoint that is best now."""

    def replaced_characters(self, prompt: str) -> int:
        """Characters of the prompt that are not in the vocabulary."""

    def stream(
        self,
        prompt: str,
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool],
        tokens_per_second: float | None,
    ) -> Iterator[str]:
        """Text as it is made."""


@dataclass(frozen=True)
class Services:
    """Everything the screen can have done."""

    launch: Callable[[RunConfig, str], Training]
    """Starts a run of a configuration under a preset's name."""
    open_writer: Callable[[RunDirectory], Writer]
    """Opens a writer for a run; slow, so it is called in a thread."""
