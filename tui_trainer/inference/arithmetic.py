"""What a decoder is made of: in single precision with NumPy, or with torch and matrices in half precision.

NumPy and torch have a pool of threads each, which wait for work by spinning: of two cores they would take one from
each other. So all products of one decoder are made by one of them.

Shapes: N rows, H heads, D = width of a head, n new places among `end`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

Array: TypeAlias = npt.NDArray[np.float32]
Norm: TypeAlias = Callable[[Array], Array]
LARGEST_HALF = 65_504.0
LAYER_NORM_EPS = 1e-5


class Linear(Protocol):
    """y = x W + b for rows (N, in)."""

    def __call__(self, x: Array) -> Array: ...

    @property
    def fits_half(self) -> bool:
        """Whether half precision can hold every weight."""

    def halved(self) -> Linear:
        """The same with weights rounded to half precision."""


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

    @property
    def fits_half(self) -> bool:
        return bool(max(self._weight.max(), -self._weight.min()) <= LARGEST_HALF)

    def halved(self) -> Linear:
        return HalfLinear(self._weight, self._bias)


class HalfLinear:
    """Weights in half precision, inputs and sums in single: half the bytes to read.

    A weight is rounded by at most 2⁻¹¹ of itself, or by 3·10⁻⁸ when it is below 6·10⁻⁵.
    """

    fits_half = True

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
def has_half_kernels() -> bool:
    """Whether torch has FBGEMM's kernels for half precision here: on x86 it does."""
    engine = torch.backends.quantized.engine
    return engine in ("x86", "fbgemm") and hasattr(torch.ops.quantized, "linear_dynamic_fp16")


class LayerNorm:
    """Of rows (N, C)."""

    def __init__(self, weight: Array, bias: Array) -> None:
        """Keeps them."""
        self.weight, self.bias = weight, bias

    def __call__(self, x: Array) -> Array:
        centred: Array = x - x.sum(-1, keepdims=True) / np.float32(x.shape[-1])
        variance = (centred * centred).sum(-1, keepdims=True) / np.float32(x.shape[-1])
        centred /= np.sqrt(variance + np.float32(LAYER_NORM_EPS))
        centred *= self.weight
        centred += self.bias
        return centred


def norm_with_torch(norm: Norm) -> Norm:
    """The same in one call; a norm without weights is as fast as it is."""
    if not isinstance(norm, LayerNorm):
        return norm
    weight, bias = torch.from_numpy(norm.weight), torch.from_numpy(norm.bias)

    def apply(x: Array) -> Array:
        normed: Array = F.layer_norm(torch.from_numpy(x), weight.shape, weight, bias, LAYER_NORM_EPS).numpy()
        return normed

    return apply


def mix_with_numpy(queries: Array, keys: Array, values: Array) -> Array:
    """Softmax attention of the last n places (H, n, D) to all of them (H, end, D), none to a later one: (H, n, D)."""
    scaled: Array = queries / np.float32(math.sqrt(queries.shape[-1]))
    weights: Array = scaled @ keys.swapaxes(1, 2)  # (H, n, end)
    if queries.shape[1] > 1:
        weights[:, ~_visible(queries.shape[1], keys.shape[1])] = -np.inf
    np.exp(weights - weights.max(-1, keepdims=True), out=weights)
    weights /= weights.sum(-1, keepdims=True)
    mixed: Array = weights @ values
    return mixed


def mix_with_torch(queries: Array, keys: Array, values: Array) -> Array:
    """The same."""
    count = queries.shape[1]
    mask = torch.from_numpy(_visible(count, keys.shape[1])) if count > 1 else None
    query, key, value = (torch.from_numpy(part)[None] for part in (queries, keys, values))
    mixed: Array = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)[0].numpy()
    return mixed


def _visible(count: int, end: int) -> npt.NDArray[np.bool_]:
    """Which of `end` places (n, end) the last `count` may look at."""
    visible: npt.NDArray[np.bool_] = np.arange(end) <= np.arange(end - count, end)[:, None]
    return visible
