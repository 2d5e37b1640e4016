"""Base: the model that a run goes on from. Its weights, shape and tokenizer, from a run or a folder.

Everything is checked here, before a directory is made: that the weights are those of the shape, that they are
finite, that every token has a row. What has to be adapted is told in a notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import DataConfig, ModelConfig, RunConfig
from tui_trainer.data.tokenizers import Tokenizer, load_tokenizer
from tui_trainer.errors import UserError
from tui_trainer.model.mismatches import find_mismatches
from tui_trainer.runs.catalogue import is_run, model_name
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.learner import MODEL_PREFIX, find_non_finite
from tui_trainer.training.notices import Notice
from tui_trainer.training.weights import fingerprint

VOCABULARY_ROWS = ("wte.weight", "head.weight")
POSITIONS = "wpe.weight"


@dataclass
class Base:
    """A model as it is on the disk now; `weights` by the names of `GPT.state_dict()`, fp32, on the CPU."""

    name: str
    path: Path
    model: ModelConfig
    data: DataConfig
    """Only which tokenizer."""
    tokenizer: Tokenizer
    weights: dict[str, Tensor]
    notices: list[Notice]
    step: int | None = None
    val_loss: float | None = None

    def adopt(self, config: RunConfig) -> RunConfig:
        """The configuration with this base's shape and tokenizer; its own dropout, and its context if it names one.

        Raises:
            UserError: for a context longer than the learned positions.
        """
        wanted = config.model
        is_asked = "context_length" in wanted.model_fields_set
        context_length = wanted.context_length if is_asked else self.model.context_length
        if context_length > self.model.context_length and self.model.architecture == "gpt2":
            raise UserError(
                f"model.context_length = {context_length}: {self.name} has learned only {self.model.context_length} "
                "positions, and none can be added\n"
                f"choose at most that: --set model.context_length={self.model.context_length}"
            )
        model = self.model.model_copy(update={"dropout": wanted.dropout, "context_length": context_length})
        tokenizer = {"tokenizer": self.data.tokenizer, "vocab_size": self.data.vocab_size}
        data = config.data.model_copy(update=tokenizer)
        base = config.base.model_copy(update={"path": str(self.path), "step": self.step})
        return config.model_copy(update={"base": base, "model": model, "data": data})

    def take_weights(self, context_length: int) -> dict[str, Tensor]:
        """The weights for a context, once: they are let go of here, for they may be as large as half the memory."""
        weights, self.weights = self.weights, {}
        if POSITIONS in weights:
            weights[POSITIONS] = weights[POSITIONS][:context_length]
        return weights

    def explain_context(self, context_length: int) -> list[Notice]:
        """What another context than the base's means."""
        before = self.model.context_length
        if context_length == before:
            return []
        if context_length > before:
            evidence = f"{context_length} tokens of context, where {self.name} has seen {before}"
            return [Notice("base", evidence, "Rotary positions reach further; what lies there is new to the model.")]
        cropped = " Its later positions are dropped." if self.model.architecture == "gpt2" else ""
        evidence = f"{context_length} tokens of context, where {self.name} has {before}"
        return [Notice("base", evidence, f"It is a shorter memory than it had.{cropped}")]

    def describe(self) -> dict[str, Any]:
        """What run.json keeps of it: plain values."""
        return {
            "name": self.name,
            "path": str(self.path),
            "step": self.step,
            "val_loss": self.val_loss,
            "sha256": fingerprint(self.weights),
        }


def load_base(path: Path, which: Literal["best", "last"] | int = "best") -> Base:
    """Reads a checkpoint of a run, or a folder in Hugging Face's layout.

    Args:
        path: absolute, as `find_base` gives it.
        which: the checkpoint of the run, by its step or by what points to it.

    Raises:
        UserError: naming the file and what is wrong: weights of another network, not finite, damaged, pickled.
    """
    if isinstance(which, int) and not is_run(path):
        raise UserError(f"base.step = {which}: {path} is no run and has no steps; leave it out")
    base = _load_run(RunDirectory(path), which) if is_run(path) else _load_folder(path)
    _fit_vocabulary(base)
    if mismatches := find_mismatches(base.model, base.tokenizer.vocab_size, base.weights):
        raise UserError(f"{path}: its weights are not those of the model it describes\n{'; '.join(mismatches[:5])}")
    if name := find_non_finite(base.weights):
        raise UserError(f"{path}: {name} holds a NaN or an infinity: this model diverged; choose another one")
    return base


def _load_run(run: RunDirectory, which: Literal["best", "last"] | int) -> Base:
    config, store = run.read_config(), CheckpointStore(run.checkpoints)
    checkpoint = store.load(which, prefix=MODEL_PREFIX)
    weights = {name.removeprefix(MODEL_PREFIX): tensor for name, tensor in checkpoint.tensors.items()}
    notices = []
    if checkpoint.warning:
        notices.append(Notice("base", f"{run.run_id}: {checkpoint.warning}", "It is taken as the base instead."))
    val_loss = checkpoint.metrics.get("val_loss")
    tokenizer = load_tokenizer(run.tokenizer)
    return Base(run.run_id, run.path, config.model, config.data, tokenizer, weights, notices, checkpoint.step, val_loss)


def _load_folder(folder: Path) -> Base:
    from tui_trainer.data.tokenizers import load_hugging_face_tokenizer
    from tui_trainer.model.hugging_face import read_folder

    files = read_folder(folder)
    tokenizer = load_hugging_face_tokenizer(folder)
    data = DataConfig().model_copy(update={"tokenizer": tokenizer.kind, "vocab_size": max(256, tokenizer.vocab_size)})
    notices = [Notice("base", text, "The loss is that of the weights as they are here.") for text in files.notices]
    return Base(model_name(folder), folder, files.config, data, tokenizer, files.weights, notices)


def _fit_vocabulary(base: Base) -> None:
    """Drops the rows that stand for no token: many a table is padded to a round number."""
    rows, needed = len(base.weights.get(VOCABULARY_ROWS[0], ())), base.tokenizer.vocab_size
    if rows < needed:
        raise UserError(
            f"{base.path}: the tokenizer has {needed:,} tokens, the weights know {rows:,}\n"
            "they are not of one model; fetch both from the same place"
        )
    if rows > needed:
        for name in VOCABULARY_ROWS:
            if name in base.weights:
                base.weights[name] = base.weights[name][:needed].clone()
        evidence = f"{rows:,} rows in the table of {base.name}, {needed:,} tokens in its vocabulary"
        base.notices.append(Notice("base", evidence, "The rows that stand for no token are dropped."))
