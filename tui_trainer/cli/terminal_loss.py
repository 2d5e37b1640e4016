"""What becomes of a training whose terminal hangs up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Surviving(Protocol):
    """A training of this process."""

    def is_alive(self) -> bool: ...

    def lose_terminal(self) -> None: ...


class TerminalLoss:
    """Lets a training outlive its terminal, and has the log say so once: an interactive bash hangs up twice."""

    def __init__(self, find_training: Callable[[], Surviving | None], *, is_outliving: bool) -> None:
        """The terminal is there.

        Args:
            find_training: what this process trains at the moment of the hang-up, if anything.
            is_outliving: whether it goes on when the terminal is gone.
        """
        self._find_training = find_training
        self._is_outliving = is_outliving
        self._has_outlived = False
        self._lock = threading.Lock()  # the screen may see that its terminal is gone while the signal comes

    def outlive(self) -> bool:
        """Told that the terminal is gone, again at each sign of it: whether a training goes on without it."""
        with self._lock:
            training = self._find_training()
            if self._is_outliving and not self._has_outlived and training and training.is_alive():
                self._has_outlived = True
                training.lose_terminal()
            return self._has_outlived
