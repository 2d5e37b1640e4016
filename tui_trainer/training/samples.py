"""Samples: what the model writes at each evaluation. They cost a training time, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt

from tui_trainer.config import RunConfig
from tui_trainer.data.quotes import longest_quote
from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.errors import UserError
from tui_trainer.estimates import sample_tokens
from tui_trainer.events import SampleGenerated
from tui_trainer.inference.continuation import Continuation, write_next
from tui_trainer.inference.decoder import Decoder
from tui_trainer.inference.generator import EMPTY_PROMPT
from tui_trainer.inference.settings import SamplingSettings, settings_from
from tui_trainer.training.failures import is_out_of_memory
from tui_trainer.training.learner import Learner


class SampleWriter:
    """Goes on from each of the preset's prompts.

    It reads the weights between two steps, and its random numbers are its own, decided by the run's seed and the
    step: a training never notices it, and two runs write the same.
    """

    def __init__(self, tokenizer: Tokenizer, train: npt.NDArray[np.unsignedinteger]) -> None:
        """Writes nothing yet.

        Args:
            tokenizer: of the run.
            train: the training side, (N,), in which quotes are looked for.
        """
        self._tokenizer = tokenizer
        self._train = train

    def write(
        self, learner: Learner, config: RunConfig, step: int, is_cancelled: Callable[[], bool]
    ) -> list[SampleGenerated] | None:
        """A sample for each prompt, or None when it was cancelled."""
        settings = replace(settings_from(config.sampling), max_new_tokens=sample_tokens(config))
        try:
            decoder = Decoder(learner.weights(), config.model, self._tokenizer.vocab_size)
            texts = [
                _Text(decoder, self._tokenizer, prompt, replace(settings, seed=_seed(config, step, number)))
                for number, prompt in enumerate(config.sampling.prompts, 1)
            ]
            for _ in range(settings.max_new_tokens):
                _write_on(decoder, texts)
                if is_cancelled():
                    return None
        except UserError:  # The logits are not finite: the next step says so.
            return []
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return []  # A run must not end for want of a sample.
        return [self._describe(text, step) for text in texts]

    def _describe(self, text: _Text, step: int) -> SampleGenerated:
        start, length = longest_quote(text.written, self._train)
        decode = self._tokenizer.decode_bytes
        return SampleGenerated(
            step=step,
            prompt=text.prompt,
            text=decode(text.written).decode("utf-8", "replace"),
            settings=asdict(text.settings),
            tokens=len(text.written),
            quoted_tokens=length,
            quote=decode(text.written[start : start + length]).decode("utf-8", "replace"),
        )


class _Text:
    """What is written after one prompt."""

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, prompt: str, settings: SamplingSettings) -> None:
        ids = tokenizer.encode_prompt(prompt or EMPTY_PROMPT)[0]
        self.prompt, self.settings = prompt, settings
        self.continuation = Continuation(decoder, ids, settings)
        self.written: list[int] = []


def _write_on(decoder: Decoder, texts: Sequence[_Text]) -> None:
    """One more token of each; a preset without prompts has none."""
    tokens = write_next(decoder, [text.continuation for text in texts])
    for text, token in zip(texts, tokens, strict=True):
        text.written.append(token)


def _seed(config: RunConfig, step: int, number: int) -> int:
    return ((config.training.seed * 1_000_003 + step) * 1_000_003 + number) % 2**63
