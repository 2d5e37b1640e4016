"""Samples: what the model writes at each evaluation. They cost a training time, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import torch

from tui_trainer.config import RunConfig
from tui_trainer.data.quotes import longest_quote
from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.errors import UserError
from tui_trainer.estimates import sample_tokens
from tui_trainer.events import SampleGenerated
from tui_trainer.inference.generator import EMPTY_PROMPT, write_tokens
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
        """A sample for each prompt, or None when it was cancelled; the model is in train mode again afterwards."""
        settings = replace(settings_from(config.sampling), max_new_tokens=sample_tokens(config))
        samples = []
        learner.model.eval()
        try:
            for number, prompt in enumerate(config.sampling.prompts, 1):
                seed = ((config.training.seed * 1_000_003 + step) * 1_000_003 + number) % 2**63
                sample = self._write_one(learner, step, prompt, replace(settings, seed=seed), is_cancelled)
                if sample is None:
                    return None
                samples.append(sample)
        except UserError:  # The logits are not finite: the next step says so.
            return samples
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return samples  # A run must not end for want of a sample.
        finally:
            learner.model.train()
        return samples

    def _write_one(
        self, learner: Learner, step: int, prompt: str, settings: SamplingSettings, is_cancelled: Callable[[], bool]
    ) -> SampleGenerated | None:
        generator = torch.Generator().manual_seed(settings.seed or 0)
        ids = self._tokenizer.encode_prompt(prompt or EMPTY_PROMPT)[0]
        written: list[int] = []
        with learner.precision.autocast(learner.device):
            for token in write_tokens(learner.model, ids, settings, generator):
                written.append(token)
                if is_cancelled():
                    return None
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
