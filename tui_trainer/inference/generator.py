"""TextGenerator: writes with a checkpoint of a run, also while that run trains on, or with an exported model."""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.inference.continuation import Continuation, write_next
from tui_trainer.inference.decoder import Decoder
from tui_trainer.inference.half_precision import HALF, fits_half, has_half_kernels
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.single_precision import SINGLE
from tui_trainer.inference.sources import Speaker, open_source
from tui_trainer.inference.stops import StopFinder
from tui_trainer.inference.threads import on_one_core
from tui_trainer.inference.writer import prompt_remarks
from tui_trainer.model.mismatches import demand_match
from tui_trainer.runs.directory import RunDirectory

EMPTY_PROMPT = "\n"


@dataclass(frozen=True)
class Piece:
    """A part of a text: what can be shown, of how many tokens, and why it is the last one, if it is."""

    text: str
    tokens: int
    finish: Literal["stop", "length"] | None = None


class TextGenerator:
    """Owns a copy of the weights and its own random numbers, so a training in this process never notices it."""

    def __init__(self, place: RunDirectory | Path, which: Literal["best", "last"] = "best") -> None:
        """Opens a run or an exported folder; the weights of a run are loaded by `refresh`.

        Args:
            place: the run, or the folder.
            which: the checkpoint of a run.

        Raises:
            UserError: when it has no usable configuration or tokenizer, or the folder no usable weights.
        """
        self._source = open_source(place, which)
        self._lock = threading.Lock()
        """Held while weights are loaded: a cancelled text may still be at it when the next one begins."""
        self._decoder: Decoder | None = None
        self.tokenizer = self._source.tokenizer
        self.speaker: Speaker | None = None
        self._loaded: tuple[int | None, bool] | None = None
        """Which checkpoint, and whether for half precision."""

    @property
    def context_length(self) -> int:
        """Tokens that the model sees at once."""
        return self._source.config.context_length

    def refresh(self, *, is_alone: bool) -> Speaker:
        """Loads the checkpoint that best (or last) points to now, if it is not loaded yet.

        Args:
            is_alone: whether nothing trains beside the texts to come. Then matrices in half precision, where there
                are kernels for them, write up to twice as fast; but torch's threads would wait for a training's.

        Raises:
            UserError: when there is no checkpoint yet, or none that can be read.
        """
        with self._lock:
            wanted = (self._source.pointed(), is_alone and has_half_kernels())
            if self.speaker is not None and wanted == self._loaded:
                return self.speaker
            weights, speaker = self._source.load()
            arithmetic = HALF if wanted[1] and fits_half(weights.values()) else SINGLE
            config, vocab_size = self._source.config, self.tokenizer.vocab_size
            demand_match(self._source.config_file, config, vocab_size, weights)
            decoder = Decoder(weights, config, vocab_size, arithmetic)
            self._decoder, self.speaker, self._loaded = decoder, speaker, wanted
            return speaker

    def hold(self) -> TextGenerator:
        """One that goes on with the weights of now, whatever this one loads later."""
        return copy(self)

    def remarks(self, prompt: str) -> list[str]:
        """What is to be known of a prompt; see `prompt_remarks`."""
        ids, replaced = self.tokenizer.encode_prompt(prompt)
        return prompt_remarks(replaced, len(ids), self.context_length)

    def stream(
        self,
        prompt: str,
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool] = lambda: False,
        tokens_per_second: float | None = None,
    ) -> Iterator[str]:
        """Yields text as it is made, never half a character. See `pieces`."""
        for piece in self.pieces(prompt, settings, is_cancelled, tokens_per_second):
            if piece.text:
                yield piece.text

    def pieces(
        self,
        prompt: str | Sequence[int],
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool] = lambda: False,
        tokens_per_second: float | None = None,
    ) -> Iterator[Piece]:
        """Yields a piece for each token; the last one says why it is the last.

        Args:
            prompt: what the text goes on from, as text or as token ids; it is not repeated. Only its end fits.
            settings: how tokens are chosen.
            is_cancelled: asked after each token; the text then ends without a last piece.
            tokens_per_second: the pace, beside a training of this process; None: as fast as it goes.

        Raises:
            UserError: when there is no checkpoint to load or the model has diverged.
        """
        for (piece,) in self.pieces_together([prompt], settings, is_cancelled, tokens_per_second):
            yield piece

    def pieces_together(
        self,
        prompts: Sequence[str | Sequence[int]],
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool] = lambda: False,
        tokens_per_second: float | None = None,
    ) -> Iterator[list[Piece]]:
        """The same for several prompts at once: a piece of each; a text that is over has empty ones.

        With a seed each text has random numbers of its own: the seed, and its place in the list.
        """
        if self._decoder is None:
            self.refresh(is_alone=tokens_per_second is None)
        assert self._decoder is not None
        decoder = self._decoder  # a later refresh must not change the speaker in the middle of a sentence
        texts = [_Text(decoder, self.tokenizer, prompt, settings, place) for place, prompt in enumerate(prompts)]
        with on_one_core() if tokens_per_second else nullcontext():
            yield from self._write(decoder, texts, is_cancelled, tokens_per_second)

    def _write(
        self,
        decoder: Decoder,
        texts: Sequence[_Text],
        is_cancelled: Callable[[], bool],
        tokens_per_second: float | None,
    ) -> Iterator[list[Piece]]:
        due = time.monotonic()
        while going := [text for text in texts if text.finish is None]:
            tokens = write_next(decoder, [text.continuation for text in going])
            if is_cancelled():
                return
            fresh = dict(zip(map(id, going), tokens, strict=True))
            yield [text.take(fresh[id(text)]) if id(text) in fresh else Piece("", 0, text.finish) for text in texts]
            if tokens_per_second:
                due = max(due + 1 / tokens_per_second, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))


class _Text:
    """One of the texts that are written together: tokens to characters, and where it ends."""

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        prompt: str | Sequence[int],
        settings: SamplingSettings,
        place: int,
    ) -> None:
        ids = tokenizer.encode_prompt(prompt or EMPTY_PROMPT)[0] if isinstance(prompt, str) else prompt
        self.continuation = Continuation(decoder, ids, settings, place)
        self.finish: Literal["stop", "length"] | None = None
        self._left = settings.max_new_tokens
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = StopFinder(settings.stop)

    def take(self, token: int) -> Piece:
        self._left -= 1
        is_end = not self._tokenizer.token_byte_lengths[token]  # as GPT-2's end of text: it stands for no text
        text = "" if is_end else self._stops.take(self._decoder.decode(self._tokenizer.decode_bytes([token])))
        if (is_end or not self._left) and not self._stops.is_over:
            text += self._stops.take(self._decoder.decode(b"", final=True)) + self._stops.rest()
        if is_end or self._stops.is_over:
            self.finish = "stop"
        elif not self._left:
            self.finish = "length"
        return Piece(text, 1, self.finish)
