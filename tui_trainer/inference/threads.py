"""How many cores writing takes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def on_one_core() -> AbstractContextManager[object]:
    """NumPy multiplies with one core inside: the others belong to a training. torch's own threads are left alone."""
    limited: AbstractContextManager[object] = _blas().limit(limits=1)
    return limited


@cache
def _blas() -> ThreadpoolController:
    """Looks through all that is loaded, which takes longer than a token."""
    controller: ThreadpoolController = ThreadpoolController().select(internal_api="openblas")
    return controller
