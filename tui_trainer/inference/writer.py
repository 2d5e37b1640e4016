"""What whoever shows a text needs of whoever writes it. Free of torch: a screen starts without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from tui_trainer.inference.settings import SamplingSettings


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

    def refresh(self, *, is_alone: bool) -> Speaker:
        """Loads the checkpoint that is best now, for writing alone on this machine or beside a training."""

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
