"""Whether another program answers as our network does: logits at three lengths and two batches, and greedy text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from tui_trainer.data.tokenizers.added_tokens import AddedToken
from tui_trainer.deploy.export.source import Source
from tui_trainer.errors import UserError
from tui_trainer.model import GPT

BATCHES = (1, 2)
TOLERANCE = 1e-4
"""Largest difference of a logit in fp32, for logits up to `USUAL_LOGIT`; in proportion above."""
USUAL_LOGIT = 10.0
GREEDY_TOKENS = 24
SAMPLE = "Hello, world! 안녕하세요 😀\n\tdef f(x):  return x**2  # don't\n"
MOST_ADDED_TOKENS = 100
DEFAULT_PROMPT = "The "

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class Runtime(Protocol):
    """A program that has loaded an exported model."""

    name: str
    """With its version."""

    def logits(self, tokens: Ids) -> Logits:
        """Token ids (B, T) to logits (B, T, V)."""

    def write(self, ids: list[int], count: int) -> list[int]:
        """The likeliest `count` tokens that go on from `ids`."""

    def encode(self, text: str) -> list[int] | None:
        """The ids of a text; None: the program has no tokenizer of its own."""


@dataclass(frozen=True)
class Agreement:
    """What a comparison with our own network found."""

    runtime: str
    lengths: tuple[int, ...]
    batches: tuple[int, ...]
    max_difference: float
    tolerance: float
    greedy_tokens: int
    greedy_agreed: int
    """Tokens until the first other one that was not as likely."""
    tokenizer: str
    """What was compared of the tokenizer."""

    @property
    def is_met(self) -> bool:
        return self.max_difference <= self.tolerance and self.greedy_agreed == self.greedy_tokens


def compare(source: Source, runtime: Runtime) -> Agreement:
    """Runs both networks on the same tokens.

    Raises:
        UserError: when the ids of the tokenizers differ.
    """
    context = source.config.model.context_length
    lengths = tuple(sorted({1, max(1, context // 2), context}))
    largest, difference = 0.0, 0.0
    for batch in BATCHES:
        for length in lengths:
            tokens = _some_tokens(batch, length, source.tokenizer.vocab_size)
            ours, theirs = own_logits(source.model, tokens), runtime.logits(tokens)
            largest = max(largest, float(np.abs(ours).max()))
            difference = max(difference, _distance(ours, theirs))
    tolerance = TOLERANCE * max(1.0, largest / USUAL_LOGIT)
    compared = _compare_tokenizers(source, runtime)
    count, agreed = _compare_writing(source, runtime, tolerance)
    return Agreement(runtime.name, lengths, BATCHES, difference, tolerance, count, agreed, compared)


def demand(agreement: Agreement) -> None:
    """Raises UserError with the numbers when an agreement misses its tolerance."""
    if not agreement.is_met:
        raise UserError(
            f"{agreement.runtime} answers otherwise than this model: nothing was exported\n"
            f"largest difference of a logit {agreement.max_difference:.3g} (at most {agreement.tolerance:.3g}); "
            f"{agreement.greedy_agreed} of {agreement.greedy_tokens} greedy tokens equal"
        )


@torch.inference_mode()
def own_logits(model: GPT, tokens: Ids) -> Logits:
    """The logits (B, T, V) of our own network."""
    answer: Logits = model(torch.from_numpy(tokens)).numpy()
    return answer


def write_greedily(runtime_logits: Logits) -> int:
    """The likeliest token after logits (T, V)."""
    return int(runtime_logits[-1].argmax())


def greedy_prompt(source: Source) -> list[int]:
    """The run's own first prompt, cut so that the text after it still fits into the context."""
    prompts = source.config.sampling.prompts
    ids = source.tokenizer.encode_prompt((prompts[0] if prompts else "") or DEFAULT_PROMPT)[0]
    room = max(1, source.config.model.context_length - GREEDY_TOKENS)
    return ids[-room:]


def _some_tokens(batch: int, length: int, vocab_size: int) -> Ids:
    generator = np.random.Generator(np.random.PCG64([batch, length]))
    return generator.integers(vocab_size, size=(batch, length), dtype=np.int64)


def _distance(ours: Logits, theirs: Logits) -> float:
    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return float("inf")
    return float(np.abs(ours - theirs).max())


def _compare_tokenizers(source: Source, runtime: Runtime) -> str:
    """Ids of a text with Korean, emoji and code, and with tokens that somebody added."""
    added: tuple[AddedToken, ...] = getattr(source.tokenizer, "added_tokens", ())
    text = SAMPLE + " a".join(token.content for token in added[:MOST_ADDED_TOKENS])
    theirs = runtime.encode(text)
    if theirs is None:
        return "not compared"
    ours = source.tokenizer.encode(text).tolist()
    if ours != theirs:
        place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), len(ours))
        raise UserError(f"{runtime.name}: the tokenizer gives other ids from token {place} on; nothing was exported")
    special: dict[str, int] = getattr(source.tokenizer, "special_tokens", {})
    single = [token for token, number in special.items() if runtime.encode(token) == [number]]
    remark = f"; {', '.join(single)} in a text is one token there, here it is plain text" if single else ""
    return f"{len(ours)} ids of a text with Korean, emoji and code are equal{remark}"


def _compare_writing(source: Source, runtime: Runtime, tolerance: float) -> tuple[int, int]:
    """Tokens asked for, and how many agree; where two tokens are as likely, both are right."""
    ids = greedy_prompt(source)
    count = min(GREEDY_TOKENS, source.config.model.context_length - len(ids))
    theirs = runtime.write(ids, count)
    for place, token in enumerate(theirs):
        logits = own_logits(source.model, np.array([[*ids, *theirs[:place]]], np.int64))[0, -1]
        if logits.max() - logits[token] > 2 * tolerance:
            return count, place
    return count, min(len(theirs), count)


def continue_by_logits(runtime: Runtime, ids: Sequence[int], count: int) -> list[int]:
    """Greedy text from whole forward passes."""
    seen = list(ids)
    for _ in range(count):
        seen.append(write_greedily(runtime.logits(np.array([seen], np.int64))[0]))
    return seen[len(ids) :]
