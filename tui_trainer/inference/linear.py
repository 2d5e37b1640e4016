"""y = x W + b: the matrices of the decoder, in single precision with NumPy or in half precision with torch."""

from __future__ import annotations

from functools import cache
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

Array: TypeAlias = npt.NDArray[np.float32]
LARGEST_HALF = 65_504.0


class Linear(Protocol):
    """Multiplies rows (N, in) to (N, out)."""

    def __call__(self, x: Array) -> Array: ...

    def halved(self) -> Linear:
        """The same with weights rounded to half precision, where they can be."""


class SingleLinear:
    """Weights (in, out) in single precision: the way round in which NumPy's BLAS reads them fastest."""

    def __init__(self, weight: Array, bias: Array | None) -> None:
        """Copies a matrix (out, in)."""
        self._weight = np.ascontiguousarray(weight.T)
        self._bias = bias

    def __call__(self, x: Array) -> Array:
        y: Array = x @ self._weight
        if self._bias is not None:
            y += self._bias
        return y

    def halved(self) -> Linear:
        # Not the weights of a model that has diverged: it is to say so.
        return HalfLinear(self._weight, self._bias) if np.abs(self._weight).max() <= LARGEST_HALF else self


class HalfLinear:
    """Weights in half precision, inputs and sums in single: half the bytes to read, at 2⁻¹¹ of rounding a weight."""

    def __init__(self, weight: Array, bias: Array | None) -> None:
        """Packs a matrix (in, out)."""
        wide = torch.from_numpy(weight.T).contiguous()
        self._packed = torch.ops.quantized.linear_prepack_fp16(wide, None if bias is None else torch.from_numpy(bias))

    def __call__(self, x: Array) -> Array:
        y: Array = torch.ops.quantized.linear_dynamic_fp16(torch.from_numpy(x), self._packed).numpy()
        return y

    def halved(self) -> Linear:
        return self


@cache
def is_half_faster() -> bool:
    """Whether torch has FBGEMM's kernels for it here: on x86 it does."""
    engine = torch.backends.quantized.engine
    return engine in ("x86", "fbgemm") and hasattr(torch.ops.quantized, "linear_dynamic_fp16")
