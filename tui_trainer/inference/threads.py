"""How many cores writing takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import OpenBLASController, ThreadpoolController


@contextmanager
def on_one_core() -> Iterator[None]:
    """NumPy multiplies with one core inside: the others belong to a training. torch's own threads are left alone.

    The limit holds for the whole process, so it is counted: the first to enter sets it, the last to leave lifts it.
    """
    _one_core.enter()
    try:
        yield
    finally:
        _one_core.leave()


class _CountedLimit:
    def __init__(self) -> None:
        # Re-entrant: an abandoned text leaves whenever the garbage collector finds it, perhaps while another enters.
        self._lock = threading.RLock()
        self._users = 0
        self._lift: Callable[[], None] | None = None

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                with _control_of_blas():
                    self._lift = _blas().limit(limits=1).restore_original_limits
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._lift:
                with _control_of_blas():
                    self._lift()


_one_core = _CountedLimit()


@cache
def _blas() -> ThreadpoolController:
    """Looks through all that is loaded, which takes longer than a token."""
    controller: ThreadpoolController = ThreadpoolController().select(internal_api="openblas")
    return controller


@contextmanager
def _control_of_blas() -> Iterator[None]:
    """Without it threadpoolctl ignores every thread but the one that set a limit first; another may have to lift it."""
    OpenBLASController.clear_controlling_thread(force=True)
    yield
    OpenBLASController.clear_controlling_thread(force=True)
