"""A request on its way between the event loop, where clients are, and the thread that owns the model."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tui_trainer.deploy.server.completion_request import Prompt
from tui_trainer.deploy.server.refusal import Refusal
from tui_trainer.inference.settings import SamplingSettings


@dataclass(frozen=True)
class Wish:
    """One text to write. `index` is that of the choice."""

    index: int
    prompt: Prompt
    settings: SamplingSettings


@dataclass(frozen=True)
class Part:
    """Some more of a choice; its last part has a `finish`."""

    index: int
    text: str
    tokens: int
    finish: Literal["stop", "length"] | None = None


class Job:
    """Texts to write for one client. The engine puts parts in; the client's task takes them out.

    What a slow client has not taken yet is joined, so that it costs no more than its characters.
    """

    def __init__(self, wishes: Sequence[Wish]) -> None:
        """Belongs to the event loop that runs now."""
        self.wishes = wishes
        self.is_cancelled = False
        """Set when the client has left; looked at before each token."""
        self.step = 0
        """Of the checkpoint that answers."""
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._end: Refusal | Literal[True] | None = None

    def put(self, part: Part) -> None:
        """From the engine: some more text."""
        with self._lock:
            last = self._parts[-1] if self._parts else None
            if last and last.index == part.index and last.finish is None:
                self._parts[-1] = replace(part, text=last.text + part.text, tokens=last.tokens + part.tokens)
            else:
                self._parts.append(part)
        self._wake()

    def end(self, failure: Refusal | None = None) -> None:
        """From the engine: that was all, or this is why there is no more."""
        self._end = self._end or failure or True
        self._wake()

    async def parts(self) -> AsyncIterator[Part]:
        """What was written, as it comes.

        Raises:
            Refusal: when there is no more, and why.
        """
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            end = self._end  # read before the parts: whatever comes after the last look is waited for again
            with self._lock:
                parts, self._parts = self._parts, []
            for part in parts:
                yield part
            if isinstance(end, Refusal):
                raise end
            if end:
                return

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there any more
            self._loop.call_soon_threadsafe(self._arrived.set)
