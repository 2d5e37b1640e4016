"""From a configuration, or from a run's folder, to its tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tui_trainer.config import DataConfig
from tui_trainer.data.corpus import Corpus
from tui_trainer.data.text_files import printable
from tui_trainer.data.tokenizers.added_tokens import AddedToken
from tui_trainer.data.tokenizers.bpe import (
    RANKS_FILE,
    BpeTokenizer,
    learn_ranks,
    load_gpt2_ranks,
    read_ranks,
    sample_pieces,
)
from tui_trainer.data.tokenizers.regular_file import read_regular
from tui_trainer.data.tokenizers.symbols import ByteTokenizer, CharTokenizer, learn_alphabet
from tui_trainer.data.tokenizers.tokenizer import FORMAT_VERSION, TABLE_FILE, Tokenizer
from tui_trainer.errors import UserError

_READ_BYTES = 1 << 20


def learn_tokenizer(config: DataConfig, corpus: Corpus, on_chunk: Callable[[], None] = lambda: None) -> Tokenizer:
    """The tokenizer that a configuration asks for.

    `bpe` learns from at most 16 MB, evenly sampled; `char` reads the whole text; the others read nothing.

    Args:
        config: `tokenizer`, and for bpe `vocab_size`; a small text gives fewer tokens.
        corpus: the text, validation part included: an alphabet must know all of it.
        on_chunk: called now and then while the text is read; may raise to stop.

    Raises:
        UserError: when the text cannot be read.
    """

    def chunks() -> Iterator[str]:
        for chunk in corpus.chunks(_READ_BYTES):
            on_chunk()
            yield chunk

    if config.tokenizer == "gpt2":
        return BpeTokenizer("gpt2", load_gpt2_ranks())
    if config.tokenizer == "bytes":
        return ByteTokenizer()
    if config.tokenizer == "char":
        return CharTokenizer(learn_alphabet(chunks()))
    # A list, because an exception of `on_chunk` inside rustbpe's own loop would become a panic.
    pieces = list(sample_pieces(chunks(), corpus.measure().bytes))
    return BpeTokenizer("bpe", learn_ranks(pieces, config.vocab_size))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Reads what `Tokenizer.save` wrote.

    Raises:
        UserError: when a file is missing, damaged or of a newer version.
    """
    try:
        table = json.loads(read_regular(folder / TABLE_FILE))
        if table["format_version"] > FORMAT_VERSION:
            raise UserError(f"{printable(folder)}: made by a newer tui-trainer; install that version to use it")
        tokenizer = _from_table(table, folder)
    except FileNotFoundError as error:
        raise UserError(f"{printable(folder)}: no tokenizer here: {Path(error.filename).name} is missing") from error
    except OSError as error:
        raise UserError(f"{printable(folder)}: the tokenizer cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(folder) from error
    if tokenizer.vocab_size != table.get("vocab_size"):
        raise _damaged(folder)
    return tokenizer


def _from_table(table: dict[str, Any], folder: Path) -> Tokenizer:
    kind = table["kind"]
    if kind == "bytes":
        return ByteTokenizer()
    if kind == "char":
        alphabet = str(table["alphabet"])
        if not alphabet or alphabet != "".join(sorted(set(alphabet.encode().decode()))):
            raise ValueError("the alphabet is not sorted")
        return CharTokenizer(alphabet)
    if kind not in ("bpe", "gpt2"):
        raise ValueError("unknown kind")
    content = read_regular(folder / RANKS_FILE)
    if hashlib.sha256(content).hexdigest() != table["ranks_sha256"]:
        raise ValueError("the ranks have changed")
    special = table.get("special_tokens")
    added = [AddedToken.read(entry) for entry in table.get("added_tokens", ())]
    ranks = read_ranks(content, () if special is None else special.values(), added)
    return BpeTokenizer(kind, ranks, str(table["pattern"]), special, added)


def _damaged(folder: Path) -> UserError:
    return UserError(f"{printable(folder)}: the tokenizer is damaged; take the folder from a copy of the run")
