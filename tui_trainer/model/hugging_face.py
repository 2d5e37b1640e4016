"""A folder of weights as transformers keeps it, or as `export --format safetensors` does, read and described.

A folder is foreign: nothing in it is executed, pickles are refused, and no memory is taken before the shapes in
the file's header were found to be those that `config.json` asks for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config import ModelConfig, parse_config
from tui_trainer.errors import UserError
from tui_trainer.model.gpt import GPT
from tui_trainer.model.layouts import (
    ACTIVATIONS,
    GPT2,
    GPT2_ALIASES,
    LAYOUTS,
    NANOCHAT,
    OWN,
    OWN_FORMAT_VERSION,
    Layout,
)

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_JSON_BYTES = 16 << 20
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
OPTIONAL_KEYS = ("dropout", "activation", "layer_norm_epsilon")
"""Of ours: left out, they are what `ModelConfig` has, and transformers too."""
TIED_HEAD, EMBEDDING = "lm_head.weight", "transformer.wte.weight"
WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, DDP, FSDP and activation checkpointing put into the names of the tensors of what they wrap."""
SHOWN_DIFFERENCES = 5
SHOWN_MISSING = 3
"""Of them, when there are others: beside what is missing stands what may be the same under another name."""
LFS_POINTER = b"version https://git-lfs"
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class ModelFiles:
    """What a folder holds, as our network wants it."""

    config: ModelConfig
    vocab_size: int
    weights: dict[str, Tensor]
    """By the names of `GPT.state_dict()`, fp32, on the CPU."""
    notices: tuple[str, ...]
    """What a person should know: something was converted or left out."""


def read_folder(folder: Path) -> ModelFiles:
    """Reads GPT-2's or NanoChat's layout, or our own, from safetensors.

    Raises:
        UserError: for what is missing, damaged, a pickle, or another network than ours.
    """
    source = folder / CONFIG_FILE
    described = read_json_object(source)
    layout = _layout_of(described, source)
    if layout is GPT2:
        described = {GPT2_ALIASES.get(key, key): value for key, value in described.items()} | described
    config, vocab_size = _shape_of(described, layout, source)
    with _open_weights(folder, layout) as found:
        _check_names(found, layout, config, vocab_size, folder)
        theirs = {name: tensor.load() for name, tensor in found.items()}
    notices = tuple(_notices(described, layout, found))
    _check_head(theirs, described, layout, folder)
    weights = {name: layout.parts(name).join(theirs) for name in _expected(config, vocab_size)}
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{folder}: {name} holds NaN or infinity: the model has diverged")
    return ModelFiles(config, vocab_size, weights, notices)


def hugging_face_layout(config: ModelConfig) -> Layout:
    """How transformers keeps this architecture."""
    return NANOCHAT if config.architecture == "modern" else GPT2


def describe(
    layout: Layout, config: ModelConfig, vocab_size: int, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `config.json` says and the tensors, in another layout; `weights` by the names of `GPT.state_dict()`."""
    theirs: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        theirs |= layout.parts(name).split(tensor)
    return layout.describe(config, vocab_size), theirs


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of at most 16 MB.

    Raises:
        UserError: when there is none.
    """
    try:
        if not path.is_file():
            raise UserError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path}: too large: {path.stat().st_size:,} bytes")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON; take the file from where the model came from") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a JSON object")
    return content


def _layout_of(described: Mapping[str, Any], source: Path) -> Layout:
    model_type = described.get("model_type")
    layout = LAYOUTS.get(model_type) if isinstance(model_type, str) else None
    if layout is None:
        raise UserError(f"{source}: model_type = {str(model_type)[:40]!r}: must be {' or '.join(LAYOUTS)}")
    version = described.get("format_version")
    if layout is OWN and isinstance(version, int) and version > OWN_FORMAT_VERSION:
        raise UserError(f"{source}: made by a newer tui-trainer; install that version to use it")
    return layout


def _shape_of(described: Mapping[str, Any], layout: Layout, source: Path) -> tuple[ModelConfig, int]:
    """The configuration of our network, once nothing in the file asks for another one."""
    for key, allowed in layout.fixed.items():
        if described.get(key) not in allowed:
            wanted = ", ".join(json.dumps(value) for value in allowed if value is not None)
            raise UserError(f"{source}: {key} = {str(described.get(key))[:40]}: this network needs {wanted}")
    table = {ours: described[theirs] for ours, theirs in layout.keys.items() if described.get(theirs) is not None}
    for ours, theirs in layout.keys.items():
        if ours not in table and ours not in OPTIONAL_KEYS:
            raise UserError(f"{source}: {theirs} is missing")
    if layout is GPT2 and "activation" in table:
        table["activation"] = ACTIVATIONS[table["activation"]]
    if layout is not OWN:
        table["architecture"] = "modern" if layout is NANOCHAT else "gpt2"
    config = parse_config({"model": table}, str(source)).model
    _check_sizes(described, config, source)
    vocab_size = described.get("vocab_size")
    if type(vocab_size) is not int or not 1 <= vocab_size < 2**31:
        raise UserError(f"{source}: vocab_size = {str(vocab_size)[:40]}: must be a whole number above 0")
    return config, vocab_size


def _check_sizes(described: Mapping[str, Any], config: ModelConfig, source: Path) -> None:
    """Refuses widths, heads and rotations that our network has no place for."""
    rope = described.get("rope_parameters") or {}
    for key, value, wanted in (
        ("n_inner", described.get("n_inner"), 4 * config.n_embd),
        ("intermediate_size", described.get("intermediate_size"), 4 * config.n_embd),
        ("num_key_value_heads", described.get("num_key_value_heads"), config.n_head),
        ("head_dim", described.get("head_dim"), config.n_embd // config.n_head),
        ("rope_theta", rope.get("rope_theta") if isinstance(rope, dict) else rope, 10_000.0),
        ("rope_type", rope.get("rope_type") if isinstance(rope, dict) else rope, "default"),
    ):
        if value is not None and value != wanted:
            raise UserError(f"{source}: {key} = {str(value)[:40]}: this network needs {wanted}")


@dataclass(frozen=True)
class _Stored:
    """A tensor that is still in its file."""

    file: Any
    name: str
    shape: tuple[int, ...]
    dtype: str

    def load(self) -> Tensor:
        tensor: Tensor = self.file.get_tensor(self.name)
        return tensor.float()


@contextmanager
def _open_weights(folder: Path, layout: Layout) -> Iterator[dict[str, _Stored]]:
    """The tensors of all files, by their names with the prefix that `layout` gives them."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, _Stored] = {}
    with ExitStack() as files:
        for path in _weight_files(folder):
            try:
                file = files.enter_context(safe_open(path, framework="pt"))
            except (SafetensorError, OSError, ValueError) as error:
                if isinstance(error, SafetensorError) and _is_lfs_pointer(path):
                    reason = "a pointer of Git LFS, not the file itself\nfetch it: git lfs pull"
                else:
                    reason = f"damaged or cut off: {str(error)[:120]}\nfetch the file again"
                raise UserError(f"{path}: {reason}") from error
            for name in file.keys():  # noqa: SIM118 - no dictionary
                part = file.get_slice(name)
                stored = _Stored(file, name, tuple(part.get_shape()), part.get_dtype())
                full_name = _full_name(name, layout)
                if full_name in found:
                    raise UserError(f"{path}: {name[:80]} and {found[full_name].name[:80]} are one tensor; keep one")
                found[full_name] = stored
        if layout is GPT2 and TIED_HEAD in found and EMBEDDING not in found:
            found[EMBEDDING] = found.pop(TIED_HEAD)
        yield {name: stored for name, stored in found.items() if not layout.ignored.fullmatch(name)}


def _is_lfs_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER


def _full_name(name: str, layout: Layout) -> str:
    """Without the names of wrappers, and with the prefix that transformers writes: GPT-2's own files have none."""
    name = WRAPPERS.sub("", name)
    is_bare = layout is GPT2 and not name.startswith(("transformer.", "lm_head."))
    return f"transformer.{name}" if is_bare else name


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model; one that is a pipe would be waited for, one elsewhere is none of its."""
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if (folder / INDEX_FILE).is_file():
        index = read_json_object(folder / INDEX_FILE).get("weight_map")
        names = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
        for name in names:
            if name != os.path.basename(name) or not (folder / name).is_file():  # noqa: PTH119
                raise UserError(f"{folder / INDEX_FILE}: names {name[:60]!r}, which is not a file beside it")
        if names:
            return [folder / name for name in names]
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise UserError(
            f"{folder / pickles[0]}: a pickle, which can run any program when it is read; it is not opened\n"
            f"take the model's {WEIGHTS_FILE}, or convert it where you trust it"
        )
    others = sorted(path.name for path in folder.iterdir() if path.suffix == Path(WEIGHTS_FILE).suffix)
    hint = f"\nis it {others[0][:60]}? Then give it that name" if others else ""
    raise UserError(f"{folder}: {WEIGHTS_FILE} is missing{hint}")


def _expected(config: ModelConfig, vocab_size: int) -> dict[str, Tensor]:
    """Our tensors as shapes: on the meta device they take no memory."""
    with torch.device("meta"):
        return GPT(config, vocab_size).state_dict()


def _check_names(
    found: Mapping[str, _Stored], layout: Layout, config: ModelConfig, vocab_size: int, folder: Path
) -> None:
    wanted: dict[str, tuple[int, ...]] = {}
    for name, tensor in _expected(config, vocab_size).items():
        wanted |= {part: tuple(piece.shape) for part, piece in layout.parts(name).split(tensor).items()}
    optional = {TIED_HEAD} if layout is GPT2 else set()
    missing = [f"{name} is missing" for name in wanted if name not in found]
    differences = [f"{found[name].name} is unknown" for name in found if name not in wanted and name not in optional]
    for name, stored in found.items():
        if name in wanted and stored.shape != wanted[name]:
            differences.append(f"{name} is {list(stored.shape)}, not {list(wanted[name])}")
        elif stored.dtype not in FLOATS:
            differences.append(f"{name} is {stored.dtype}, no floating-point tensor")
    if differences := [*missing[:SHOWN_MISSING], *differences, *missing[SHOWN_MISSING:]]:
        shown = "; ".join(differences[:SHOWN_DIFFERENCES])
        more = f"; and {len(differences) - SHOWN_DIFFERENCES} more" if len(differences) > SHOWN_DIFFERENCES else ""
        raise UserError(f"{folder}: the weights are not of the network that {CONFIG_FILE} describes\n{shown}{more}")


def _check_head(theirs: Mapping[str, Tensor], described: Mapping[str, Any], layout: Layout, folder: Path) -> None:
    """GPT-2's head is the embedding; a file may hold it twice, but not two different ones."""
    head = theirs.get(TIED_HEAD)
    if layout is GPT2 and head is None and described.get("tie_word_embeddings") is False:
        raise UserError(
            f"{folder / CONFIG_FILE}: tie_word_embeddings = false, but there is no head beside the embedding"
        )
    if layout is GPT2 and head is not None and not torch.equal(head, theirs[EMBEDDING]):
        raise UserError(f"{folder}: lm_head.weight is not tied to the embedding; this network has one table for both")


def _notices(described: Mapping[str, Any], layout: Layout, found: Mapping[str, _Stored]) -> Iterator[str]:
    narrow = sorted({stored.dtype for stored in found.values()} - {"F32"})
    if narrow:
        yield f"weights converted to fp32 from {', '.join(narrow)}"
    rates = {described.get(key) for key in ("attn_pdrop", "embd_pdrop", "resid_pdrop")} - {None}
    if layout is GPT2 and len(rates) > 1:
        yield f"one dropout rate instead of three: {described.get('resid_pdrop')}"
