"""TextGenerator: speaks from a checkpoint of a run, also while that run trains on."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.data.tokenizers import Tokenizer, load_tokenizer
from tui_trainer.errors import UserError
from tui_trainer.inference.sampling import choose_token
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.model import GPT
from tui_trainer.runs.directory import RunDirectory

MODEL_PREFIX = "model."
EMPTY_PROMPT = "\n"


@dataclass(frozen=True)
class Speaker:
    """Which checkpoint is talking: its step, its validation loss, and what went wrong on loading, if anything."""

    step: int
    val_loss: float | None
    warning: str | None = None


class TextGenerator:
    """Owns a copy of the weights and its own random numbers, so a training in this process never notices it."""

    def __init__(self, run: RunDirectory, which: Literal["best", "last"] = "best") -> None:
        """Reads the tokenizer of the run; weights are loaded by `refresh`.

        Raises:
            UserError: when the run has no usable configuration or tokenizer.
        """
        self._store = CheckpointStore(run.checkpoints)
        self._which = which
        self._config_file = run.config_file
        self._config = run.read_config()
        self._tokenizer: Tokenizer = load_tokenizer(run.tokenizer)
        self._model: GPT | None = None
        self.speaker: Speaker | None = None

    def refresh(self) -> Speaker:
        """Loads the checkpoint that best (or last) points to now, if it is not loaded yet.

        Raises:
            UserError: when there is no checkpoint yet, or none that can be read.
        """
        pointed = self._store.pointer(self._which)
        if self.speaker is not None and pointed == self.speaker.step:
            return self.speaker
        checkpoint = self._store.load(self._which, prefix=MODEL_PREFIX)
        # Building on the meta device draws nothing from torch's global generator, which belongs to the trainer.
        with torch.device("meta"):
            model = GPT(self._config.model, self._tokenizer.vocab_size)
        weights = {name.removeprefix(MODEL_PREFIX): tensor for name, tensor in checkpoint.tensors.items()}
        try:
            model.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise UserError(
                f"{self._config_file}: [model] does not describe the weights; put the old values back"
            ) from error
        self._model = model.eval().requires_grad_(requires_grad=False)
        self.speaker = Speaker(checkpoint.step, checkpoint.metrics.get("val_loss"), checkpoint.warning)
        return self.speaker

    def replaced_characters(self, prompt: str) -> int:
        """How many characters of the prompt the tokenizer does not know and will replace."""
        return self._tokenizer.encode_prompt(prompt)[1]

    def stream(
        self,
        prompt: str,
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool] = lambda: False,
        tokens_per_second: float | None = None,
    ) -> Iterator[str]:
        """Yields text as it is made, never half a character.

        Args:
            prompt: what the text goes on from; it is not repeated. Only its end fits into the context.
            settings: how tokens are chosen.
            is_cancelled: asked after each token.
            tokens_per_second: the pace; None: as fast as it goes.

        Raises:
            UserError: when there is no checkpoint to load or the model has diverged.
        """
        if self._model is None:
            self.refresh()
        model = self._model  # a later refresh must not change the speaker in the middle of a sentence
        assert model is not None
        generator = torch.Generator()
        if settings.seed is None:
            generator.seed()
        else:
            generator.manual_seed(settings.seed)
        ids = self._tokenizer.encode_prompt(prompt or EMPTY_PROMPT)[0]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        started = time.monotonic()
        for token in write_tokens(model, ids, settings, generator):
            if is_cancelled():
                return
            if text := decoder.decode(self._tokenizer.decode_bytes([token])):
                yield text
            if tokens_per_second:
                time.sleep(max(0.0, started + 1 / tokens_per_second - time.monotonic()))
            started = time.monotonic()
        if text := decoder.decode(b"", final=True):
            yield text


def write_tokens(
    model: GPT, ids: Sequence[int], settings: SamplingSettings, generator: torch.Generator
) -> Iterator[int]:
    """Yields `max_new_tokens` token ids that go on from `ids`, of which the model sees the end that fits.

    Args:
        model: in eval mode, on any device.
        ids: at least one.
        settings: how tokens are chosen.
        generator: of the CPU; torch's global one is left alone.

    Raises:
        UserError: when the model has diverged.
    """
    seen = list(ids)
    for _ in range(settings.max_new_tokens):
        seen = seen[-model.config.context_length :]
        token = choose_token(_next_logits(model, seen), settings, generator)
        seen.append(token)
        yield token


@torch.inference_mode()
def _next_logits(model: GPT, ids: list[int]) -> Tensor:
    """The logits (V,) of what follows these ids."""
    hidden = model.hidden_states(torch.tensor([ids], device=model.wte.weight.device))
    return model.logits(hidden[0, -1]).float().cpu()
