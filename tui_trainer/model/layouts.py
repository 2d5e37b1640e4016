"""How other programs name and shape what this GPT is made of.

`gpt2` is GPT2LMHeadModel of transformers: Conv1D keeps its matrices transposed, the head is the embedding.
`nanochat` is NanoChatForCausalLM: queries, keys and values are three matrices. `tui-trainer` is our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config import ModelConfig
from tui_trainer.model.gpt import LOGIT_CAP, RMS_EPS, ROTARY_BASE

ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu": "gelu",
    "gelu_python": "gelu",
}
"""Transformers' names, to ours: those of one form differ in rounding."""
GPT2_ALIASES = {
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "n_ctx": "n_positions",
}
"""Keys of `config.json` that stand for others where those are missing."""
OWN_FORMAT_VERSION = 2
"""1: activation and layer_norm_epsilon are not among the keys, and what reads it would pass over them."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")


@dataclass(frozen=True)
class Parts:
    """The tensors that one of ours is in another layout: below each other, each perhaps transposed."""

    names: tuple[str, ...]
    is_transposed: bool = False

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Ours, made of theirs."""
        parts = [tensors[name].T if self.is_transposed else tensors[name] for name in self.names]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).contiguous()

    def split(self, tensor: Tensor) -> dict[str, Tensor]:
        """Theirs, made of ours."""
        parts = tensor.chunk(len(self.names))
        turned = (part.T if self.is_transposed else part for part in parts)
        return {name: part.contiguous() for name, part in zip(self.names, turned, strict=True)}


@dataclass(frozen=True)
class Layout:
    """One way to keep a GPT in a folder."""

    model_type: str
    keys: Mapping[str, str]
    """Ours to theirs, of what `config.json` says about the shape."""
    fixed: Mapping[str, tuple[Any, ...]]
    """What our network cannot do otherwise: the values that mean what it does; None: the key may be missing."""
    parts: Callable[[str], Parts]
    describe: Callable[[ModelConfig, int], dict[str, Any]]
    ignored: re.Pattern[str]
    """Tensors that hold no weights: masks and tables that old versions kept."""


GPT2_PLACES = {
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.expansion": "mlp.c_fc",
    "feed_forward.projection": "mlp.c_proj",
}
NANOCHAT_PLACES = {
    "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.projection": ("self_attn.o_proj",),
    "feed_forward.expansion": ("mlp.fc1",),
    "feed_forward.projection": ("mlp.fc2",),
}


def gpt2_parts(name: str) -> Parts:
    if found := _BLOCK.fullmatch(name):
        layer, place, kind = found.groups()
        is_transposed = kind == "weight" and "norm" not in place
        return Parts((f"transformer.h.{layer}.{GPT2_PLACES[place]}.{kind}",), is_transposed)
    return Parts((f"transformer.{name.replace('final_norm', 'ln_f')}",))


def nanochat_parts(name: str) -> Parts:
    if found := _BLOCK.fullmatch(name):
        layer, place, kind = found.groups()
        return Parts(tuple(f"model.layers.{layer}.{other}.{kind}" for other in NANOCHAT_PLACES[place]))
    return Parts(({"wte.weight": "model.embed_tokens.weight", "head.weight": "lm_head.weight"}[name],))


def describe_gpt2(config: ModelConfig, vocab_size: int) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu" if config.activation == "gelu" else "gelu_new",
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        "n_positions": config.context_length,
        "n_ctx": config.context_length,
        "vocab_size": vocab_size,
        "attn_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }


def describe_nanochat(config: ModelConfig, vocab_size: int) -> dict[str, Any]:
    return {
        "architectures": ["NanoChatForCausalLM"],
        "model_type": "nanochat",
        "hidden_size": config.n_embd,
        "intermediate_size": 4 * config.n_embd,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_head,
        "max_position_embeddings": config.context_length,
        "vocab_size": vocab_size,
        "hidden_act": "relu2",
        "attention_dropout": config.dropout,
        "rms_norm_eps": RMS_EPS,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "final_logit_softcapping": LOGIT_CAP,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "dtype": "float32",
    }


def describe_own(config: ModelConfig, vocab_size: int) -> dict[str, Any]:
    shape = config.model_dump(mode="json")
    usual = {key: ModelConfig.model_fields[key].default for key in ("activation", "layer_norm_epsilon")}
    is_usual = usual.items() <= shape.items()
    if is_usual:
        shape = {key: value for key, value in shape.items() if key not in usual}
    version = 1 if is_usual else OWN_FORMAT_VERSION
    return {"model_type": "tui-trainer", "format_version": version, "vocab_size": vocab_size} | shape


GPT2 = Layout(
    "gpt2",
    {"n_layer": "n_layer", "n_head": "n_head", "n_embd": "n_embd"}
    | {"context_length": "n_positions", "dropout": "resid_pdrop"}
    | {"activation": "activation_function", "layer_norm_epsilon": "layer_norm_epsilon"},
    {
        "activation_function": (*ACTIVATIONS, None),
        "scale_attn_weights": (True, None),
        "scale_attn_by_inverse_layer_idx": (False, None),
        "add_cross_attention": (False, None),
    },
    gpt2_parts,
    describe_gpt2,
    re.compile(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)"),
)
NANOCHAT = Layout(
    "nanochat",
    {"n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "n_embd": "hidden_size"}
    | {"context_length": "max_position_embeddings", "dropout": "attention_dropout"},
    {
        "hidden_act": ("relu2", None),
        "rms_norm_eps": (RMS_EPS, None),
        "final_logit_softcapping": (LOGIT_CAP,),
        "attention_bias": (False, None),
        "tie_word_embeddings": (False, None),
    },
    nanochat_parts,
    describe_nanochat,
    re.compile(r"model\.rotary_emb\..*"),
)
OWN = Layout(
    "tui-trainer",
    {name: name for name in ModelConfig.model_fields},
    {"format_version": (1, OWN_FORMAT_VERSION)},
    lambda name: Parts((name,)),
    describe_own,
    re.compile(r"(?!)"),
)
LAYOUTS = {layout.model_type: layout for layout in (GPT2, NANOCHAT, OWN)}
