"""One text on its way, token by token; several are written at once at little more than the price of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_trainer.inference.decoder import Decoder, Memory
from tui_trainer.inference.sampling import choose_token
from tui_trainer.inference.settings import SamplingSettings


class Continuation:
    """A sequence: its tokens so far, what the model remembers of them, and how the next one is chosen.

    The model sees at most `context_length` tokens. When they are full it begins anew from the last half of them, so
    that a long text costs one such pass every half context.
    """

    def __init__(self, decoder: Decoder, prompt: Sequence[int], settings: SamplingSettings, place: int = 0) -> None:
        """Nothing is read yet.

        Args:
            decoder: that will write it.
            prompt: at least one token; the model sees the end that fits.
            settings: how tokens are chosen; a seed of None draws a new one.
            place: among texts of the same seed, so that each has random numbers of its own.
        """
        self._context_length = decoder.config.context_length
        self._random = np.random.default_rng(None if settings.seed is None else [settings.seed, place])
        self._settings = settings
        self._memory = Memory(decoder.config)
        self._seen = list(prompt)[-self._context_length :]
        self._unread = list(self._seen)

    def unread(self) -> tuple[Memory, list[int]]:
        """What the decoder is to read next."""
        if self._memory.length + len(self._unread) > self._context_length:
            self._memory.forget()
            self._unread = self._seen = self._seen[-max(1, self._context_length // 2) :]
        return self._memory, self._unread

    def choose(self, logits: np.ndarray) -> int:
        """The next token, after what was unread has been read."""
        token = choose_token(logits, self._settings, self._random, self._seen)
        self._unread = [token]
        self._seen.append(token)
        return token


def write_next(decoder: Decoder, continuations: Sequence[Continuation]) -> list[int]:
    """One more token of each.

    Raises:
        UserError: when the model has diverged.
    """
    logits = decoder.read([continuation.unread() for continuation in continuations])
    return [continuation.choose(row) for continuation, row in zip(continuations, logits, strict=True)]
