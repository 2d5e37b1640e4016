"""How many cores writing takes."""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


def on_one_core() -> AbstractContextManager[object]:
    """NumPy multiplies with one core inside: the others belong to a training. torch's own threads are left alone."""
    limited: AbstractContextManager[object] = ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    return limited
