"""Where the weights that write come from: a run that may go on getting better, or a folder that was exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import ModelConfig
from tui_trainer.data.tokenizers import Tokenizer, load_hugging_face_tokenizer, load_tokenizer
from tui_trainer.model.hugging_face import CONFIG_FILE, read_folder
from tui_trainer.runs.catalogue import EXPORT_CARD
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import read_json

MODEL_PREFIX = "model."
VOCABULARY_ROWS = ("wte.weight", "head.weight")
Weights: TypeAlias = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Speaker:
    """Which checkpoint is talking: its step, its validation loss, and what went wrong on loading, if anything."""

    step: int
    val_loss: float | None
    warning: str | None = None


class Source(Protocol):
    """A model and its tokenizer."""

    tokenizer: Tokenizer

    @property
    def config(self) -> ModelConfig:
        """Of the network."""

    @property
    def config_file(self) -> Path:
        """Where it is described."""

    def pointed(self) -> int | None:
        """The step of what `load` would give now."""

    def load(self) -> tuple[Weights, Speaker]:
        """The weights by the names of `GPT.state_dict`, and whose they are.

        Raises:
            UserError: when there are none, or none that can be used.
        """


class RunSource:
    """The best or the last checkpoint of a run."""

    def __init__(self, run: RunDirectory, which: Literal["best", "last"]) -> None:
        """Reads configuration and tokenizer.

        Raises:
            UserError: when one of them cannot be used.
        """
        self._store = CheckpointStore(run.checkpoints)
        self._which = which
        self.config_file = run.config_file
        self.config = run.read_config().model
        self.tokenizer = load_tokenizer(run.tokenizer)

    def pointed(self) -> int | None:
        return self._store.pointer(self._which)

    def load(self) -> tuple[Weights, Speaker]:
        checkpoint = self._store.load(self._which, prefix=MODEL_PREFIX)
        weights = {name.removeprefix(MODEL_PREFIX): tensor.numpy() for name, tensor in checkpoint.tensors.items()}
        return weights, Speaker(checkpoint.step, checkpoint.metrics.get("val_loss"), checkpoint.warning)


class FolderSource:
    """A folder as `export --format hf|safetensors` or transformers writes it; it never changes."""

    def __init__(self, folder: Path) -> None:
        """Reads everything.

        Raises:
            UserError: for what is missing, damaged, or another network than ours.
        """
        files, self.tokenizer = read_folder(folder), load_hugging_face_tokenizer(folder)
        card = read_json(folder / EXPORT_CARD) or {}
        step, val_loss = card.get("step"), card.get("val_loss")
        self._weights = {
            # Many a table is padded to a round number; the rows beyond the vocabulary stand for no token.
            name: tensor.numpy()[: self.tokenizer.vocab_size if name in VOCABULARY_ROWS else None]
            for name, tensor in files.weights.items()
        }
        self._speaker = Speaker(
            step if isinstance(step, int) else 0,
            val_loss if isinstance(val_loss, float) else None,
            "; ".join(files.notices) or None,
        )
        self.config_file = folder / CONFIG_FILE
        self.config = files.config

    def pointed(self) -> int | None:
        return self._speaker.step

    def load(self) -> tuple[Weights, Speaker]:
        return self._weights, self._speaker


def open_source(place: RunDirectory | Path, which: Literal["best", "last"]) -> Source:
    """A run's checkpoint, or an exported folder.

    Raises:
        UserError: when it cannot be used.
    """
    return RunSource(place, which) if isinstance(place, RunDirectory) else FolderSource(place)
