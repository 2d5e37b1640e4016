"""Arithmetic in single precision, with NumPy: it reads a matrix with all cores, where torch uses one for a single row.

It is exact to rounding, and beside a training it can be held to one core.
"""

from __future__ import annotations

import math

import numpy as np

from tui_trainer.inference.arithmetic import Arithmetic, Array, visible


class _Linear:
    """Keeps the matrix turned to (in, out), the way round in which NumPy's BLAS reads it fastest."""

    def __init__(self, weight: Array, bias: Array | None) -> None:
        self._weight = np.ascontiguousarray(weight.T)
        self._bias = bias

    def __call__(self, x: Array) -> Array:
        y: Array = x @ self._weight
        if self._bias is not None:
            y += self._bias
        return y


class _LayerNorm:
    def __init__(self, weight: Array, bias: Array, epsilon: float) -> None:
        self._weight, self._bias, self._epsilon = weight, bias, np.float32(epsilon)

    def __call__(self, x: Array) -> Array:
        centred: Array = x - x.sum(-1, keepdims=True) / np.float32(x.shape[-1])
        variance = (centred * centred).sum(-1, keepdims=True) / np.float32(x.shape[-1])
        centred /= np.sqrt(variance + self._epsilon)
        centred *= self._weight
        centred += self._bias
        return centred


def _gelu_tanh(x: Array) -> Array:
    """In as few passes as it takes."""
    inner: Array = x * x
    inner *= np.float32(0.044715)
    inner += np.float32(1)
    inner *= x
    inner *= np.float32(math.sqrt(2 / math.pi))
    np.tanh(inner, out=inner)
    inner += np.float32(1)
    inner *= x
    inner *= np.float32(0.5)
    return inner


def _gelu(x: Array) -> Array:
    """max(x, 0) - |x| erfc(|x| / √2) / 2; NumPy has no erfc.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26: erfc within 1.5·10⁻⁷, the rounding of fp32.
    """
    size = np.abs(x)
    t: Array = size * np.float32(0.3275911 / math.sqrt(2))
    t += np.float32(1)
    np.reciprocal(t, out=t)
    tail: Array = t * np.float32(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail += np.float32(coefficient)
        tail *= t
    tail *= np.exp(x * x * np.float32(-0.5))
    tail *= size
    tail *= np.float32(0.5)
    activated: Array = np.maximum(x, np.float32(0)) - tail
    return activated


def _mix(queries: Array, keys: Array, values: Array) -> Array:
    scaled: Array = queries / np.float32(math.sqrt(queries.shape[-1]))
    weights: Array = scaled @ keys.swapaxes(1, 2)  # (H, n, end)
    if queries.shape[1] > 1:
        weights[:, ~visible(queries.shape[1], keys.shape[1])] = -np.inf
    np.exp(weights - weights.max(-1, keepdims=True), out=weights)
    weights /= weights.sum(-1, keepdims=True)
    mixed: Array = weights @ values
    return mixed


SINGLE = Arithmetic(linear=_Linear, layer_norm=_LayerNorm, gelu_tanh=_gelu_tanh, gelu=_gelu, mix=_mix)
