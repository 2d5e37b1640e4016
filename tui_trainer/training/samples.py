"""Samples: what the model writes at each evaluation. They cost a training time, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import torch

from tui_trainer.config import SamplingConfig
from tui_trainer.data.quotes import longest_quote
from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.errors import UserError
from tui_trainer.events import SampleGenerated
from tui_trainer.inference.generator import EMPTY_PROMPT, write_tokens
from tui_trainer.inference.settings import settings_from
from tui_trainer.training.learner import Learner

SHARE = 0.05
"""Of the time since the last samples: so much may be spent on the next."""
LEAST_SECONDS = 0.5


class SampleWriter:
    """Goes on from each of the preset's prompts. It reads the weights between two steps, and its random numbers are
    its own, decided by the run's seed and the step, so that a training never notices it.
    """

    def __init__(
        self,
        sampling: SamplingConfig,
        seed: int,
        tokenizer: Tokenizer,
        train: npt.NDArray[np.unsignedinteger],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Writes nothing yet.

        Args:
            sampling: prompts and how tokens are chosen; without prompts there are no samples.
            seed: of the run.
            tokenizer: of the run.
            train: the training side, (N,), in which quotes are looked for.
            clock: seconds; a slow model's samples end early.
        """
        self._prompts = sampling.prompts
        self._settings = settings_from(sampling)
        self._seed = seed
        self._tokenizer = tokenizer
        self._train = train
        self._clock = clock
        self._finished_at = clock()

    def write(self, learner: Learner, step: int, is_cancelled: Callable[[], bool]) -> Iterator[SampleGenerated]:
        """Yields a sample for each prompt, until it is cancelled; the model is in train mode again afterwards."""
        seconds = max(LEAST_SECONDS, SHARE * (self._clock() - self._finished_at))
        learner.model.eval()
        try:
            for number, prompt in enumerate(self._prompts, 1):
                until = self._clock() + seconds / len(self._prompts)
                sample = self._write_one(learner, step, number, prompt, until)
                if is_cancelled():
                    return
                yield sample
        except UserError:  # The logits are not finite: the evaluation has said so already.
            return
        finally:
            learner.model.train()
            self._finished_at = self._clock()

    def _write_one(self, learner: Learner, step: int, number: int, prompt: str, until: float) -> SampleGenerated:
        seed = ((self._seed * 1_000_003 + step) * 1_000_003 + number) % 2**63
        settings = replace(self._settings, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        ids = self._tokenizer.encode_prompt(prompt or EMPTY_PROMPT)[0]
        written: list[int] = []
        with learner.precision.autocast(learner.device):
            for token in write_tokens(learner.model, ids, settings, generator):
                written.append(token)
                if self._clock() > until:
                    break
        start, length = longest_quote(written, self._train)
        decode = self._tokenizer.decode_bytes
        return SampleGenerated(
            step=step,
            prompt=prompt,
            text=decode(written).decode("utf-8", "replace"),
            settings=asdict(settings),
            tokens=len(written),
            quoted_tokens=length,
            quote=decode(written[start : start + length]).decode("utf-8", "replace"),
        )
