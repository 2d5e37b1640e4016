"""The network against a plain reference that shares no line with it."""

import math

import pytest
import torch
from torch import Tensor

from tui_trainer.config import ModelConfig
from tui_trainer.estimates import parameter_count
from tui_trainer.model import GPT

ARCHITECTURES = ("gpt2", "modern")
both = pytest.mark.parametrize("architecture", ARCHITECTURES)


def make(architecture: str, vocab_size: int = 50, seed: int = 0, **changes: object) -> GPT:
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "context_length": 12, "dropout": 0.0} | changes
    torch.manual_seed(seed)
    return GPT(ModelConfig(architecture=architecture, **shape), vocab_size).eval()


def shaken(architecture: str, **changes: object) -> GPT:
    """Every weight, bias and gain random, so that none of them can be left out unnoticed."""
    model = make(architecture, **changes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + 0.1)
    return model


def tokens(model: GPT, length: int, batch: int = 3) -> Tensor:
    return torch.randint(model.vocab_size, (batch, length), generator=torch.Generator().manual_seed(length))


def layer_norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[f"{name}.weight"]
        + weights[f"{name}.bias"]
    )


def rms_norm(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def turn(vector: Tensor, position: int) -> Tensor:
    """One head's vector (D,) as D / 2 complex numbers, each turned clockwise by its own angle."""
    half = len(vector) // 2
    real, imaginary = [], []
    for pair in range(half):
        angle = position * 10_000.0 ** (-2 * pair / len(vector))
        a, b = vector[pair], vector[pair + half]  # (a + bi) (cos - i sin)
        real.append(a * math.cos(angle) + b * math.sin(angle))
        imaginary.append(b * math.cos(angle) - a * math.sin(angle))
    return torch.stack(real + imaginary)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One head, each (T, D); position by position, so that nothing can look ahead."""
    rows = []
    for place in range(len(query)):
        scores = key[: place + 1] @ query[place] / math.sqrt(query.shape[1])
        weights = (scores - scores.max()).exp()
        rows.append(weights @ value[: place + 1] / weights.sum())
    return torch.stack(rows)


def doubled(model: GPT) -> dict[str, Tensor]:
    return {name: tensor.double().requires_grad_() for name, tensor in model.state_dict().items()}


def reference(model: GPT, sequence: Tensor, weights: dict[str, Tensor] | None = None) -> Tensor:
    """Logits (T, V) of one sequence (T,), in double precision."""
    weights = weights or doubled(model)
    is_modern, width = model.config.architecture == "modern", model.config.n_embd // model.config.n_head

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + (0 if is_modern else weights[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return rms_norm(x) if is_modern else layer_norm(x, weights, name)

    x = weights["wte.weight"][sequence]
    x = rms_norm(x) if is_modern else x + weights["wpe.weight"][: len(sequence)]
    for layer in range(model.config.n_layer):
        block = f"blocks.{layer}"
        parts = linear(norm(x, f"{block}.attention_norm"), f"{block}.attention.qkv").split(model.config.n_embd, -1)
        heads = []
        for query, key, value in zip(*(part.split(width, -1) for part in parts), strict=True):
            if is_modern:
                query, key = (
                    rms_norm(torch.stack([turn(row, place) for place, row in enumerate(part)])) for part in (query, key)
                )
            heads.append(attend(query, key, value))
        x = x + linear(torch.cat(heads, -1), f"{block}.attention.projection")
        inner = linear(norm(x, f"{block}.feed_forward_norm"), f"{block}.feed_forward.expansion")
        if is_modern:
            inner = inner.clamp_min(0) ** 2
        else:
            inner = inner / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        x = x + linear(inner, f"{block}.feed_forward.projection")
    x = norm(x, "final_norm")
    return 15 * torch.tanh(x @ weights["head.weight"].T / 15) if is_modern else x @ weights["wte.weight"].T


@both
@pytest.mark.parametrize("length", [1, 2, 7, 12], ids=["one token", "two", "seven", "the whole context"])
def test_forward_equals_the_reference(architecture: str, length: int) -> None:
    model = shaken(architecture)
    batch = tokens(model, length)
    expected = torch.stack([reference(model, sequence) for sequence in batch])
    assert torch.allclose(model(batch).double(), expected, rtol=1e-4, atol=1e-4)


@both
def test_gradients_equal_the_reference(architecture: str) -> None:
    model = shaken(architecture)
    batch = tokens(model, 9)
    torch.nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).backward()
    weights = doubled(model)
    logits = torch.stack([reference(model, sequence[:-1], weights) for sequence in batch])
    chosen = logits.gather(-1, batch[:, 1:, None]).squeeze(-1)
    (logits.exp().sum(-1).log() - chosen).mean().backward()
    for name, parameter in model.named_parameters():
        found, expected = parameter.grad.double(), weights[name].grad
        assert (found - expected).norm() <= 1e-5 * expected.norm() + 1e-9, name


@both
@pytest.mark.parametrize("vocab_size", [2, 65, 256, 4096, 50_257])
def test_an_untrained_model_guesses(architecture: str, vocab_size: int) -> None:
    model = make(architecture, vocab_size, n_embd=32)
    batch = tokens(model, 12, batch=16)
    loss = torch.nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(vocab_size), rel=0.05)


@both
def test_nothing_is_seen_before_its_time(architecture: str) -> None:
    model = shaken(architecture)
    before = tokens(model, 12)
    for place in (0, 1, 5, 11):
        after = before.clone()
        after[:, place] = (after[:, place] + 1) % model.vocab_size
        is_same = (model(before) == model(after)).all(-1).all(0)
        assert is_same[:place].all()
        assert not is_same[place:].any()


def test_a_tied_head_has_no_parameter_of_its_own() -> None:
    model = make("gpt2")
    assert [name for name, tensor in model.state_dict().items() if tensor.shape[0] == 50] == ["wte.weight"]
    before = model(tokens(model, 5))
    with torch.no_grad():
        model.wte.weight[7] += 1
    assert not torch.equal(before[..., 7], model(tokens(model, 5))[..., 7])


def test_modern_has_matrices_only() -> None:
    model = make("modern")
    assert all(parameter.dim() == 2 for parameter in model.parameters())
    assert not any("norm" in name or "bias" in name for name in model.state_dict())


@both
@pytest.mark.parametrize("vocab_size", [65, 300])
def test_the_estimate_counts_every_parameter(architecture: str, vocab_size: int) -> None:
    model = make(architecture, vocab_size, n_layer=3)
    assert parameter_count(model.config, vocab_size) == sum(parameter.numel() for parameter in model.parameters())


@both
def test_dropout_works_in_training_only(architecture: str) -> None:
    dry, wet = shaken(architecture), shaken(architecture, dropout=0.5)
    batch = tokens(wet, 12)
    state = torch.get_rng_state()
    assert torch.equal(dry(batch), wet(batch))
    assert torch.equal(torch.get_rng_state(), state)
    wet.train()
    assert not torch.equal(wet(batch), wet(batch))


@both
def test_attention_has_dropout_of_its_own(architecture: str) -> None:
    model = shaken(architecture, dropout=0.5).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = tokens(model, 12)
    assert not torch.equal(model(batch), model(batch))
    assert torch.equal(model.eval()(batch), model(batch))


@both
def test_a_copy_on_the_meta_device_draws_no_random_number(architecture: str) -> None:
    original = make(architecture)
    state = torch.get_rng_state()
    with torch.device("meta"):
        copy = GPT(original.config, original.vocab_size)
    assert torch.equal(torch.get_rng_state(), state)
    copy.load_state_dict(original.state_dict(), assign=True)
    assert torch.equal(copy.eval()(tokens(copy, 12)), original(tokens(original, 12)))


@both
def test_the_seed_decides_the_first_weights(architecture: str) -> None:
    first, same, other = (make(architecture, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["wte.weight"], other["wte.weight"])
