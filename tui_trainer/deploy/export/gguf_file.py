"""GGUF, for llama.cpp and what is built on it: GPT-2's network with byte-pair encoding, in fp32."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tui_trainer.data.tokenizers import GPT2_PATTERN, BpeTokenizer
from tui_trainer.data.tokenizers.added_tokens import AddedToken
from tui_trainer.data.tokenizers.bpe import beside_ranks
from tui_trainer.data.tokenizers.merges import merges_of, ranks_of, spelt_by, to_letters
from tui_trainer.deploy.export.check import Ids, Logits, continue_by_logits, own_logits
from tui_trainer.deploy.export.hugging_face import end_of_text
from tui_trainer.deploy.export.source import Source
from tui_trainer.deploy.optional_packages import require
from tui_trainer.errors import UserError
from tui_trainer.model import GPT

MODEL_FILE = "model.gguf"
PLACES = {
    "attention_norm": "attn_norm",
    "attention.qkv": "attn_qkv",
    "attention.projection": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.expansion": "ffn_up",
    "feed_forward.projection": "ffn_down",
}
TOP = {"wte": "token_embd", "wpe": "position_embd", "final_norm": "output_norm"}

TOKENIZER_FIELDS = ("tokens", "token_type", "merges")
CONTROL_TOKEN, USER_DEFINED_TOKEN = 3, 4

_NAME = re.compile(r"(?:blocks\.(\d+)\.)?(.+)\.(weight|bias)")


def gguf_name(name: str) -> str:
    """How llama.cpp names one of our tensors."""
    found = _NAME.fullmatch(name)
    assert found is not None
    layer, place, kind = found.groups()
    return f"{TOP[place]}.{kind}" if layer is None else f"blk.{layer}.{PLACES[place]}.{kind}"


def write_gguf(source: Source, folder: Path) -> None:
    """One file with the weights and the tokenizer.

    Raises:
        UserError: when llama.cpp has no such network or tokenizer.
    """
    require("gguf")
    tokenizer = _writable_tokenizer(source)
    gguf: Any = import_module("gguf")
    writer = gguf.GGUFWriter(folder / MODEL_FILE, "gpt2")
    try:
        _add_shape(writer, source)
        _add_tokenizer(writer, tokenizer)
        for name, tensor in source.model.state_dict().items():
            writer.add_tensor(gguf_name(name), tensor.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


class GgufReading:
    """The file, read back by gguf's own reader, in our network."""

    def __init__(self, folder: Path, source: Source) -> None:
        """Reads every tensor and the tokenizer.

        Args:
            folder: with the file.
            source: what it was written from, for the shape that the metadata must repeat.

        Raises:
            UserError: when the file says something else.
        """
        gguf: Any = import_module("gguf")
        self.name = "gguf's reader"
        reader = gguf.GGUFReader(folder / MODEL_FILE)
        _check_metadata(reader, source)
        tensors = {tensor.name: torch.from_numpy(np.array(tensor.data)) for tensor in reader.tensors}
        self._model = GPT(source.config.model, source.tokenizer.vocab_size)
        weights = {name: tensors.pop(gguf_name(name)) for name in self._model.state_dict()}
        assert not tensors
        self._model.load_state_dict(weights)
        self._model.eval().requires_grad_(requires_grad=False)
        self._tokenizer = _read_tokenizer(reader)

    def logits(self, tokens: Ids) -> Logits:
        return own_logits(self._model, tokens)

    def write(self, ids: list[int], count: int) -> list[int]:
        return continue_by_logits(self, ids, count)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).tolist()
        return ids


def _writable_tokenizer(source: Source) -> BpeTokenizer:
    if source.config.model.architecture != "gpt2":
        raise UserError(
            "--format gguf: llama.cpp has no such network as architecture = modern\n"
            "export it with --format hf or onnx, or train with model.architecture = gpt2"
        )
    if source.config.model.activation == "gelu":
        raise UserError(
            "--format gguf: llama.cpp computes GPT-2's GELU in its tanh form, and this model has activation = gelu\n"
            "export it with --format hf or onnx"
        )
    tokenizer = source.tokenizer
    if not isinstance(tokenizer, BpeTokenizer) or tokenizer.pattern != GPT2_PATTERN:
        raise UserError(
            f"--format gguf: llama.cpp has no tokenizer such as {tokenizer.kind}\n"
            "export it with --format hf or onnx, or train with data.tokenizer = bpe or gpt2"
        )
    if unwritable := _find_unwritable(tokenizer):
        raise UserError(
            f"--format gguf: llama.cpp would not find the added token {unwritable.content!r:.60} as it is found here\n"
            "export it with --format hf or onnx"
        )
    return tokenizer


def _find_unwritable(tokenizer: BpeTokenizer) -> AddedToken | None:
    """The first added token that llama.cpp would look for in another way, if any.

    It knows no flags, takes the longest anywhere before the leftmost, and takes a byte's letter for the letter.
    """
    added = tokenizer.added_tokens
    beside = beside_ranks(added, tokenizer.ranks)
    starts: dict[str, set[str]] = {}
    for token in added:
        for length in range(1, len(token.content)):
            starts.setdefault(token.content[:length], set()).add(token.content)
    for token in added:
        content = token.content
        has_flags = token.lstrip or token.rstrip or token.single_word or token.normalized is not added[0].normalized
        is_overlapping = any(starts.get(content[place:], set()) - {content} for place in range(1, len(content)))
        is_letter = token not in beside and to_letters(content.encode()) != content
        if has_flags or is_overlapping or is_letter:
            return token
    return None


def _add_shape(writer: Any, source: Source) -> None:
    gguf: Any = import_module("gguf")
    model = source.config.model
    writer.add_name(f"{source.run.run_id} step {source.step}")
    writer.add_context_length(model.context_length)
    writer.add_embedding_length(model.n_embd)
    writer.add_feed_forward_length(4 * model.n_embd)
    writer.add_block_count(model.n_layer)
    writer.add_head_count(model.n_head)
    writer.add_layer_norm_eps(model.layer_norm_epsilon)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_tokenizer(writer: Any, tokenizer: BpeTokenizer) -> None:
    gguf: Any = import_module("gguf")
    letters = {rank: to_letters(token) for token, rank in tokenizer.ranks.items()}
    special = {index: token for token, index in tokenizer.special_tokens.items()}
    added = {token.id: token.content for token in tokenizer.added_tokens}
    kinds = [gguf.TokenType.NORMAL] * tokenizer.vocab_size
    for places, kind in ((special, gguf.TokenType.CONTROL), (added, gguf.TokenType.USER_DEFINED)):
        for index in places:
            kinds[index] = kind
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for _, token in sorted((letters | special | added).items())])
    writer.add_token_types(kinds)
    merges = [f"{to_letters(left)} {to_letters(right)}" for left, right in merges_of(tokenizer.ranks)]
    if not merges:
        raise UserError("--format gguf: the tokenizer has learned no merges, which llama.cpp wants; use --format hf")
    writer.add_token_merges(merges)
    end = end_of_text(tokenizer)
    # Without an id llama.cpp would stop at token 11, which may be a comma; no text holds a zero byte.
    silent = tokenizer.ranks[b"\0"] if end is None else end
    writer.add_bos_token_id(silent)
    writer.add_eos_token_id(silent)
    writer.add_add_bos_token(value=False)


def _check_metadata(reader: Any, source: Source) -> None:
    model = source.config.model
    wanted = {
        "general.architecture": "gpt2",
        "gpt2.context_length": model.context_length,
        "gpt2.embedding_length": model.n_embd,
        "gpt2.feed_forward_length": 4 * model.n_embd,
        "gpt2.block_count": model.n_layer,
        "gpt2.attention.head_count": model.n_head,
        "gpt2.attention.layer_norm_epsilon": float(np.float32(model.layer_norm_epsilon)),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
    }
    for key, value in wanted.items():
        field = reader.get_field(key)
        if field is None or field.contents() != value:
            raise UserError(f"{MODEL_FILE}: {key} was not written as {value}; nothing was exported")


def _read_tokenizer(reader: Any) -> BpeTokenizer:
    tokens, kinds, merges = (reader.get_field(f"tokenizer.ggml.{name}").contents() for name in TOKENIZER_FIELDS)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [tuple(merge.split(" ")) for merge in merges]
    special = {token: index for token, index in vocabulary.items() if kinds[index] == CONTROL_TOKEN}
    added = [AddedToken(token, index) for token, index in vocabulary.items() if kinds[index] == USER_DEFINED_TOKEN]
    ranks = ranks_of(vocabulary, pairs, {*special, *(token.content for token in added)} - spelt_by(pairs))
    return BpeTokenizer("bpe", ranks, GPT2_PATTERN, special, added)
