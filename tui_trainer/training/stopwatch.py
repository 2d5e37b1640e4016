"""Time that counts as training: a pause does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Runs from the moment it is made, on from the seconds of earlier sessions."""

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts it."""
        self._clock = clock
        self._started = clock() - seconds
        self._held: float | None = None

    @property
    def seconds(self) -> float:
        """What it shows."""
        return self._clock() - self._started if self._held is None else self._held

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stands still inside, however that ends."""
        self._held = self.seconds
        try:
            yield
        finally:
            self._started, self._held = self._clock() - self._held, None
