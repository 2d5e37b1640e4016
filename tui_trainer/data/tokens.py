"""Text to token ids in a file that is mapped into memory, made once for a text and a tokenizer."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tui_trainer import places
from tui_trainer.config import DataConfig
from tui_trainer.data.corpus import Corpus, Measure
from tui_trainer.data.text_cuts import MayCut, pieces, split_sides
from tui_trainer.data.text_files import printable, refusal
from tui_trainer.data.token_cache import entry_key, new_entry, private_folder, remove_entry
from tui_trainer.data.tokenizers import Tokenizer, learn_tokenizer, load_tokenizer
from tui_trainer.errors import UserError

Tokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
OnProgress = Callable[[int, int], None]

TOKENS_FILE = "tokens.bin"
HEADER_FILE = "header.json"
_READ_BYTES = 1 << 20
"""Bytes between two calls of `on_progress`: about a tenth of a second of encoding."""


@dataclass(frozen=True)
class TokenSplit:
    """The two sides of a text as ids; both arrays look into one mapped file that nobody changes."""

    train: Tokens
    """(N,), the text before the split."""
    val: Tokens
    """(M,), the text after it."""
    fingerprint: str
    """sha256 of the whole text."""
    train_bytes: int
    val_bytes: int


def tokens_key(text_fingerprint: str, tokenizer_fingerprint: str, val_fraction: float) -> str:
    """The name under which tokens are kept: what decides every one of them, and nothing of where the text lies."""
    return entry_key("tokens", text_fingerprint, tokenizer_fingerprint, val_fraction)


def find_tokens(key: str, spare: Path | None = None, cache: Path | None = None) -> TokenSplit | None:
    """Tokens that were made before, without a look at the text; None when they are not there any more."""
    found = (_map_entry(folder / key) for folder in (cache or _cache_folder(), spare) if folder)
    return next((split for split in found if split is not None), None)


def prepare_tokens(
    corpus: Corpus,
    config: DataConfig,
    *,
    tokenizer: Tokenizer | None,
    on_progress: OnProgress,
    spare: Path | None = None,
    cache: Path | None = None,
) -> tuple[Tokenizer, TokenSplit]:
    """Checks, splits and encodes the text, or finds that done in the cache.

    Args:
        corpus: the text.
        config: tokenizer, vocab_size, val_fraction.
        tokenizer: that of a resumed run; None: the one that `config` asks for.
        on_progress: told (bytes done, bytes to do) about every megabyte, two passes over the text together; what
            it raises ends the work and leaves nothing half-written.
        spare: where tokens are kept when the cache cannot be written; None: nowhere.
        cache: where entries are kept; None: the user's cache folder. One that cannot be written is done without.

    Raises:
        UserError: when the text cannot be read or changes meanwhile, or no disk has room for the tokens.
    """
    cache = cache or _cache_folder()
    total = 2 * corpus.size_bytes
    measure = corpus.measure(lambda done: on_progress(min(done, total), total))
    total = 2 * measure.bytes
    if tokenizer is None:
        tokenizer = _learn(corpus, config, measure, cache, lambda: on_progress(measure.bytes, total))
    key = tokens_key(measure.fingerprint, tokenizer.fingerprint, config.val_fraction)
    split = find_tokens(key, spare, cache)
    if split is None:
        split = _encode(corpus, config, tokenizer, [folder for folder in (cache, spare) if folder], key, on_progress)
    on_progress(total, total)
    return tokenizer, split


def _cache_folder() -> Path:
    return places.cache_folder() / "tokens"


def _learn(
    corpus: Corpus, config: DataConfig, measure: Measure, cache: Path, on_chunk: Callable[[], None]
) -> Tokenizer:
    """The tokenizer that `config` asks for, learned once a text."""
    if config.tokenizer in ("gpt2", "bytes"):
        return learn_tokenizer(config, corpus)
    size = config.vocab_size if config.tokenizer == "bpe" else None
    key = entry_key("tokenizer", measure.fingerprint, config.tokenizer, size)
    try:
        return load_tokenizer(cache / key)
    except UserError:
        remove_entry(cache, key)
    tokenizer = learn_tokenizer(config, corpus, on_chunk)
    try:
        with new_entry(cache, key) as folder:
            tokenizer.save(folder)
    except OSError:  # Without a cache it is learned again the next time.
        pass
    return tokenizer


def _encode(
    corpus: Corpus, config: DataConfig, tokenizer: Tokenizer, folders: list[Path], key: str, on_progress: OnProgress
) -> TokenSplit:
    """Writes and maps a new entry in the first folder that can be written; else in a temporary one."""
    for folder in folders:
        remove_entry(folder, key)
        try:
            return _write_entry(corpus, config, tokenizer, new_entry(folder, key), on_progress)
        except OSError:
            continue
    try:
        return _write_entry(corpus, config, tokenizer, private_folder(), on_progress)
    except OSError as error:
        raise _no_room(error, folders[0], corpus.measure().bytes) from error


def _no_room(error: OSError, cache: Path, size_bytes: int) -> UserError:
    try:
        temporary: Path | str = Path(tempfile.gettempdir())
    except OSError:
        temporary = "no temporary folder"
    need = f"about {max(1, size_bytes >> 20)} MB"
    return refusal(
        cache,
        f"the tokens cannot be written here nor in {printable(temporary)}: {error.strerror}",
        f"free {need}, or set XDG_CACHE_HOME or TMPDIR to a folder with room",
    )


def _write_entry(
    corpus: Corpus,
    config: DataConfig,
    tokenizer: Tokenizer,
    place: AbstractContextManager[Path],
    on_progress: OnProgress,
) -> TokenSplit:
    measure = corpus.measure()
    split_byte = int(measure.bytes * (1 - config.val_fraction))
    with place as folder:
        writer = _TokenWriter(folder / TOKENS_FILE, token_type(tokenizer.vocab_size), tokenizer)
        for done in writer.write(split_sides(corpus.chunks(_READ_BYTES), split_byte)):
            on_progress(min(measure.bytes + done, 2 * measure.bytes), 2 * measure.bytes)
        if writer.fingerprint() != measure.fingerprint:
            raise refusal(corpus.name, "the text changed while it was read", "start again")
        header = {"fingerprint": measure.fingerprint, "dtype": writer.dtype.str, "vocab_size": tokenizer.vocab_size}
        for side, name in enumerate(("train", "val")):
            header |= {f"{name}_tokens": writer.tokens[side], f"{name}_bytes": writer.bytes[side]}
        (folder / HEADER_FILE).write_text(json.dumps(header, indent=1))
        return _map(folder, header)


def token_type(vocab_size: int) -> np.dtype[Any]:
    """The smallest type that holds every id below `vocab_size`."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


class _TokenWriter:
    """Encodes the chunks of both sides into one file and counts what it wrote."""

    def __init__(self, path: Path, dtype: np.dtype[Any], tokenizer: Tokenizer) -> None:
        self.dtype = dtype
        self.tokens = [0, 0]
        self.bytes = [0, 0]
        self._path = path
        self._tokenizer = tokenizer
        self._digest = hashlib.sha256()

    def fingerprint(self) -> str:
        """The sha256 of the text that was written."""
        return self._digest.hexdigest()

    def write(self, marked_chunks: Iterator[tuple[int, str]]) -> Iterator[int]:
        """Writes everything; yields the bytes of text done so far after each piece."""
        with self._path.open("wb") as file:
            for side, piece in _pieces_of_sides(marked_chunks, self._tokenizer.may_cut):
                content = piece.encode()
                self._digest.update(content)
                ids = self._tokenizer.encode(piece)
                file.write(ids.astype(self.dtype).tobytes())
                self.tokens[side] += len(ids)
                self.bytes[side] += len(content)
                yield sum(self.bytes)
            file.flush()
            # A crash of the machine must not leave a file of the right length that is full of zeros.
            os.fsync(file.fileno())


def _pieces_of_sides(marked_chunks: Iterator[tuple[int, str]], may_cut: MayCut) -> Iterator[tuple[int, str]]:
    """Pieces never reach over the split: the training side ends before the validation side begins."""
    for side, chunks in groupby(marked_chunks, key=itemgetter(0)):
        yield from ((side, piece) for piece in pieces((chunk for _, chunk in chunks), may_cut=may_cut))


def _map_entry(folder: Path) -> TokenSplit | None:
    """A finished entry, or None when there is none or it does not fit its header."""
    try:
        header = json.loads((folder / HEADER_FILE).read_bytes())
        count = header["train_tokens"] + header["val_tokens"]
        size = count * np.dtype(header["dtype"]).itemsize
        return _map(folder, header) if (folder / TOKENS_FILE).stat().st_size == size else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _map(folder: Path, header: dict[str, Any]) -> TokenSplit:
    tokens = np.memmap(folder / TOKENS_FILE, np.dtype(header["dtype"]), mode="r")
    border = header["train_tokens"]
    return TokenSplit(
        tokens[:border], tokens[border:], header["fingerprint"], header["train_bytes"], header["val_bytes"]
    )
