"""The export card: what was exported, how it was checked and what came out, for people and for programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tui_trainer import __version__
from tui_trainer.deploy.export.check import Agreement
from tui_trainer.deploy.export.source import Source
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.runs.catalogue import EXPORT_CARD

CARD_FILE = "EXPORT.md"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class PerplexityChange:
    """What quantization costs, on the validation text of the run."""

    runtime: str
    tokens: int
    before: float
    after: float
    limit: float
    """The largest change that is accepted, as a share."""

    @property
    def change(self) -> float:
        """The share by which perplexity rose."""
        return self.after / self.before - 1


@dataclass(frozen=True)
class ExportedFile:
    """A file of the export."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ExportCard:
    """Everything measured about an export."""

    format: str
    quantization: str | None
    run: str
    step: int
    val_loss: float | None
    created: str
    architecture: str
    parameters: int
    shape: dict[str, int]
    agreements: tuple[Agreement, ...]
    perplexities: tuple[PerplexityChange, ...]
    versions: dict[str, str]
    notices: tuple[str, ...]
    files: tuple[ExportedFile, ...]

    def to_json(self) -> bytes:
        content: dict[str, Any] = {"format_version": FORMAT_VERSION, "tui_trainer": __version__, **asdict(self)}
        for entry, agreement in zip(content["agreements"], self.agreements, strict=True):
            entry["is_met"] = agreement.is_met
        for entry, change in zip(content["perplexities"], self.perplexities, strict=True):
            entry["change"] = change.change
        return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"

    def to_markdown(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def shape_of(source: Source) -> dict[str, int]:
    model = source.config.model
    return {
        "n_layer": model.n_layer,
        "n_head": model.n_head,
        "n_embd": model.n_embd,
        "context_length": model.context_length,
        "vocab_size": source.tokenizer.vocab_size,
    }


def list_files(folder: Path) -> tuple[ExportedFile, ...]:
    """Every file in a folder with its size and SHA-256."""
    return tuple(
        ExportedFile(path.name, path.stat().st_size, _sha256(path))
        for path in sorted(folder.iterdir())
        if path.is_file()
    )


def write_card(card: ExportCard, folder: Path) -> None:
    (folder / EXPORT_CARD).write_bytes(card.to_json())
    (folder / CARD_FILE).write_text(card.to_markdown(), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(card: ExportCard) -> Iterator[str]:
    loss = "not measured" if card.val_loss is None else f"{card.val_loss:.4f}"
    title = card.format + (f", {card.quantization}" if card.quantization else "")
    yield f"# Export: {title}"
    yield ""
    yield f"- Run: `{safe_line(card.run)}`, step {card.step:,}, validation loss {loss}"
    yield f"- Network: {card.architecture}, {card.parameters:,} parameters, " + ", ".join(
        f"{name} {value:,}" for name, value in card.shape.items()
    )
    yield f"- Made: {card.created} by tui-trainer {__version__}"
    yield "- With: " + ", ".join(f"{name} {version}" for name, version in card.versions.items())
    yield from (f"- Note: {safe_line(notice)}" for notice in card.notices)
    yield from _check_lines(card)
    yield ""
    yield "## Files"
    yield ""
    yield "| file | bytes | SHA-256 |"
    yield "|---|---|---|"
    yield from (f"| {file.name} | {file.bytes:,} | `{file.sha256}` |" for file in card.files)


def _check_lines(card: ExportCard) -> Iterator[str]:
    yield ""
    yield "## Checked against the network that was trained"
    yield ""
    yield "| runtime | lengths | batches | largest logit difference | tolerance | greedy tokens equal | tokenizer |"
    yield "|---|---|---|---|---|---|---|"
    for found in card.agreements:
        cells = (
            found.runtime,
            ", ".join(map(str, found.lengths)),
            ", ".join(map(str, found.batches)),
            f"{found.max_difference:.3g}",
            f"{found.tolerance:.3g}" if card.quantization is None else "see perplexity",
            f"{found.greedy_agreed} of {found.greedy_tokens}",
            found.tokenizer,
        )
        yield "| " + " | ".join(cells) + " |"
    for change in card.perplexities:
        yield ""
        yield (
            f"Validation perplexity of {change.runtime} over {change.tokens:,} tokens: {change.before:.4f} in fp32, "
            f"{change.after:.4f} in {card.quantization}: {change.change:+.2%} (accepted up to {change.limit:+.0%})."
        )
