"""One token: every setting at its edges, and the distribution against a plain reference."""

import math

import numpy as np
import pytest
import torch

from tui_trainer.config import SamplingConfig
from tui_trainer.errors import UserError
from tui_trainer.inference.sampling import choose_token
from tui_trainer.inference.settings import SamplingSettings, settings_from

OPEN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


def draw(logits: list[float], count: int = 300, **changes: float) -> list[int]:
    settings = SamplingSettings(**(OPEN | changes))
    random = np.random.default_rng(5)
    return [choose_token(np.array(logits), settings, random) for _ in range(count)]


def probabilities(logits: np.ndarray, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """The distribution, token by token; no two logits may be equal."""
    order = sorted(range(len(logits)), key=lambda token: -logits[token])[: top_k or None]
    weights = {token: math.exp((logits[token] - max(logits)) / temperature) for token in order}
    kept, mass = {}, 0.0
    for token in order:
        if mass >= top_p:
            break
        kept[token] = weights[token]
        mass += weights[token] / sum(weights.values())
    return np.array([kept.get(token, 0.0) / sum(kept.values()) for token in range(len(logits))])


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.7, 8, 0.9), (2.5, 5, 1.0), (1.3, 0, 0.6), (0.3, 0, 0.99)],
)
def test_the_distribution(temperature: float, top_k: int, top_p: float) -> None:
    """Chi-square, with a fixed seed; the bound is five standard deviations above its mean."""
    logits = np.random.default_rng(0).normal(0, 1.5, 12)
    expected = probabilities(logits, temperature, top_k, top_p)
    count = 5000
    drawn = draw(logits.tolist(), count, temperature=temperature, top_k=top_k, top_p=top_p)
    assert (expected > 0).sum() >= 3
    assert_distributed(drawn, expected)


def assert_distributed(drawn: list[int], expected: np.ndarray) -> None:
    count, found = len(drawn), np.bincount(drawn, minlength=len(expected))
    assert found[expected == 0].sum() == 0
    kept = expected > 0
    freedom = kept.sum() - 1
    statistic = ((found[kept] - count * expected[kept]) ** 2 / (count * expected[kept])).sum()
    assert statistic <= freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("top_k", [0, 5])
def test_the_last_bit_of_a_logit_does_not_change_what_is_drawn(top_k: int) -> None:
    logits = np.random.default_rng(4).normal(0, 1.5, 40).astype(np.float32)
    chosen = SamplingSettings(temperature=1.0, top_k=top_k, top_p=1.0)
    for seed in range(200):
        nudged = np.nextafter(logits, np.float32(np.inf if seed % 2 else -np.inf)) if seed % 3 else logits
        drawn = [choose_token(values, chosen, np.random.default_rng(seed)) for values in (logits, nudged)]
        ids = np.sort(np.argsort(-logits)[: top_k or None])
        weights = np.exp(logits[ids].astype(float) - logits.max())
        place = np.searchsorted(weights.cumsum(), np.random.default_rng(seed).random() * weights.sum(), side="right")
        assert drawn == [ids[place], ids[place]], "in the order of the vocabulary"


@pytest.mark.parametrize(("min_p", "temperature"), [(0.1, 1.0), (0.3, 2.0), (1.0, 1.0)])
def test_min_p_keeps_what_is_nearly_as_likely(min_p: float, temperature: float) -> None:
    logits = np.random.default_rng(1).normal(0, 1.5, 12)
    weights = np.exp(logits / temperature)
    weights[weights < min_p * weights.max()] = 0
    assert_distributed(draw(logits.tolist(), 5000, min_p=min_p, temperature=temperature), weights / weights.sum())


@pytest.mark.parametrize("penalty", [1.5, 0.5])
def test_a_repetition_penalty_makes_what_was_there_less_likely(penalty: float) -> None:
    logits = np.array([2.0, 1.0, -1.0, 0.5])
    context = [0, 2, 2, 2]
    changed = logits.copy()
    changed[0], changed[2] = logits[0] / penalty, logits[2] * penalty
    settings, random = SamplingSettings(**OPEN, repetition_penalty=penalty), np.random.default_rng(3)
    drawn = [choose_token(logits, settings, random, context) for _ in range(5000)]
    assert_distributed(drawn, np.exp(changed) / np.exp(changed).sum())
    assert logits.tolist() == [2.0, 1.0, -1.0, 0.5]


def test_a_penalty_can_change_the_likeliest() -> None:
    settings = SamplingSettings(temperature=0.0, repetition_penalty=1.3)
    assert choose_token(np.array([2.0, 1.9]), settings, np.random.default_rng(), [0]) == 1
    assert choose_token(np.array([2.0, 1.9]), settings, np.random.default_rng(), []) == 0


def test_temperature_0_takes_the_likeliest() -> None:
    assert set(draw([0.0, 3.0, 2.999, -5.0], temperature=0.0)) == {1}


@pytest.mark.parametrize("temperature", [1e-30, 5e-324])
def test_a_tiny_temperature_is_nearly_0(temperature: float) -> None:
    assert set(draw([0.0, 3.0, 2.999, -1e4], temperature=temperature)) == {1}
    assert set(draw([3.0, 3.0, 2.0], temperature=temperature)) == {0, 1}


@pytest.mark.parametrize("temperature", [1e30, 1e308])
def test_a_huge_temperature_is_blind(temperature: float) -> None:
    assert set(draw([0.0, 30.0, 100.0, -1000.0], temperature=temperature)) == {0, 1, 2, 3}


@pytest.mark.parametrize("top_k", [1, 2, 3, 7])
def test_top_k_keeps_exactly_k_of_equal_ones(top_k: int) -> None:
    assert len(set(draw([1.0] * 8, top_k=top_k))) == top_k


@pytest.mark.parametrize("top_k", [0, 4, 5, 10**9])
def test_top_k_of_all(top_k: int) -> None:
    assert set(draw([0.0] * 4, top_k=top_k)) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("top_p", "kept"), [(1e-300, {1}), (1e-9, {1}), (0.49, {1}), (0.51, {1, 0}), (0.74, {1, 0}), (0.76, {0, 1, 2})]
)
def test_top_p_keeps_the_token_that_crosses_it(top_p: float, kept: set[int]) -> None:
    """Probabilities 1/4, 1/2, 1/8, 1/8 (1/8, 1/8 are told apart by a little)."""
    logits = [math.log(0.25), math.log(0.5), math.log(0.126), math.log(0.124)]
    assert set(draw(logits, top_p=top_p)) == kept


def test_top_p_comes_after_top_k() -> None:
    """Of the two that top-k leaves, the first holds 2/3; without top-k it would hold 1/2 and need the second."""
    logits = [math.log(0.25), math.log(0.5), math.log(0.126), math.log(0.124)]
    assert set(draw(logits, top_k=2, top_p=0.6)) == {1}
    assert set(draw(logits, top_k=0, top_p=0.6)) == {0, 1}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_has_diverged_is_said_so(bad: float, temperature: float) -> None:
    with pytest.raises(UserError, match="diverged"):
        draw([0.0, bad, 1.0], temperature=temperature)


def test_the_generator_decides_and_the_global_one_is_left_alone() -> None:
    state = torch.get_rng_state()
    first, second = draw([0.0] * 50), draw([0.0] * 50)
    assert first == second
    assert len(set(first)) > 40
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "changes",
    [
        *({"temperature": value} for value in (-1.0, -1e-30, math.nan, math.inf, -math.inf)),
        *({"top_p": value} for value in (0.0, -0.5, 1.0001, math.nan, math.inf)),
        *({"top_k": value} for value in (-1, -(10**9))),
        *({"max_new_tokens": value} for value in (0, -5)),
        *({"seed": value} for value in (-1, 2**63)),
        *({"min_p": value} for value in (-0.1, 1.1, math.nan)),
        *({"repetition_penalty": value} for value in (0.0, -1.0, math.inf, math.nan)),
        {"stop": ("end", "")},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UserError) as caught:
        SamplingSettings(**changes)
    name = next(iter(changes)).replace("_", " ")
    assert name in str(caught.value).replace("-", " ")
    assert len(str(caught.value).splitlines()) <= 3


def test_settings_come_from_the_configuration() -> None:
    config = SamplingConfig(temperature=0.0, top_k=7, top_p=1.0, max_new_tokens=3)
    assert settings_from(config) == SamplingSettings(0.0, 7, 1.0, 3)
