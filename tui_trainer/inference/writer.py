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

    def remarks(self, prompt: str) -> list[str]:
        """What is to be known of a prompt, as `prompt_remarks` has it."""

    def stream(
        self,
        prompt: str,
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool],
        tokens_per_second: float | None,
    ) -> Iterator[str]:
        """Text as it is made."""


def prompt_remarks(replaced: int, tokens: int, context_length: int) -> list[str]:
    """What becomes of a prompt, in words that go on from "of the prompt".

    Args:
        replaced: characters that are not in the vocabulary.
        tokens: its length.
        context_length: how many the model sees at once.
    """
    remarks = []
    if replaced:
        remarks.append(f"{replaced:,} unknown character{'s were' if replaced > 1 else ' was'} replaced")
    if tokens > context_length:
        remarks.append(f"only the last {context_length:,} tokens fit")
    return remarks
