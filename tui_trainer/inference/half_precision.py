"""Arithmetic with matrices in half precision, with torch: half the bytes to read, and reading is what writing costs.

Inputs and sums stay in single precision. A weight is rounded by at most 2⁻¹¹ of itself, or by 3·10⁻⁸ when it is below
6·10⁻⁵. The kernels are FBGEMM's, which torch brings along on x86.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional as F

from tui_trainer.inference.arithmetic import Arithmetic, Array, visible

LARGEST_HALF = 65_504.0


def has_half_kernels() -> bool:
    """Whether torch has them here."""
    engine = torch.backends.quantized.engine
    return engine in ("x86", "fbgemm") and hasattr(torch.ops.quantized, "linear_dynamic_fp16")


def fits_half(weights: Iterable[Array]) -> bool:
    """Whether half precision can hold every one; what is not finite it cannot."""
    return all(max(weight.max(), -weight.min()) <= LARGEST_HALF for weight in weights)


class _Linear:
    def __init__(self, weight: Array, bias: Array | None) -> None:
        wide = torch.from_numpy(np.ascontiguousarray(weight))
        self._packed = torch.ops.quantized.linear_prepack_fp16(wide, None if bias is None else torch.from_numpy(bias))
        self._multiply = torch.ops.quantized.linear_dynamic_fp16.default

    def __call__(self, x: Array) -> Array:
        y: Array = self._multiply(torch.from_numpy(x), self._packed).numpy()
        return y


class _LayerNorm:
    def __init__(self, weight: Array, bias: Array, epsilon: float) -> None:
        self._weight, self._bias, self._epsilon = torch.from_numpy(weight), torch.from_numpy(bias), epsilon

    def __call__(self, x: Array) -> Array:
        rows, shape = torch.from_numpy(x), self._weight.shape
        normed: Array = F.layer_norm(rows, shape, self._weight, self._bias, self._epsilon).numpy()
        return normed


def _gelu(x: Array) -> Array:
    activated: Array = F.gelu(torch.from_numpy(x)).numpy()
    return activated


def _gelu_tanh(x: Array) -> Array:
    activated: Array = F.gelu(torch.from_numpy(x), approximate="tanh").numpy()
    return activated


def _mix(queries: Array, keys: Array, values: Array) -> Array:
    count = queries.shape[1]
    mask = torch.from_numpy(visible(count, keys.shape[1])) if count > 1 else None
    query, key, value = (torch.from_numpy(part)[None] for part in (queries, keys, values))
    mixed: Array = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)[0].numpy()
    return mixed


HALF = Arithmetic(linear=_Linear, layer_norm=_LayerNorm, gelu_tanh=_gelu_tanh, gelu=_gelu, mix=_mix, makers=2)
