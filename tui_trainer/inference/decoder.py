"""The GPT of `model/gpt.py` for writing, on one page: forward only, with a memory of what it has read.

A new token costs one pass over the weights, and reading them is nearly all a processor does meanwhile. NumPy reads
them in fp32 with all cores, where torch multiplies a single row with one; `halved` has torch read half as many bytes.
Tests hold every position equal to the network's own forward.

Shapes: N new tokens of all sequences together, H heads, C = n_embd, D = C / H, T = context_length, V = vocab_size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numpy as np
import numpy.typing as npt

from tui_trainer.config import ModelConfig
from tui_trainer.inference.arithmetic import (
    Array,
    LayerNorm,
    Linear,
    SingleLinear,
    has_half_kernels,
    mix_with_numpy,
    mix_with_torch,
    norm_with_torch,
)

RMS_EPS = 1e-6
ROTARY_BASE = 10_000.0
LOGIT_CAP = 15.0


class Memory:
    """Keys and values (n_layer, H, T, D) of one sequence, of which `length` tokens are there."""

    def __init__(self, config: ModelConfig) -> None:
        """Nothing is remembered yet; pages of memory are taken as they are written."""
        shape = (config.n_layer, config.n_head, config.context_length, config.n_embd // config.n_head)
        self.keys, self.values = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self.length = 0

    def forget(self) -> None:
        """Begins anew."""
        self.length = 0


class Decoder:
    """Weights, ready to write with. It may be used by several threads: what changes is in the `Memory`."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.floating]], config: ModelConfig, vocab_size: int) -> None:
        """Copies the matrices; tables and vectors are kept as they are.

        Args:
            weights: of `GPT.state_dict`, by their names there.
            config: of the network.
            vocab_size: rows of its table.

        Raises:
            ValueError: when they are not those of such a network.
        """
        width = config.n_embd
        source = _Source(weights)
        self.config = config
        self.vocab_size = vocab_size
        self._is_modern = config.architecture == "modern"
        self._wte = source.take("wte.weight", vocab_size, width)
        self._wpe = None if self._is_modern else source.take("wpe.weight", config.context_length, width)
        head = source.take("head.weight", vocab_size, width) if self._is_modern else self._wte
        self._head: Linear = SingleLinear(head, None)
        self._final_norm = _norm(source, "final_norm", config)
        self._blocks = [_Block(source, f"blocks.{number}", config) for number in range(config.n_layer)]
        self._cos, self._sin = _rotary_angles(config)
        source.refuse_others()

    def halved(self) -> Decoder:
        """The same network with its matrices rounded to half precision, or itself where it cannot be.

        What is in fp32 is all else: what is looked up in tables, rows, sums, and what a `Memory` holds.
        """
        if not (has_half_kernels() and self._head.fits_half and all(block.fits_half for block in self._blocks)):
            return self
        half = copy(self)
        with ThreadPoolExecutor(2) as threads:  # packing is slow, and torch lets go of the interpreter meanwhile
            head = threads.submit(self._head.halved)
            half._blocks = list(threads.map(_Block.halved, self._blocks))
            half._head = head.result()
        half._final_norm = norm_with_torch(self._final_norm)
        return half

    def read(self, news: Sequence[tuple[Memory, Sequence[int]]]) -> Array:
        """Reads at least one new token of each sequence, and remembers them.

        Args:
            news: memories, each with what comes next in its sequence; together at most T tokens a sequence.

        Returns:
            the logits (sequences, V) of what follows the last token of each.
        """
        ends = np.cumsum([len(tokens) for _, tokens in news]) - 1
        return self._logits(self._hidden(news)[ends])

    def read_all(self, memory: Memory, tokens: Sequence[int]) -> Array:
        """The same for one sequence: the logits (N, V) at every new token."""
        return self._logits(self._hidden([(memory, tokens)]))

    def _hidden(self, news: Sequence[tuple[Memory, Sequence[int]]]) -> Array:
        """What the head reads, (N, C). Only attention looks from row to row, within a sequence."""
        tokens = np.concatenate([np.asarray(new, np.int64) for _, new in news])
        places = np.concatenate([np.arange(memory.length, memory.length + len(new)) for memory, new in news])
        x = self._wte[tokens]
        x = _rms_norm(x) if self._wpe is None else x + self._wpe[places]
        turn = (self._cos[places, None], self._sin[places, None]) if self._is_modern else None
        for number, block in enumerate(self._blocks):
            x = block.apply(x, number, news, turn)
        for memory, new in news:
            memory.length += len(new)
        return self._final_norm(x)

    def _logits(self, hidden: Array) -> Array:
        logits = self._head(hidden)
        return LOGIT_CAP * np.tanh(logits / LOGIT_CAP) if self._is_modern else logits


class _Block:
    """One transformer block."""

    def __init__(self, source: _Source, name: str, config: ModelConfig) -> None:
        width, is_modern = config.n_embd, config.architecture == "modern"
        self._n_head = config.n_head
        self._activate = _squared_relu if is_modern else _gelu
        self._attention_norm = _norm(source, f"{name}.attention_norm", config)
        self._qkv = source.linear(f"{name}.attention.qkv", 3 * width, width, has_bias=not is_modern)
        self._mixing = source.linear(f"{name}.attention.projection", width, width, has_bias=not is_modern)
        self._feed_forward_norm = _norm(source, f"{name}.feed_forward_norm", config)
        self._expansion = source.linear(f"{name}.feed_forward.expansion", 4 * width, width, has_bias=not is_modern)
        self._projection = source.linear(f"{name}.feed_forward.projection", width, 4 * width, has_bias=not is_modern)
        self._mix = mix_with_numpy

    @property
    def fits_half(self) -> bool:
        return all(part.fits_half for part in (self._qkv, self._mixing, self._expansion, self._projection))

    def halved(self) -> _Block:
        half = copy(self)
        half._qkv, half._mixing = self._qkv.halved(), self._mixing.halved()
        half._expansion, half._projection = self._expansion.halved(), self._projection.halved()
        half._attention_norm = norm_with_torch(self._attention_norm)
        half._feed_forward_norm = norm_with_torch(self._feed_forward_norm)
        half._mix = mix_with_torch
        return half

    def apply(
        self,
        x: Array,
        layer: int,
        news: Sequence[tuple[Memory, Sequence[int]]],
        turn: tuple[Array, Array] | None,
    ) -> Array:
        """The stream (N, C) after this block."""
        qkv = self._qkv(self._attention_norm(x))
        queries, keys, values = qkv.reshape(len(x), 3, self._n_head, -1).swapaxes(0, 1)  # each (N, H, D)
        if turn is not None:
            queries, keys = _rms_norm(_rotate(queries, turn)), _rms_norm(_rotate(keys, turn))
        mixed, start = np.empty_like(x), 0
        for memory, tokens in news:
            rows = slice(start, start := start + len(tokens))
            mixed[rows] = self._attend(memory, layer, queries[rows], keys[rows], values[rows])
        x = x + self._mixing(mixed)
        return x + self._projection(self._activate(self._expansion(self._feed_forward_norm(x))))

    def _attend(self, memory: Memory, layer: int, queries: Array, keys: Array, values: Array) -> Array:
        """Remembers the keys and values (n, H, D) of new tokens and mixes what they may see: (n, C)."""
        end = memory.length + len(queries)
        memory.keys[layer, :, memory.length : end] = keys.swapaxes(0, 1)
        memory.values[layer, :, memory.length : end] = values.swapaxes(0, 1)
        mixed = self._mix(queries.swapaxes(0, 1), memory.keys[layer, :, :end], memory.values[layer, :, :end])
        return mixed.swapaxes(0, 1).reshape(len(queries), -1)


class _Source:
    """Hands out weights by name and shape."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.floating]]) -> None:
        self._weights = weights
        self._taken: set[str] = set()

    def take(self, name: str, *shape: int) -> Array:
        found = self._weights.get(name)
        if found is None or found.shape != shape:
            raise ValueError(f"{name}: {shape} wanted, {None if found is None else found.shape} found")
        self._taken.add(name)
        return np.asarray(found, np.float32)

    def linear(self, name: str, outputs: int, inputs: int, *, has_bias: bool) -> Linear:
        weight = self.take(f"{name}.weight", outputs, inputs)
        return SingleLinear(weight, self.take(f"{name}.bias", outputs) if has_bias else None)

    def refuse_others(self) -> None:
        """What nobody took belongs to another network."""
        if others := self._weights.keys() - self._taken:
            raise ValueError(f"nobody knows {', '.join(sorted(others)[:5])}")


def _norm(source: _Source, name: str, config: ModelConfig) -> Callable[[Array], Array]:
    """LayerNorm with weight and bias for `gpt2`, RMSNorm without weight for `modern`."""
    if config.architecture == "modern":
        return _rms_norm
    return LayerNorm(*(source.take(f"{name}.{part}", config.n_embd) for part in ("weight", "bias")))


def _rms_norm(x: Array) -> Array:
    mean = (x * x).sum(-1, keepdims=True) / np.float32(x.shape[-1])
    normed: Array = x / np.sqrt(mean + np.float32(RMS_EPS))
    return normed


def _rotary_angles(config: ModelConfig) -> tuple[Array, Array]:
    """Cosines and sines (T, D / 2); computed in fp32 as the network does."""
    width = config.n_embd // config.n_head
    steps = np.arange(0, width, 2, dtype=np.float32)
    frequencies = np.float32(ROTARY_BASE) ** (-steps / np.float32(width))
    angles: Array = np.outer(np.arange(config.context_length, dtype=np.float32), frequencies)
    return np.cos(angles), np.sin(angles)


def _rotate(x: Array, turn: tuple[Array, Array]) -> Array:
    """Turns the two halves of each head's vector (N, H, D) against each other."""
    cos, sin = turn
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cos + second * sin, second * cos - first * sin), axis=-1)


def _gelu(x: Array) -> Array:
    """The tanh form, in as few passes as it takes."""
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


def _squared_relu(x: Array) -> Array:
    positive: Array = np.maximum(x, np.float32(0))
    positive *= positive
    return positive
