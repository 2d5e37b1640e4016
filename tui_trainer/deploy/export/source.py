"""What is exported: a checkpoint of a run, in fp32, with its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.tokenizers import Tokenizer, load_tokenizer
from tui_trainer.errors import UserError
from tui_trainer.model import GPT
from tui_trainer.model.mismatches import demand_match
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.learner import MODEL_PREFIX

Which = Literal["best", "last"]


@dataclass(frozen=True)
class Source:
    """A model that can be exported."""

    run: RunDirectory
    config: RunConfig
    step: int
    val_loss: float | None
    model: GPT
    """In eval mode, fp32, on the CPU."""
    tokenizer: Tokenizer
    notices: tuple[str, ...]
    data: tuple[str, ...] = ()
    """Where the run's text is now; empty: where it was."""

    @property
    def parameters(self) -> int:
        """Weights, a tied head counted once."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def load_source(run: RunDirectory, which: Which, data: tuple[str, ...] = ()) -> Source:
    """Reads a checkpoint and checks every byte of it.

    Raises:
        UserError: when there is none, it is damaged, of another network than the configuration says, or diverged.
    """
    config = run.read_config()
    tokenizer = load_tokenizer(run.tokenizer)
    checkpoint = CheckpointStore(run.checkpoints).load(which, prefix=MODEL_PREFIX)
    weights = {name.removeprefix(MODEL_PREFIX): tensor.float() for name, tensor in checkpoint.tensors.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise UserError(f"{run.path}: step {checkpoint.step} holds NaN: it has diverged; choose another checkpoint")
    with torch.device("meta"):
        model = GPT(config.model, tokenizer.vocab_size)
    demand_match(run.config_file, config.model, tokenizer.vocab_size, weights)
    model.load_state_dict(weights, assign=True)
    model = model.eval().requires_grad_(requires_grad=False)
    notices = (checkpoint.warning,) if checkpoint.warning else ()
    return Source(run, config, checkpoint.step, checkpoint.metrics.get("val_loss"), model, tokenizer, notices, data)
