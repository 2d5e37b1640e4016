"""Too much model for the data, which can be said before anything has run."""

from __future__ import annotations

from tui_trainer.diagnosis.advice import Advice

RULE = "model_size"
MOST_REHEARSALS = 250.0
"""Parameters a token, times the passes after the first: a first pass cannot be learned by heart.

The recorded overfitting run, 51 parameters a token, turns after five passes: 51 · 5.
"""
REMEDY = "More text, a smaller model or fewer epochs; with little text, dropout 0.2 to 0.3."


def find_model_size(parameter_count: int, train_tokens: int, epochs: float) -> Advice | None:
    """The note that the model is so big that it will learn this text by heart, or None.

    Args:
        parameter_count: of the model.
        train_tokens: different tokens to learn from.
        epochs: passes over them.
    """
    if train_tokens <= 0 or parameter_count * (epochs - 1) <= MOST_REHEARSALS * train_tokens:
        return None
    ratio = parameter_count / train_tokens
    evidence = (
        f"{_short(parameter_count)} parameters for {_short(train_tokens)} training tokens, {ratio:,.0f} for each, "
        f"in {epochs:,.{0 if epochs >= 10 else 1}f} passes: it will learn the text by heart"
    )
    values = {"parameter_count": parameter_count, "train_tokens": train_tokens, "epochs": epochs}
    return Advice(RULE, "note", evidence, REMEDY, values)


def _short(count: int) -> str:
    for size, unit in ((1_000_000_000, " B"), (1_000_000, " M"), (1_000, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)
