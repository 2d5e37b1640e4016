"""Safetensors folders: Hugging Face's layout, which transformers loads, and our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer import __version__
from tui_trainer.checkpoints.tensor_file import serialize
from tui_trainer.data.tokenizers import Tokenizer, hugging_face_files, load_hugging_face_tokenizer
from tui_trainer.deploy.export.check import Ids, Logits, Runtime, continue_by_logits, own_logits
from tui_trainer.deploy.export.source import Source
from tui_trainer.errors import UserError
from tui_trainer.model import GPT
from tui_trainer.model.hugging_face import CONFIG_FILE, WEIGHTS_FILE, describe, hugging_face_layout, read_folder
from tui_trainer.model.layouts import OWN

GENERATION_FILE = "generation_config.json"


def write_hugging_face(source: Source, folder: Path) -> None:
    """A folder for `AutoModelForCausalLM` and `AutoTokenizer`."""
    weights = write_description(source, folder)
    write_weights(weights, folder)


def write_description(source: Source, folder: Path) -> dict[str, Tensor]:
    """All of the folder but the weights, which are returned by the names that Hugging Face has for them."""
    layout = hugging_face_layout(source.config.model)
    described, weights = describe(layout, source.config.model, source.tokenizer.vocab_size, source.model.state_dict())
    special = dict.fromkeys(("bos_token_id", "eos_token_id"), end_of_text(source.tokenizer))
    (folder / CONFIG_FILE).write_text(json.dumps(described | special, indent=2) + "\n")
    (folder / GENERATION_FILE).write_text(json.dumps({"_from_model_config": True, **special}, indent=2) + "\n")
    for name, content in hugging_face_files(source.tokenizer, source.config.model.context_length).items():
        (folder / name).write_bytes(content)
    return weights


def write_own(source: Source, folder: Path) -> None:
    """A folder in our own names: needs no package to be read, and no tokenizer is beyond it."""
    described, weights = describe(OWN, source.config.model, source.tokenizer.vocab_size, source.model.state_dict())
    (folder / CONFIG_FILE).write_text(json.dumps(described, indent=2) + "\n")
    source.tokenizer.save(folder)
    write_weights(weights, folder)


def write_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    with (folder / WEIGHTS_FILE).open("wb") as file:
        for piece in serialize(weights, {"format": "pt"})[1]:
            file.write(piece)


def end_of_text(tokenizer: Tokenizer) -> int | None:
    """The id that ends a text, when the tokenizer has one token for that alone."""
    special: dict[str, int] = getattr(tokenizer, "special_tokens", {})
    return next(iter(special.values())) if len(special) == 1 else None


def open_hugging_face(folder: Path) -> Runtime:
    """transformers, or our own reader where transformers is not installed."""
    try:
        return TransformersRuntime(folder)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        runtime = FolderRuntime(folder)
        runtime.name += " (transformers is not installed)"
        return runtime


class TransformersRuntime:
    """AutoModelForCausalLM and AutoTokenizer on a folder."""

    def __init__(self, folder: Path) -> None:
        """Loads both from the disk alone.

        Raises:
            ModuleNotFoundError: when transformers is not installed.
            UserError: when it cannot load them.
        """
        transformers: Any = import_module("transformers")
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        self.name = f"transformers {transformers.__version__}"
        load = transformers.AutoModelForCausalLM.from_pretrained
        try:
            self._model = load(folder, local_files_only=True, dtype=torch.float32).eval()
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except OSError as error:
            if error.errno is not None:
                raise
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{self.name} cannot load the export: {reason[:200]}") from error

    @torch.inference_mode()
    def logits(self, tokens: Ids) -> Logits:
        answer: Logits = self._model(torch.from_numpy(tokens)).logits.float().numpy()
        return answer

    @torch.inference_mode()
    def write(self, ids: list[int], count: int) -> list[int]:
        prompt = torch.tensor([ids])
        asked = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "eos_token_id": None}
        written = self._model.generate(prompt, attention_mask=torch.ones_like(prompt), pad_token_id=0, **asked)
        found: list[int] = written[0, len(ids) :].tolist()
        return found

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text)
        return ids


class FolderRuntime:
    """Our own network, read back from a folder."""

    def __init__(self, folder: Path) -> None:
        """Reads the weights and the tokenizer.

        Raises:
            UserError: when the folder cannot be read.
        """
        self.name = f"tui-trainer {__version__}"
        found = read_folder(folder)
        with torch.device("meta"):
            self._model = GPT(found.config, found.vocab_size)
        self._model.load_state_dict(found.weights, assign=True)
        self._model.eval()
        self._tokenizer = load_hugging_face_tokenizer(folder)

    def logits(self, tokens: Ids) -> Logits:
        return own_logits(self._model, tokens)

    def write(self, ids: list[int], count: int) -> list[int]:
        return continue_by_logits(self, ids, count)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = np.asarray(self._tokenizer.encode(text)).tolist()
        return ids
