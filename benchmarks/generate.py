"""How fast text is written: tokens a second against transformers' `generate`, and the time to the first token.

    python benchmarks/generate.py [--rounds 5] [--tokens 100]

The same weights, drawn at random, batch 1, on the processor with all cores, by turns; medians. half is what is written
with on x86; single elsewhere, and beside a training. Quiet machines only: torch's threads wait for each other, and
another program on their cores makes them wait long.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tui_trainer.config import ModelConfig
from tui_trainer.inference.continuation import Continuation, write_next
from tui_trainer.inference.decoder import Decoder, Memory
from tui_trainer.inference.half_precision import HALF
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.single_precision import SINGLE
from tui_trainer.model import GPT
from tui_trainer.model.hugging_face import describe, hugging_face_layout

SIZES = {
    "10M": (ModelConfig(n_layer=6, n_head=6, n_embd=384, context_length=256), 65),
    "124M": (ModelConfig(n_layer=12, n_head=12, n_embd=768, context_length=1024), 50_257),
}
ARITHMETICS = {"single": SINGLE, "half": HALF}
PROMPT = [1, 2, 3, 4]
FIRST_PROMPT_TOKENS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=100)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {options.rounds} rounds of {options.tokens} tokens")
    for name, (config, vocab_size) in SIZES.items():
        compare(name, config, vocab_size, options.rounds, options.tokens)


def compare(name: str, config: ModelConfig, vocab_size: int, rounds: int, tokens: int) -> None:
    torch.manual_seed(0)
    model = GPT(config, vocab_size).eval().requires_grad_(requires_grad=False)
    theirs = transformers_of(model)
    weights = {part: tensor.numpy() for part, tensor in model.state_dict().items()}
    makers = {way: partial(Decoder, weights, config, vocab_size, kind) for way, kind in ARITHMETICS.items()}
    single, half = decoders = [make() for make in makers.values()]
    ways = {"transformers": lambda: write_there(theirs, tokens)}
    ways |= {way: partial(write_here, decoder, tokens) for way, decoder in zip(makers, decoders, strict=True)}
    rates = {way: [] for way in ways}
    for turn in range(rounds + 1):  # the first is for warming up
        for way, write in ways.items():
            write()  # each has threads of its own, and those of the one before go on waiting for a while
            seconds = timed(write)
            if turn:
                rates[way].append(tokens / seconds)
    for way, found in rates.items():
        ratio = statistics.median(ours / there for there, ours in zip(rates["transformers"], found, strict=True))
        print(f"{name:>5} {way:>12}: {statistics.median(found):4.0f} tokens/s, ratio {ratio:.2f} (goal 3)")
    firsts = [1000 * timed(lambda: first_token(half)) for _ in range(rounds)]
    print(f"{name:>5} first token of {FIRST_PROMPT_TOKENS} after {statistics.median(firsts):.0f} ms (goal of 10M: 100)")
    for way, make in makers.items():
        print(f"{name:>5} {way:>12}: loading takes {1000 * timed(make):.0f} ms beyond reading the file")
    difference = np.abs(logits_of(half) - (exact := logits_of(single))).max() / exact.std()
    print(f"{name:>5} logits of half differ by at most {difference:.1e} of their spread")


def logits_of(decoder: Decoder) -> np.ndarray:
    return decoder.read_all(Memory(decoder.config), np.arange(64) % decoder.vocab_size)


def transformers_of(model: GPT) -> GPT2LMHeadModel:
    """The same weights in transformers' own network."""
    config = model.config
    shape = GPT2Config(
        vocab_size=model.vocab_size, n_positions=config.context_length, n_embd=config.n_embd,
        n_layer=config.n_layer, n_head=config.n_head, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(shape).eval()
    _, tensors = describe(hugging_face_layout(config), config, model.vocab_size, model.state_dict())
    missing = theirs.load_state_dict(tensors, strict=False).missing_keys
    assert set(missing) <= {"lm_head.weight"}
    theirs.tie_weights()
    return theirs


def write_there(model: GPT2LMHeadModel, tokens: int) -> None:
    model.generate(
        torch.tensor([PROMPT]), attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long), pad_token_id=0,
        max_new_tokens=tokens, min_new_tokens=tokens, do_sample=True, temperature=0.8, top_k=40, top_p=0.95,
    )  # fmt: skip


def write_here(decoder: Decoder, tokens: int) -> None:
    continuation = Continuation(decoder, PROMPT, SamplingSettings(seed=1))
    for _ in range(tokens):
        write_next(decoder, [continuation])


def first_token(decoder: Decoder) -> None:
    prompt = np.arange(FIRST_PROMPT_TOKENS) % decoder.vocab_size
    write_next(decoder, [Continuation(decoder, prompt.tolist(), SamplingSettings(seed=1))])


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
