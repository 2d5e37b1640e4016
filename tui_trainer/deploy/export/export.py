"""An export from start to card: written beside its place, checked by the program that will read it, then moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tui_trainer.deploy.export import hugging_face
from tui_trainer.deploy.export.card import ExportCard, PerplexityChange, list_files, shape_of, write_card
from tui_trainer.deploy.export.check import Agreement, Runtime, compare, demand
from tui_trainer.deploy.export.folder import new_folder
from tui_trainer.deploy.export.source import Source
from tui_trainer.errors import UserError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Format:
    """How a model is written and who checks it."""

    write: Callable[[Source, Path], None]
    open: Callable[[Path], Runtime]
    packages: tuple[str, ...]
    """Whose versions stand on the card."""
    size_factor: float
    """Most bytes on the disk at once, in fp32 copies of the weights."""


FORMATS = {
    "hf": Format(
        hugging_face.write_hugging_face,
        hugging_face.open_hugging_face,
        ("torch", "safetensors", "tokenizers", "transformers"),
        1.0,
    ),
    "safetensors": Format(hugging_face.write_own, hugging_face.FolderRuntime, ("torch", "safetensors"), 1.0),
}
QUANTIZATIONS = ("int8",)


def check_request(name: str, quantize: str | None) -> None:
    """Raises UserError for a format or a quantization that there is not."""
    if name not in FORMATS:
        raise UserError(f"--format {name}: must be {', '.join(FORMATS)}")
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise UserError(f"--quantize {quantize}: must be int8")
    if quantize is not None and name != "onnx":
        raise UserError(f"--quantize {quantize}: only for --format onnx")


def export_model(
    source: Source, name: str, target: Path, *, quantize: str | None, now: datetime, say: Say = lambda _: None
) -> ExportCard:
    """Writes a model for other programs.

    Args:
        source: what is exported.
        name: one of `FORMATS`.
        target: a folder that is not there yet, or is empty.
        quantize: int8, for onnx; None: fp32.
        now: what the card gives as its time.
        say: told what is being done.

    Raises:
        UserError: when the format cannot hold this model, a package is missing, a tolerance is missed, or nothing
            can be written. Then there is nothing at `target`.
    """
    check_request(name, quantize)
    kind = FORMATS[name]
    with new_folder(target, int(kind.size_factor * 4 * source.parameters)) as folder:
        say(f"writing {name}")
        kind.write(source, folder)
        say("checking it against the network that was trained")
        agreements = [compare(source, kind.open(folder))]
        demand(agreements[0])
        card = _card(source, name, agreements, None, None, folder, now)
        write_card(card, folder)
    return card


def _card(
    source: Source,
    name: str,
    agreements: list[Agreement],
    quantize: str | None,
    change: PerplexityChange | None,
    folder: Path,
    now: datetime,
) -> ExportCard:
    return ExportCard(
        format=name,
        quantization=quantize,
        run=source.run.run_id,
        step=source.step,
        val_loss=source.val_loss,
        created=now.isoformat(timespec="seconds"),
        architecture=source.config.model.architecture,
        parameters=source.parameters,
        shape=shape_of(source),
        agreements=tuple(agreements),
        perplexity=change,
        versions=_versions(FORMATS[name].packages),
        notices=source.notices,
        files=list_files(folder),
    )


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
