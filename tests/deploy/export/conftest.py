"""Two small runs, trained once: each architecture with another tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from export_runs import NOW
from tiny_runs import tiny_config, trained, write_text

from tui_trainer.deploy.export.card import ExportCard
from tui_trainer.deploy.export.export import export_model
from tui_trainer.deploy.export.source import Source, load_source
from tui_trainer.runs.directory import RunDirectory

TOKENIZERS = {"gpt2": "bpe", "modern": "char"}


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, RunDirectory]:
    folder = tmp_path_factory.mktemp("exported")
    text = write_text(folder, 6000)
    made = {}
    for architecture, tokenizer in TOKENIZERS.items():
        config = tiny_config(
            text,
            model={"architecture": architecture, "n_layer": 2},
            data={"tokenizer": tokenizer, "vocab_size": 300},
            sampling={"prompts": ["abc "]},
        )
        made[architecture] = trained(config, folder / architecture)
    return made


@pytest.fixture
def make_source(runs) -> Callable[..., Source]:
    return lambda architecture="gpt2", which="best": load_source(runs[architecture], which)


@pytest.fixture
def export(make_source) -> Callable[..., ExportCard]:
    def make(name: str, target: Path, architecture: str = "gpt2", quantize: str | None = None) -> ExportCard:
        return export_model(make_source(architecture), name, target, quantize=quantize, now=NOW)

    return make
