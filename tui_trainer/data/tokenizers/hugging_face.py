"""The tokenizer of a Hugging Face folder: what `AutoTokenizer` reads, written and read.

Written by the `tokenizers` package, which is what reads it elsewhere; read as the JSON it is, so that a base
model from a folder needs no package more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tui_trainer.data.text_files import printable
from tui_trainer.data.tokenizers.added_tokens import AddedToken
from tui_trainer.data.tokenizers.bpe import (
    END_OF_TEXT,
    GPT2_PATTERN,
    BpeTokenizer,
    beside_ranks,
    check_ids,
    load_gpt2_ranks,
)
from tui_trainer.data.tokenizers.choice import load_tokenizer
from tui_trainer.data.tokenizers.merges import byte_letters, merges_of, ranks_of, spelt_by, to_letters
from tui_trainer.data.tokenizers.regular_file import read_regular
from tui_trainer.data.tokenizers.symbols import ByteTokenizer, CharTokenizer
from tui_trainer.data.tokenizers.tokenizer import TABLE_FILE, Tokenizer
from tui_trainer.errors import INSTALL_EXTRAS, UserError

CONFIG_FILE = "tokenizer_config.json"
VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
ADDED_FILE = "added_tokens.json"
SPECIAL_FILE = "special_tokens_map.json"

_FOREIGN_SETTINGS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")


def hugging_face_files(tokenizer: Tokenizer, context_length: int) -> dict[str, bytes]:
    """`tokenizer.json` and `tokenizer_config.json`, by file name; their ids are those of `tokenizer`.

    Raises:
        UserError: when the `tokenizers` package is missing, or the table was not learned by byte-pair encoding.
    """
    try:
        import tokenizers  # noqa: F401
    except ImportError as error:
        raise UserError(f"writing tokenizer.json needs the tokenizers package\ninstall it {INSTALL_EXTRAS}") from error
    try:
        content = _backend(tokenizer).to_str()
    except ValueError as error:
        raise UserError(f"this tokenizer cannot be written as tokenizer.json: {error}") from error
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "clean_up_tokenization_spaces": False,
    }
    special = getattr(tokenizer, "special_tokens", {})
    if len(special) == 1:
        config |= dict.fromkeys(("bos_token", "eos_token"), next(iter(special)))
    return {TABLE_FILE: content.encode(), CONFIG_FILE: json.dumps(config, indent=1).encode()}


def load_hugging_face_tokenizer(folder: Path) -> Tokenizer:
    """Reads `tokenizer.json`, or GPT-2's `vocab.json` and `merges.txt`, or what `Tokenizer.save` wrote.

    Raises:
        UserError: when a file is missing, damaged, or of a tokenizer whose ids ours could not give.
    """
    try:
        if (folder / TABLE_FILE).exists() or not (folder / VOCABULARY_FILE).exists():
            table = _read_json(folder / TABLE_FILE)
            if "kind" in table:
                return load_tokenizer(folder)
            return _from_backend(table, _added_entries(folder, table.get("added_tokens") or ()))
        return _from_vocabulary(folder)
    except FileNotFoundError as error:
        raise UserError(f"{printable(folder)}: no tokenizer here: {Path(error.filename).name} is missing") from error
    except OSError as error:
        raise UserError(f"{printable(folder)}: the tokenizer cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"{printable(folder / TABLE_FILE)}: not a tokenizer that can be used here: {reason}\n"
            "byte-level BPE as GPT-2's, characters and bytes can be read"
        ) from error


def _backend(tokenizer: Tokenizer) -> Any:
    """The same tokenizer as the `tokenizers` package has it."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models

    if isinstance(tokenizer, BpeTokenizer):
        merges = [(to_letters(left), to_letters(right)) for left, right in merges_of(tokenizer.ranks)]
        vocabulary = {to_letters(token): rank for token, rank in tokenizer.ranks.items()}
        vocabulary |= tokenizer.special_tokens | {token.content: token.id for token in tokenizer.added_tokens}
        made = Backend(models.BPE(vocab=vocabulary, merges=merges))
        made.add_special_tokens(sorted(tokenizer.special_tokens, key=tokenizer.special_tokens.__getitem__))
        made.add_tokens([_added_to_backend(token) for token in tokenizer.added_tokens])
        made.pre_tokenizer, made.decoder = _word_cutter(tokenizer.pattern), decoders.ByteLevel()
    elif isinstance(tokenizer, ByteTokenizer):
        made = Backend(models.BPE(vocab={letter: byte for byte, letter in enumerate(byte_letters())}, merges=[]))
        made.pre_tokenizer, made.decoder = _word_cutter(None), decoders.ByteLevel()
    elif isinstance(tokenizer, CharTokenizer):
        vocabulary = {letter: index for index, letter in enumerate(tokenizer.alphabet)}
        made = Backend(models.BPE(vocab=vocabulary, merges=[], unk_token=tokenizer.stand_in, fuse_unk=False))
        made.decoder = decoders.Fuse()
    else:
        raise ValueError(f"its kind is {tokenizer.kind}")
    return made


def _added_to_backend(token: AddedToken) -> Any:
    from tokenizers import AddedToken as BackendToken

    flags = {name: value for name, value in asdict(token).items() if name not in ("content", "id")}
    return BackendToken(token.content, **flags, special=False)


def _word_cutter(pattern: str | None) -> Any:
    """Cuts text into words by GPT-2's rule, by another one, or not at all; then spells bytes as letters."""
    from tokenizers import Regex, pre_tokenizers

    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern == GPT2_PATTERN)
    if pattern is None or pattern == GPT2_PATTERN:
        return letters
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), letters])


def _added_entries(folder: Path, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The added tokens of a folder: those in `tokenizer.json`, then those that only the other files have."""
    found = {str(entry["content"]): entry for entry in entries}
    config = _read_json(folder / CONFIG_FILE) if (folder / CONFIG_FILE).exists() else {}
    if isinstance(config.get("added_tokens_decoder"), dict):
        others = [{**entry, "id": int(index)} for index, entry in config["added_tokens_decoder"].items()]
    else:
        named = _named_tokens(folder, config)
        added = _read_json(folder / ADDED_FILE) if (folder / ADDED_FILE).exists() else {}
        others = [{"content": token, "id": index, "special": token in named} for token, index in added.items()]
    for entry in others:
        found.setdefault(str(entry["content"]), entry)
    return list(found.values())


def _named_tokens(folder: Path, config: dict[str, Any]) -> set[str]:
    """The tokens with a task, as the beginning or the end of a text: they are special."""
    named = _read_json(folder / SPECIAL_FILE) if (folder / SPECIAL_FILE).exists() else {}
    values: list[Any] = []
    for key, value in (config | named).items():
        if key.endswith(("_token", "_special_tokens")):
            values += value if isinstance(value, list) else [value]
    return {END_OF_TEXT, *(str(value["content"] if isinstance(value, dict) else value) for value in values)}


def _from_backend(table: Mapping[str, Any], entries: list[dict[str, Any]]) -> Tokenizer:
    model = table["model"]
    if model.get("type") != "BPE":
        raise ValueError(f"its model is {str(model.get('type'))[:30]}")
    if table.get("normalizer"):
        raise ValueError("it changes the text (normalizer)")
    if foreign := [name for name in _FOREIGN_SETTINGS if model.get(name)]:
        raise ValueError(f"its model sets {foreign[0]}")
    vocabulary: dict[str, int] = dict(model["vocab"])
    merges = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"]]
    if table.get("pre_tokenizer") is None:
        return _characters(vocabulary, merges, model.get("unk_token"), entries)
    pattern = _pattern_of(table["pre_tokenizer"])
    if pattern is None:
        if merges or vocabulary != {letter: byte for byte, letter in enumerate(byte_letters())}:
            raise ValueError("it does not cut text into words")
        if any(not entry.get("special") for entry in entries):
            raise ValueError("tokens were added to its bytes")
        return ByteTokenizer()
    return _byte_pairs(vocabulary, merges, entries, pattern)


def _from_vocabulary(folder: Path) -> Tokenizer:
    """GPT-2's own two files."""
    vocabulary = _read_json(folder / VOCABULARY_FILE)
    lines = read_regular(folder / MERGES_FILE).decode().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    spelt = spelt_by(merges)
    rest = [
        {"content": token, "id": index, "special": True} for token, index in vocabulary.items() if token not in spelt
    ]
    entries = _added_entries(folder, ())
    added = {entry["content"] for entry in entries}
    entries += [entry for entry in rest if entry["content"] not in added]
    return _byte_pairs(vocabulary, merges, entries, GPT2_PATTERN)


def _byte_pairs(
    vocabulary: Mapping[str, int], merges: list[Any], entries: list[dict[str, Any]], pattern: str
) -> BpeTokenizer:
    spelt = spelt_by(merges)
    # A token of the table that is special as well is left to the table, for text is plain text here.
    special = {entry["content"]: int(entry["id"]) for entry in entries if entry.get("special")}
    special = {token: index for token, index in special.items() if token not in spelt}
    added = [AddedToken.read(entry) for entry in entries if not entry.get("special")]
    # One that is in the table keeps its id there, whatever the entry says.
    added = [replace(token, id=vocabulary.get(token.content, token.id)) for token in added]
    ranks = ranks_of(vocabulary, merges, {*special, *(token.content for token in added)} - spelt)
    check_ids([*ranks.values(), *special.values(), *(token.id for token in beside_ranks(added, ranks))])
    if added:
        return BpeTokenizer("bpe", ranks, pattern, special, sorted(added, key=lambda token: token.id))
    if pattern == GPT2_PATTERN and ranks == load_gpt2_ranks() and list(special.values()) == [len(ranks)]:
        return BpeTokenizer("gpt2", ranks)
    return BpeTokenizer("bpe", ranks, pattern, special)


def _characters(
    vocabulary: Mapping[str, int], merges: list[Any], unknown: str | None, added: list[dict[str, Any]]
) -> CharTokenizer:
    """One token a character, in the order of the code points, as we write it."""
    alphabet = "".join(sorted(vocabulary, key=vocabulary.__getitem__))
    if merges or added or list(vocabulary.values()) != list(range(len(alphabet))):
        raise ValueError("its tokens are neither bytes nor single characters")
    tokenizer = CharTokenizer(alphabet)
    if alphabet != "".join(sorted(set(alphabet))) or unknown != tokenizer.stand_in:
        raise ValueError("its alphabet is in another order than the code points")
    return tokenizer


def _pattern_of(cutter: Mapping[str, Any]) -> str | None:
    """The regular expression that cuts text into words; None when only bytes are spelt as letters."""
    steps = cutter["pretokenizers"] if cutter["type"] == "Sequence" else [cutter]
    letters = steps[-1]
    if letters.get("add_prefix_space"):
        raise ValueError("it puts a space before every text (add_prefix_space)")
    if letters["type"] != "ByteLevel":
        raise ValueError("its words are not spelt in bytes as GPT-2's")
    patterns = [step["pattern"]["Regex"] for step in steps[:-1] if step["type"] == "Split"]
    if len(patterns) != len(steps) - 1 or len(patterns) > 1:
        raise ValueError("it cuts text into words in more than one way")
    if patterns and (steps[0].get("behavior") != "Isolated" or steps[0].get("invert")):
        raise ValueError("it drops what stands between words")
    if letters.get("use_regex", True):
        if patterns:
            raise ValueError("it cuts text into words twice")
        return GPT2_PATTERN
    return str(patterns[0]) if patterns else None


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(read_regular(path))
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content
