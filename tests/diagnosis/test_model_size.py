from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config import ModelConfig
from tui_trainer.diagnosis import find_model_size
from tui_trainer.estimates import parameter_count


@pytest.mark.parametrize(
    ("parameters", "tokens", "epochs"),
    [
        (536_064, 130_000, 2),  # quick-test
        (809_856, 1_003_854, 1.5),  # shakespeare-char
        (1_070_000, 116_000, 10),  # small
        (124_000_000, 9_000_000_000, 33),  # GPT-2 on its own amount of text
        (124_000_000, 1_000, 1),  # one pass cannot be learned by heart
    ],
)
def test_fitting_models_are_no_news(parameters, tokens, epochs):
    assert find_model_size(parameters, tokens, epochs) is None


@pytest.mark.parametrize(
    ("parameters", "tokens", "epochs"),
    [(16_000_000, 4_600, 10), (470_528, 9_227, 33)],  # the-verdict; the recording that overfits
)
def test_models_far_too_big_are_noted(parameters, tokens, epochs):
    assert find_model_size(parameters, tokens, epochs).level == "note"


@pytest.mark.parametrize(("n_embd", "n_layer"), [(512, 4), (512, 8), (768, 12)])
def test_the_guides_large_models_are_too_big_for_the_embedded_text(n_embd, n_layer):
    model = ModelConfig(n_embd=n_embd, n_layer=n_layer, n_head=8)
    assert find_model_size(parameter_count(model, 4096), 130_000, 10)


def test_it_says_parameters_tokens_and_passes():
    advice = find_model_size(16_000_000, 4_600, 10)
    assert advice.evidence == (
        "16 M parameters for 4.6 k training tokens, 3,478 for each, in 10 passes: it will learn the text by heart"
    )
    assert all(word in advice.remedy for word in ("More text", "smaller model", "dropout"))
    assert "bigger" not in advice.remedy
    assert advice.values == {"parameter_count": 16_000_000, "train_tokens": 4_600, "epochs": 10}


@pytest.mark.parametrize(("epochs", "is_noted"), [(5.9, False), (6.0, False), (6.1, True)])
def test_the_limit_is_250_parameters_a_token_and_repeated_pass(epochs, is_noted):
    assert (find_model_size(50_000, 1_000, epochs) is not None) == is_noted


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0, 10**6))
def test_more_data_never_makes_it_worse(parameters, tokens, epochs):
    if find_model_size(parameters, tokens, epochs) is None and tokens:
        assert find_model_size(parameters, 2 * tokens, epochs) is None
