"""The decoder against the network's own forward in fp32: at every position, however the tokens come."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.config import ModelConfig
from tui_trainer.inference.arithmetic import Arithmetic
from tui_trainer.inference.continuation import Continuation, write_next
from tui_trainer.inference.decoder import Decoder, Memory
from tui_trainer.inference.half_precision import HALF, fits_half, has_half_kernels
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.single_precision import SINGLE
from tui_trainer.model import GPT

VOCAB_SIZE = 50
CONTEXT = 24
TOLERANCE = 2e-5
"""Of logits up to ten: rounding of fp32 sums in another order."""
TOKENS = st.lists(st.integers(0, VOCAB_SIZE - 1), min_size=1, max_size=CONTEXT)


@torch.no_grad()
def make_weights(architecture: str, **changes: object) -> GPT:
    """Half precision holds every one of them exactly, so that both arithmetics are given the same network."""
    shape = {"n_layer": 3, "n_head": 4, "n_embd": 32, "context_length": CONTEXT, "dropout": 0.5} | changes
    config = ModelConfig(architecture=architecture, **shape)
    torch.manual_seed(3)
    model = GPT(config, VOCAB_SIZE).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
        parameter.copy_(parameter.half().float())
    return model


def arrays_of(model: GPT) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


needs_half = pytest.mark.skipif(not has_half_kernels(), reason="torch has no kernels for half precision here")


SHAPES = {
    "gpt2": ("gpt2", {}),
    "gpt2 with erf": ("gpt2", {"activation": "gelu", "layer_norm_epsilon": 0.02}),
    "modern": ("modern", {}),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES, scope="module")
def model(request: pytest.FixtureRequest) -> GPT:
    architecture, changes = request.param
    return make_weights(architecture, **changes)


@pytest.fixture(params=[SINGLE, pytest.param(HALF, marks=needs_half)], ids=["single", "half"], scope="module")
def pair(model: GPT, request: pytest.FixtureRequest) -> tuple[GPT, Decoder]:
    return model, Decoder(arrays_of(model), model.config, VOCAB_SIZE, request.param)


@torch.no_grad()
def forward(model: GPT, tokens: list[int]) -> np.ndarray:
    return model(torch.tensor([tokens]))[0].numpy()


@given(tokens=TOKENS, cuts=st.lists(st.integers(1, CONTEXT), max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_position_equals_the_forward(pair: tuple[GPT, Decoder], tokens: list[int], cuts: list[int]) -> None:
    model, decoder = pair
    memory = Memory(decoder.config)
    borders = sorted({0, len(tokens), *(cut for cut in cuts if cut < len(tokens))})
    parts = [decoder.read_all(memory, tokens[start:end]) for start, end in pairwise(borders)]
    assert memory.length == len(tokens)
    np.testing.assert_allclose(np.concatenate(parts), forward(model, tokens), atol=TOLERANCE)


@needs_half
def test_rounding_hardly_changes_what_comes_next(model: GPT) -> None:
    drawn = torch.Generator().manual_seed(4)
    weights = {
        name: array * (1 + 1e-3 * torch.rand(array.shape, generator=drawn).numpy())
        for name, array in arrays_of(model).items()
    }
    tokens = np.random.default_rng(2).integers(0, VOCAB_SIZE, CONTEXT).tolist()
    exact, rounded = (
        decoder.read_all(Memory(model.config), tokens)
        for decoder in (Decoder(weights, model.config, VOCAB_SIZE, kind) for kind in (SINGLE, HALF))
    )
    assert 5 * TOLERANCE < np.abs(rounded - exact).max() < 0.02 * exact.std()


@pytest.mark.parametrize("arithmetic", [SINGLE, pytest.param(HALF, marks=needs_half)], ids=["single", "half"])
def test_both_forms_of_gelu_are_torchs(arithmetic: Arithmetic) -> None:
    x = np.linspace(-12, 12, 100_001, dtype=np.float32)
    for ours, form in ((arithmetic.gelu, "none"), (arithmetic.gelu_tanh, "tanh")):
        exact = torch.nn.functional.gelu(torch.from_numpy(x).double(), approximate=form).numpy()
        np.testing.assert_allclose(ours(x), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weight", [65_504.0, -65_504.0, 65_505.0, -1e6, float("nan"), float("inf")])
def test_weights_that_half_precision_cannot_hold_are_seen(weight: float) -> None:
    weights = arrays_of(make_weights("modern"))
    assert fits_half(weights.values())
    weights["blocks.1.feed_forward.projection.weight"][0, 0] = weight
    assert fits_half(weights.values()) == (abs(weight) == 65_504.0)


@given(prompts=st.lists(TOKENS, min_size=1, max_size=4), news=st.lists(st.integers(0, VOCAB_SIZE - 1), min_size=4))
@settings(max_examples=40, deadline=None)
def test_sequences_of_any_length_are_read_together(
    pair: tuple[GPT, Decoder], prompts: list[list[int]], news: list[int]
) -> None:
    model, decoder = pair
    prompts = [prompt[: CONTEXT - 1] for prompt in prompts]
    memories = [Memory(decoder.config) for _ in prompts]
    together = decoder.read(list(zip(memories, prompts, strict=True)))
    for row, prompt in zip(together, prompts, strict=True):
        np.testing.assert_allclose(row, forward(model, prompt)[-1], atol=TOLERANCE)
    further = decoder.read([(memory, [new]) for memory, new in zip(memories, news, strict=False)])
    for row, prompt, new in zip(further, prompts, news, strict=False):
        np.testing.assert_allclose(row, forward(model, [*prompt, new])[-1], atol=TOLERANCE)


@pytest.mark.parametrize("length", [1, CONTEXT // 2, CONTEXT, 3 * CONTEXT])
def test_past_the_context_it_begins_anew_from_the_last_half(pair: tuple[GPT, Decoder], length: int) -> None:
    model, decoder = pair
    prompt = np.random.default_rng(1).integers(0, VOCAB_SIZE, length).tolist()
    continuation = Continuation(decoder, prompt, SamplingSettings(temperature=0.0))
    window = prompt[-CONTEXT:]
    for _ in range(2 * CONTEXT):
        window = window if len(window) <= CONTEXT else window[-(CONTEXT // 2) :]
        window.append(int(forward(model, window)[-1].argmax()))
        assert write_next(decoder, [continuation]) == [window[-1]]


def test_a_memory_that_is_forgotten_is_as_new(pair: tuple[GPT, Decoder]) -> None:
    _, decoder = pair
    memory = Memory(decoder.config)
    first = decoder.read([(memory, [1, 2, 3])])
    memory.forget()
    assert (decoder.read([(memory, [1, 2, 3])]) == first).all()


def test_each_of_several_texts_has_random_numbers_of_its_own(pair: tuple[GPT, Decoder]) -> None:
    _, decoder = pair
    chosen = SamplingSettings(temperature=2.0, top_k=0, top_p=1.0, seed=7)

    def write(places: range) -> list[list[int]]:
        texts = [Continuation(decoder, [1, 2], chosen, place) for place in places]
        return [list(text) for text in zip(*(write_next(decoder, texts) for _ in range(12)), strict=True)]

    together = write(range(3))
    assert together == [write(range(place, place + 1))[0] for place in range(3)]
    assert len({tuple(text) for text in together}) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda weights: weights.pop("wte.weight"),
        lambda weights: weights.update({"wte.weight": weights["wte.weight"][:-1]}),
        lambda weights: weights.update({"blocks.3.attention.qkv.weight": weights["blocks.2.attention.qkv.weight"]}),
        lambda weights: weights.update({"final_norm.weight": weights["final_norm.weight"][:5]}),
    ],
)
def test_weights_of_another_network_are_refused(spoil: Callable[[dict[str, np.ndarray]], object]) -> None:
    model = make_weights("gpt2")
    weights = arrays_of(model)
    spoil(weights)
    with pytest.raises(ValueError, match=r"\.weight"):
        Decoder(weights, model.config, VOCAB_SIZE)
