"""A program of its own: `python -m tui_trainer.deploy.export.onnx_writer FOLDER` writes two ONNX graphs.

torch's exporter prints and warns while it traces; in a process of its own that reaches no screen. `model.onnx`
is the whole forward pass; `model_with_past.onnx` also takes the keys and values of what came before, possibly of
nothing, and returns them with the new ones, under the names that Hugging Face's tools use.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.model import GPT
from tui_trainer.model.gpt import RMS_EPS, Attention, Block, rotary_angles, rotate
from tui_trainer.model.hugging_face import read_folder

FULL_FILE = "model.onnx"
PAST_FILE = "model_with_past.onnx"
SOURCE_FOLDER = "source"
MAX_SINGLE_FILE_BYTES = 1_900_000_000
"""A graph of more than 2 GB does not fit into one protobuf: then the weights get a file of their own."""

Past = list[Tensor]


class CachedGPT(nn.Module):
    """The same network, fed piece by piece."""

    def __init__(self, model: GPT) -> None:
        """Shares the weights of `model`."""
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, past: Past) -> tuple[Tensor, ...]:
        """Ids (B, T) after P earlier tokens, whose keys and values are (B, H, P, D): logits and longer ones."""
        model, length, before = self.model, input_ids.shape[1], past[0].shape[2]
        places = torch.arange(before, before + length, device=input_ids.device)
        # Each token sees what came before it: `is_causal` would align the first query with the first key.
        is_earlier = torch.arange(before + length, device=input_ids.device)[None, :] <= places[:, None]
        mask = torch.where(is_earlier, 0.0, -torch.inf)
        x, rotation = model.wte(input_ids), None
        if model.wpe is not None:
            x = x + model.wpe(places)
        else:
            x = F.rms_norm(x, (x.shape[-1],), eps=RMS_EPS)
            width = model.config.n_embd // model.config.n_head
            cos, sin = rotary_angles(model.config.context_length, width, input_ids.device)
            rotation = (cos[places], sin[places])
        present: Past = []
        for layer, block in enumerate(cast("Iterable[Block]", model.blocks)):
            mixed, *new = attend(block.attention, block.attention_norm(x), rotation, past[2 * layer :][:2], mask)
            present += new
            x = x + mixed
            x = x + block.feed_forward(block.feed_forward_norm(x))
        return (model.logits(model.final_norm(x)), *present)


def attend(
    attention: Attention, x: Tensor, rotation: tuple[Tensor, Tensor] | None, past: Past, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention (B, T, C) over old and new keys, and those keys and values; `mask` (T, P + T) is added to scores."""
    # Written out, for torch's own becomes more nodes, and of a single token all these take as long as its matrices.
    shape = (*x.shape[:2], attention.n_head, x.shape[2] // attention.n_head)
    query, key, value = (part.reshape(shape).transpose(1, 2) for part in attention.qkv(x).split(x.shape[2], dim=-1))
    if rotation is not None:
        query, key = (F.rms_norm(rotate(part, rotation), (part.shape[-1],), eps=RMS_EPS) for part in (query, key))
    key, value = torch.cat((past[0], key), dim=2), torch.cat((past[1], value), dim=2)
    weights = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(shape[-1]) + mask, dim=-1)
    return attention.projection((weights @ value).transpose(1, 2).reshape(x.shape)), key, value


def past_names(n_layer: int) -> list[str]:
    """The inputs that hold what came before, in their order."""
    return [f"past_key_values.{layer}.{part}" for layer in range(n_layer) for part in ("key", "value")]


def write_graphs(model: GPT, folder: Path) -> None:
    """Writes both graphs, with every batch and length left open."""
    config = model.config
    # Sizes above 1 that differ from each other: a dimension of 1, or two equal ones, would be taken as fixed.
    ids = torch.zeros((3, min(7, config.context_length)), dtype=torch.int64)
    before = torch.zeros((3, config.n_head, 5, config.n_embd // config.n_head))
    names = past_names(config.n_layer)
    auto = torch.export.Dim.DYNAMIC
    tokens, past = {0: auto, 1: auto}, {0: auto, 2: auto}
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    _export(model, (ids,), folder / FULL_FILE, ["input_ids"], ["logits"], (tokens,), size)
    _export(
        CachedGPT(model).eval(),
        (ids, [before.clone() for _ in names]),
        folder / PAST_FILE,
        ["input_ids", *names],
        ["logits", *(name.replace("past_key_values", "present") for name in names)],
        (tokens, [past for _ in names]),
        size,
    )


def _export(
    network: nn.Module,
    example: tuple[object, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic: tuple[object, ...],
    size: int,
) -> None:
    torch.onnx.export(
        network,
        example,
        path,
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=dynamic,
        dynamo=True,
        external_data=size > MAX_SINGLE_FILE_BYTES,
        verbose=False,
    )


def main() -> None:
    folder = Path(sys.argv[1])
    found = read_folder(folder / SOURCE_FOLDER)
    model = GPT(found.config, found.vocab_size)
    model.load_state_dict(found.weights)
    write_graphs(model.eval().requires_grad_(requires_grad=False), folder)


if __name__ == "__main__":
    main()
