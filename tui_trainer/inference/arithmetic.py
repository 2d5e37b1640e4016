"""What a decoder is made of; `single_precision` and `half_precision` have it ready.

NumPy and torch have a pool of threads each, which wait for work by spinning: of two cores they would take one from
each other. So all products of one decoder are made by one of them.

Shapes: N rows, H heads, D = width of a head, n new places among `end`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = Callable[[Array], Array]
"""What turns rows (N, in) into rows (N, out)."""


@dataclass(frozen=True)
class Arithmetic:
    """Makes the parts of a decoder, whose rows are NumPy's in single precision between any two of them."""

    linear: Callable[[Array, Array | None], Rows]
    """y = x Wᵀ + b, from a matrix (out, in) and a bias (out)."""
    layer_norm: Callable[[Array, Array, float], Rows]
    """From a weight and a bias (C), and what is added to the variance."""
    gelu_tanh: Rows
    gelu: Rows
    """The exact one, by erf."""
    mix: Callable[[Array, Array, Array], Array]
    """Softmax attention of the last n places (H, n, D) to all keys and values (H, end, D), none to a later one:
    (H, n, D)."""
    makers: int = 1
    """How many matrices are made ready at once, where that is slow; by threads of their own if more than one."""


def visible(count: int, end: int) -> npt.NDArray[np.bool_]:
    """Which of `end` places (count, end) each of the last `count` may look at."""
    seen: npt.NDArray[np.bool_] = np.arange(end) <= np.arange(end - count, end)[:, None]
    return seen
