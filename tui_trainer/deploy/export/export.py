"""An export from start to card: written beside its place, checked by the program that will read it, then moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tui_trainer.deploy.export import gguf_file, hugging_face, onnx_model, quantization
from tui_trainer.deploy.export.card import ExportCard, PerplexityChange, list_files, shape_of, write_card
from tui_trainer.deploy.export.check import Agreement, Runtime, compare, demand
from tui_trainer.deploy.export.folder import new_folder
from tui_trainer.deploy.export.request import check_request
from tui_trainer.deploy.export.source import Source

Say = Callable[[str], None]


@dataclass(frozen=True)
class Format:
    """How a model is written and who checks it."""

    write: Callable[[Source, Path], None]
    runtimes: tuple[Callable[[Path, Source], Runtime], ...]
    """Each opens the folder; the source says what must be in it."""
    packages: tuple[str, ...]
    """Whose versions stand on the card."""
    size_factor: float
    """Most bytes on the disk at once, in fp32 copies of the weights; measured, before quantizing."""


KINDS = {
    "hf": Format(
        hugging_face.write_hugging_face,
        (lambda folder, _: hugging_face.open_hugging_face(folder),),
        ("torch", "safetensors", "tokenizers", "transformers"),
        1.0,
    ),
    "safetensors": Format(
        hugging_face.write_own,
        (lambda folder, _: hugging_face.FolderRuntime(folder),),
        ("torch", "safetensors"),
        1.0,
    ),
    "onnx": Format(
        onnx_model.write_onnx,
        (lambda folder, _: onnx_model.OnnxRuntime(folder), lambda folder, _: onnx_model.PastRuntime(folder)),
        ("torch", *onnx_model.PACKAGES, "tokenizers"),
        3.5,
    ),
    "gguf": Format(gguf_file.write_gguf, (gguf_file.GgufReading,), ("torch", "gguf"), 1.0),
}


def export_model(
    source: Source, name: str, target: Path, *, quantize: str | None, now: datetime, say: Say = lambda _: None
) -> ExportCard:
    """Writes a model for other programs.

    Args:
        source: what is exported.
        name: one of `request.FORMATS`.
        target: a folder that is not there yet, or is empty.
        quantize: int8, for onnx; None: fp32.
        now: what the card gives as its time.
        say: told what is being done.

    Raises:
        UserError: when the format cannot hold this model, a package is missing, a tolerance is missed, or nothing
            can be written. Then there is nothing at `target`.
    """
    check_request(name, quantize)
    kind = KINDS[name]
    if quantize is not None:
        quantization.validation_windows(source)  # a text that is gone is said before minutes of work
    with new_folder(target, _needed_bytes(source, kind, quantize)) as folder:
        say(f"writing {name}")
        kind.write(source, folder)
        say("checking it against the network that was trained")
        agreements = _check(source, kind, folder)
        for agreement in agreements:
            demand(agreement)
        changes: tuple[PerplexityChange, ...] = ()
        if quantize is not None:
            say("quantizing, and measuring what it costs")
            changes = _quantize(source, kind, folder)
            agreements = _check(source, kind, folder)
        card = _card(source, name, agreements, changes, folder, now)
        write_card(card, folder)
    return card


def _needed_bytes(source: Source, kind: Format, quantize: str | None) -> int:
    """Quantizing unties the head, so that each graph holds the embedding twice meanwhile."""
    heads = 2 * source.tokenizer.vocab_size * source.config.model.n_embd if quantize else 0
    return int(4 * (kind.size_factor * source.parameters + heads))


def _check(source: Source, kind: Format, folder: Path) -> list[Agreement]:
    return [compare(source, open_runtime(folder, source)) for open_runtime in kind.runtimes]


def _quantize(source: Source, kind: Format, folder: Path) -> tuple[PerplexityChange, ...]:
    before = kind.runtimes[0](folder, source)
    quantization.quantize_graphs(folder)
    quantized = [open_runtime(folder, source) for open_runtime in kind.runtimes]
    changes = quantization.measure_changes(source, before, quantized)
    for change in changes:
        quantization.demand_small(change)
    return changes


def _card(
    source: Source,
    name: str,
    agreements: list[Agreement],
    changes: tuple[PerplexityChange, ...],
    folder: Path,
    now: datetime,
) -> ExportCard:
    return ExportCard(
        format=name,
        quantization="int8" if changes else None,
        run=source.run.run_id,
        step=source.step,
        val_loss=source.val_loss,
        created=now.isoformat(timespec="seconds"),
        architecture=source.config.model.architecture,
        parameters=source.parameters,
        shape=shape_of(source),
        agreements=tuple(agreements),
        perplexities=changes,
        versions=_versions(KINDS[name].packages),
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
