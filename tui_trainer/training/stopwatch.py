"""How long a run has been training: neither a pause nor a stopped process counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPED_SECONDS = 3.0
"""A gap between two readings that may be a stopped process: SIGSTOP, a frozen container, a suspended machine."""
STOPPED_CPU_SHARE = 0.1
"""A process that got less of a processor than this within a gap did not run; a slow step does."""
READING_SECONDS = 1.0
"""How often somebody reads a stopwatch, so about what passed before the stop."""


class Stopwatch:
    """Runs from the moment it is made. It has to be read every second, as the status thread does, to notice a stop."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        """Starts it.

        Args:
            clock: seconds that pass also while the process is stopped.
            cpu_clock: seconds of processor time that the process, all of its threads together, has used.
        """
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._is_held = False
        self._read_at, self._cpu_at = clock(), cpu_clock()

    @property
    def seconds(self) -> float:
        """What it shows; safe to read from any thread."""
        with self._lock:
            now, cpu = self._clock(), self._cpu_clock()
            gap, used = now - self._read_at, cpu - self._cpu_at
            self._read_at, self._cpu_at = now, cpu
            if gap > STOPPED_SECONDS and used < STOPPED_CPU_SHARE * gap:
                gap = min(READING_SECONDS, used)
            if not self._is_held:
                self._seconds += gap
            return self._seconds

    def add(self, seconds: float) -> None:
        """Counts what an earlier process trained."""
        with self._lock:
            self._seconds += seconds

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stands still inside, however that ends."""
        _ = self.seconds
        before, self._is_held = self._is_held, True
        try:
            yield
        finally:
            _ = self.seconds
            self._is_held = before
