"""The small JSON files beside the tensors: a manifest says that a checkpoint is complete, a pointer names one."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer import __version__
from tui_trainer.checkpoints.tensor_file import DamagedError
from tui_trainer.errors import UserError

FORMAT_VERSION = 1
MAX_JSON_BYTES = 1 << 20


def tensor_name(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def manifest_name(step: int) -> str:
    return f"step-{step:08d}.json"


def steps_in(folder: Path, suffix: str) -> list[int]:
    """The steps that have a file `step-N` with this suffix, ascending; none when there is no folder."""
    pattern = re.compile(r"step-(\d{8,15})" + re.escape(suffix))
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    matches = [match for match in map(pattern.fullmatch, names) if match]
    return sorted(int(match[1]) for match in matches if match[0] == f"step-{int(match[1]):08d}{suffix}")


@dataclass(frozen=True)
class Digest:
    """What a file must be: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The commit record of a checkpoint."""

    step: int
    digest: Digest
    previous: tuple[Digest, ...] = ()
    """While a step is saved again: the digests of the file that is about to be replaced."""
    metrics: tuple[tuple[str, float | None], ...] = ()
    """For people and scripts; the store itself takes them from the file that the digest covers."""

    @property
    def accepted(self) -> tuple[Digest, ...]:
        return (self.digest, *self.previous)

    def encode(self, torch_version: str) -> bytes:
        content: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "step": self.step,
            "size": self.digest.size,
            "sha256": self.digest.sha256,
            "tui_trainer": __version__,
            "torch": torch_version,
            "metrics": dict(self.metrics),
        }
        if self.previous:
            content["previous"] = [{"size": digest.size, "sha256": digest.sha256} for digest in self.previous]
        return json.dumps(content, indent=2, allow_nan=False).encode() + b"\n"


def read_manifest(folder: Path, step: int) -> Manifest:
    """The manifest of a step.

    Raises:
        DamagedError: when it is missing or broken.
        UserError: when a newer program made it, or it may not be read.
    """
    path = folder / manifest_name(step)
    content = read_object(path)
    version = content.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise UserError(
            f"{path}: made by tui-trainer {str(content.get('tui_trainer'))[:40]!r} in format version {version}\n"
            f"this is tui-trainer {__version__}, which reads version {FORMAT_VERSION}; use the newer one"
        )
    if version != FORMAT_VERSION or content.get("step") != step:
        raise DamagedError("has a manifest of something else")
    try:
        previous = tuple(_digest(entry) for entry in content.get("previous", ()))
        return Manifest(step, _digest(content), previous)
    except (KeyError, TypeError) as error:
        raise DamagedError("has a broken manifest") from error


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a small file.

    Raises:
        DamagedError: when there is no such file or it holds something else.
        UserError: when it may not be read.
    """
    with open_regular(path) as (file, size):
        if size > MAX_JSON_BYTES:
            raise DamagedError("has a broken manifest")
        text = file.readall()
    try:
        content = json.loads(text or b"")
    except (ValueError, RecursionError) as error:
        raise DamagedError("has a broken manifest") from error
    if not isinstance(content, dict):
        raise DamagedError("has a broken manifest")
    return content


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[io.FileIO, int]]:
    """Opens a file for reading, without waiting for a pipe's other end, and gives its size in bytes.

    Raises:
        DamagedError: when it is missing, no regular file, or on a bad part of the disk.
        UserError: when the system refuses it for another reason.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with io.FileIO(descriptor, "r") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DamagedError("is not a regular file")
            yield file, status.st_size
    except FileNotFoundError as error:
        raise DamagedError("is missing") from error
    except OSError as error:
        if error.errno in (errno.EIO, errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise DamagedError(f"cannot be read: {error.strerror}") from error
        raise UserError(f"{path}: {error.strerror}; check who may read it") from error


def _digest(entry: Any) -> Digest:
    size, sha256 = entry["size"], entry["sha256"]
    if type(size) is not int or not isinstance(sha256, str):
        raise TypeError(entry)
    return Digest(size, sha256)
