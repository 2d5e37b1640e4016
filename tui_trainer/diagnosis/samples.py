"""What a generated text tells: how much of it is quoted, and how much repeats itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tui_trainer.diagnosis.evaluations import figure
from tui_trainer.events import SampleGenerated

PIECE = 8
"""Characters that must come again to count as repeated: longer than most words, and a whole phrase in Korean."""
NOTHING = 0.1
"""Of a text: when less is left without its runs of the same character, there is nothing else in it."""
SHOWN = 40
"""Characters of a text that evidence shows."""
MOST_CHARACTERS = 20_000
"""Of a sample that are looked at."""


@dataclass(frozen=True)
class Sample:
    """What the rules want to know of a generated text."""

    step: int = 0
    quoted_share: float = 0.0
    """The share of its tokens in the longest piece that stands letter for letter in the training text."""
    quote: str = ""
    """The beginning of that piece."""
    quote_length: int = 0
    """Its characters."""
    repeated_share: float = 0.0
    """The share of the text that stood in it before."""
    repeated: str = ""
    """The piece of it that comes most often."""
    temperature: float | None = None


def read_sample(event: SampleGenerated) -> Sample:
    """The figures of one generated text."""
    repeated_share, repeated = measure_repetition(event.text)
    temperature = event.settings.get("temperature")
    return Sample(
        event.step,
        event.quoted_tokens / event.tokens if event.tokens > 0 else 0.0,
        shorten(event.quote),
        len(event.quote),
        repeated_share,
        shorten(repeated),
        figure(temperature) if isinstance(temperature, int | float) else None,
    )


def measure_repetition(text: str) -> tuple[float, str]:
    """The share of the text's pieces of eight characters that came before, and the one that comes most often.

    Characters, not words: that holds for any tokenizer and for languages without spaces. Runs of the same
    character or of spaces count once, because tables and code have them; a text of nothing else repeats itself.
    Too short a text repeats nothing.
    """
    whole = text[:MOST_CHARACTERS]
    text = re.sub(r"(\W)\1+", r"\1", re.sub(r"\s+", " ", whole)).strip()
    if len(whole) >= 2 * PIECE and len(text) <= NOTHING * len(whole):
        return 1 - len(text) / len(whole), whole[:PIECE].replace("\n", "⏎").replace(" ", "␣")
    pieces = Counter(text[start : start + PIECE] for start in range(len(text) - PIECE + 1))
    count = pieces.total()
    if count < 2 * PIECE:
        return 0.0, ""
    return 1 - len(pieces) / count, pieces.most_common(1)[0][0]


def shorten(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 4 * SHOWN].split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1].rstrip() + "…"
