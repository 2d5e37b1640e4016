"""The GPT of `model/gpt.py` for writing, on one page: forward only, with a memory of what it has read.

A new token costs one pass over the weights, and reading them is nearly all a processor does meanwhile.
Tests hold every position equal to the network's own forward.

Shapes: N new tokens of all sequences together, H heads, C = n_embd, D = C / H, T = context_length, V = vocab_size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tui_trainer.config import ModelConfig
from tui_trainer.inference.arithmetic import Arithmetic, Array, Rows
from tui_trainer.inference.single_precision import SINGLE

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

    def __init__(
        self,
        weights: Mapping[str, npt.NDArray[np.floating]],
        config: ModelConfig,
        vocab_size: int,
        arithmetic: Arithmetic = SINGLE,
    ) -> None:
        """Makes the matrices ready; tables and vectors are kept as they are.

        Args:
            weights: of `GPT.state_dict`, by their names there.
            config: of the network.
            vocab_size: rows of its table.
            arithmetic: what multiplies. What is looked up in tables, and what a `Memory` holds, is fp32 in any case.

        Raises:
            ValueError: when they are not those of such a network.
        """
        source = _Source(weights, config, arithmetic)
        self._head: Rows
        self._blocks: list[_Block]
        self.config = config
        self.vocab_size = vocab_size
        self._is_modern = config.architecture == "modern"
        self._wte = source.take("wte.weight", vocab_size, config.n_embd)
        self._wpe = None if self._is_modern else source.take("wpe.weight", config.context_length, config.n_embd)
        head = source.take("head.weight", vocab_size, config.n_embd) if self._is_modern else self._wte
        makers: list[Callable[[], Any]] = [partial(_Block, source, number) for number in range(config.n_layer)]
        self._head, *self._blocks = _make([partial(arithmetic.linear, head, None), *makers], arithmetic.makers)
        self._final_norm = source.norm("final_norm")
        self._cos, self._sin = _rotary_angles(config)
        source.refuse_others()

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
        for block in self._blocks:
            x = block.apply(x, news, turn)
        for memory, new in news:
            memory.length += len(new)
        return self._final_norm(x)

    def _logits(self, hidden: Array) -> Array:
        logits = self._head(hidden)
        return LOGIT_CAP * np.tanh(logits / LOGIT_CAP) if self._is_modern else logits


def _make(makers: Sequence[Callable[[], Any]], count: int) -> list[Any]:
    if count == 1:
        return [make() for make in makers]
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda make: make(), makers))


class _Block:
    """One transformer block."""

    def __init__(self, source: _Source, number: int) -> None:
        name, width = f"blocks.{number}", source.config.n_embd
        self._number = number
        self._n_head = source.config.n_head
        self._attention_norm = source.norm(f"{name}.attention_norm")
        self._qkv = source.linear(f"{name}.attention.qkv", 3 * width, width)
        self._mix = source.arithmetic.mix
        self._mixing = source.linear(f"{name}.attention.projection", width, width)
        self._feed_forward_norm = source.norm(f"{name}.feed_forward_norm")
        self._expansion = source.linear(f"{name}.feed_forward.expansion", 4 * width, width)
        self._activate = source.activation()
        self._projection = source.linear(f"{name}.feed_forward.projection", width, 4 * width)

    def apply(
        self,
        x: Array,
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
            mixed[rows] = self._attend(memory, queries[rows], keys[rows], values[rows])
        x = x + self._mixing(mixed)
        return x + self._projection(self._activate(self._expansion(self._feed_forward_norm(x))))

    def _attend(self, memory: Memory, queries: Array, keys: Array, values: Array) -> Array:
        """Remembers the keys and values (n, H, D) of new tokens and mixes what they may see: (n, C)."""
        end = memory.length + len(queries)
        memory.keys[self._number, :, memory.length : end] = keys.swapaxes(0, 1)
        memory.values[self._number, :, memory.length : end] = values.swapaxes(0, 1)
        known = memory.keys[self._number, :, :end], memory.values[self._number, :, :end]
        mixed = self._mix(queries.swapaxes(0, 1), *known)
        return mixed.swapaxes(0, 1).reshape(len(queries), -1)


class _Source:
    """Hands out weights by name and shape, and what is made of them."""

    def __init__(
        self, weights: Mapping[str, npt.NDArray[np.floating]], config: ModelConfig, arithmetic: Arithmetic
    ) -> None:
        self.config, self.arithmetic = config, arithmetic
        self.is_modern = config.architecture == "modern"
        self._weights = weights
        self._taken: set[str] = set()

    def take(self, name: str, *shape: int) -> Array:
        found = self._weights.get(name)
        if found is None or found.shape != shape:
            raise ValueError(f"{name}: {shape} wanted, {None if found is None else found.shape} found")
        self._taken.add(name)
        return np.asarray(found, np.float32)

    def linear(self, name: str, outputs: int, inputs: int) -> Rows:
        """With a bias for `gpt2`."""
        weight = self.take(f"{name}.weight", outputs, inputs)
        return self.arithmetic.linear(weight, None if self.is_modern else self.take(f"{name}.bias", outputs))

    def norm(self, name: str) -> Rows:
        """LayerNorm with weight and bias for `gpt2`, RMSNorm without weight for `modern`."""
        if self.is_modern:
            return _rms_norm
        width = self.config.n_embd
        weight, bias = self.take(f"{name}.weight", width), self.take(f"{name}.bias", width)
        return self.arithmetic.layer_norm(weight, bias, self.config.layer_norm_epsilon)

    def activation(self) -> Rows:
        """One of GELU's two forms for `gpt2`, squared ReLU for `modern`."""
        if self.is_modern:
            return _squared_relu
        return self.arithmetic.gelu if self.config.activation == "gelu" else self.arithmetic.gelu_tanh

    def refuse_others(self) -> None:
        """What nobody took belongs to another network."""
        if others := self._weights.keys() - self._taken:
            raise ValueError(f"nobody knows {', '.join(sorted(others)[:5])}")


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


def _squared_relu(x: Array) -> Array:
    positive: Array = np.maximum(x, np.float32(0))
    positive *= positive
    return positive
