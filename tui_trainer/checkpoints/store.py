"""CheckpointStore: saves that survive a crash at any moment, loads that notice every damaged byte.

A save writes the tensors, then the manifest that makes them count, then the pointers, and only then removes
older checkpoints. Each file is written under a temporary name in the same folder, flushed to the disk, renamed
into place, and the folder is flushed too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from tui_trainer.checkpoints.disk import Disk
from tui_trainer.checkpoints.durable_folder import DurableFolder
from tui_trainer.checkpoints.manifest import (
    Digest,
    Manifest,
    manifest_name,
    open_regular,
    read_manifest,
    read_object,
    steps_in,
    tensor_name,
)
from tui_trainer.checkpoints.tensor_file import DamagedError, deserialize, serialize
from tui_trainer.errors import UserError
from tui_trainer.runs.files import FULL_DISK

SPARE_BYTES = 1_000_000
"""Room that a save leaves for its small files, the log and the status."""
LOAD_TRIES = 20
"""Looks at a pointer that moves on while its checkpoint is read."""

Pointer = Literal["best", "last", "stable"]


class NoSpaceError(UserError):
    """The disk, or this user's share of it, has no room for a checkpoint; the earlier ones are untouched."""

    def __init__(self, folder: Path, needed_bytes: int, free_bytes: int) -> None:
        """Says what is missing where.

        Args:
            folder: where the checkpoint should have gone.
            needed_bytes: what a save wants to find free.
            free_bytes: what is free.
        """
        super().__init__(
            f"{folder}: no room for a checkpoint: {needed_bytes / 1e6:,.1f} MB needed, "
            f"{free_bytes / 1e6:,.1f} MB free\n"
            f"free some space (or quota) there; the earlier checkpoints are kept"
        )
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose every byte was checked. `warning`: why it is another one than was asked for."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    metrics: dict[str, float | None]
    warning: str | None


class CheckpointStore:
    """The `checkpoints/` folder of a run. One writer, which holds the run's lock; any number of readers."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        """Remembers the place; nothing is read or written yet.

        Args:
            folder: an existing folder.
            disk: makes every change; None: the real disk.
        """
        self._folder = folder
        self._disk = disk or Disk()
        self._files = DurableFolder(folder, self._disk)

    def save(
        self,
        step: int,
        tensors: Mapping[str, torch.Tensor],
        state: Mapping[str, Any],
        metrics: Mapping[str, float | None],
        *,
        is_best: bool,
        keep: int,
        is_stable: bool = False,
    ) -> Path:
        """Saves a checkpoint; once this returns, it survives a power loss.

        Args:
            step: optimizer updates done; the same step may be saved again.
            tensors: dense tensors on the CPU that nobody changes meanwhile, any shape.
            state: what JSON can hold; tuples come back as lists. NaN and infinity survive.
            metrics: a value that is not finite is kept as None.
            is_best: whether `best` points here from now on.
            keep: newest checkpoints that stay, at least 1, besides the best and the stable one.
            is_stable: whether `stable`, from where a longer run would go on, points here from now on.

        Returns:
            The safetensors file.

        Raises:
            NoSpaceError: when the disk is full.
            ValueError: when the best has a metric that is not finite, or something cannot be serialised.
            OSError: when the disk fails otherwise. The earlier checkpoints still load in every case.
        """
        if keep < 1:
            raise ValueError(f"keep = {keep} must be at least 1")
        finite = {name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()}
        if is_best and finite != dict(metrics):
            raise ValueError(f"best must be finite, not {dict(metrics)}")
        metadata = {"step": str(step), "state": json.dumps(dict(state)), "metrics": json.dumps(finite)}
        size, chunks = serialize(tensors, metadata)
        try:
            self._check_space(size)
            self._commit(step, chunks, finite)
            # Best before last: a resume from last must never believe in a best that is not pointed to.
            for name in (*(["stable"] if is_stable else []), *(["best"] if is_best else []), "last"):
                self._files.write(f"{name}.json", json.dumps({"step": step}).encode())
            self._prune(step, keep)
        except OSError as error:
            if error.errno in FULL_DISK:
                raise NoSpaceError(self._folder, size + SPARE_BYTES, self._free_bytes()) from error
            raise
        return self._folder / tensor_name(step)

    def load(self, which: Pointer | int, *, prefix: str = "", repair: bool = False) -> Checkpoint:
        """Reads a checkpoint and checks its size and SHA-256.

        When the one that `best` or `last` means is damaged, the next older good one comes instead, with a
        warning; a newer one only when no older one is left.

        Args:
            which: a pointer, or a step, for which nothing else is taken instead.
            prefix: only tensors whose name starts so take memory.
            repair: rename damaged files to `*.corrupt`; only for the process that holds the run's lock.

        Raises:
            UserError: when no checkpoint can be used, or a newer program made it.
        """
        for _ in range(LOAD_TRIES):
            step, manifest = wanted = self._look(which)
            if step is None:
                return self._load_another(f"there is no {which} checkpoint", None, prefix, repair)
            try:
                return self._read(step, manifest, prefix)
            except DamagedError as error:
                problem = f"{tensor_name(step)} {error}"
            # The trainer may have replaced or pruned it since the look: then look again.
            if self._look(which) == wanted:
                break
        assert step is not None
        if repair:
            self._set_aside(step)
        if isinstance(which, int):
            others = ", ".join(map(str, self.steps()[-5:])) or "none"
            raise UserError(f"{self._folder}: {problem}\nchoose another step; there are: {others}")
        return self._load_another(problem, step, prefix, repair)

    def pointer(self, which: Pointer) -> int | None:
        """The step that a pointer means, or None when nothing readable says so."""
        try:
            step = read_object(self._folder / f"{which}.json").get("step")
        except DamagedError:
            return None
        return step if type(step) is int and 0 <= step < 10**15 else None

    def steps(self) -> list[int]:
        """The steps that have a manifest, ascending."""
        return steps_in(self._folder, ".json")

    def clean(self) -> None:
        """Removes temporary files that dead processes left; the caller holds the run's lock, so all are."""
        for path in self._folder.glob(".tmp-*"):
            self._disk.unlink(path)

    def _look(self, which: Pointer | int) -> tuple[int | None, Manifest | None]:
        """The step that is meant and its manifest, as they are at this moment."""
        step = which if isinstance(which, int) else self.pointer(which)
        if step is None and which == "last":
            step = max(self.steps(), default=None)
        if step is None:
            return None, None
        try:
            return step, read_manifest(self._folder, step)
        except DamagedError:
            return step, None

    def _read(self, step: int, manifest: Manifest | None, prefix: str) -> Checkpoint:
        """The checkpoint that a manifest describes; raises DamagedError when the files say something else."""
        manifest = manifest or read_manifest(self._folder, step)
        with open_regular(self._folder / tensor_name(step)) as (file, size):
            if size not in {digest.size for digest in manifest.accepted}:
                raise DamagedError(f"has {size} bytes instead of {manifest.digest.size}")
            content = deserialize(file, size, prefix)
        if Digest(size, content.sha256) not in manifest.accepted:
            raise DamagedError("does not match its SHA-256")
        try:
            state, metrics = (json.loads(content.metadata[name]) for name in ("state", "metrics"))
            is_this = content.metadata["step"] == str(step)
        except (KeyError, ValueError, RecursionError) as error:
            raise DamagedError("was not made by tui-trainer") from error
        if not is_this or not isinstance(state, dict) or not isinstance(metrics, dict):
            raise DamagedError("belongs to something else")
        return Checkpoint(step, content.tensors, state, metrics, None)

    def _load_another(self, problem: str, failed: int | None, prefix: str, repair: bool) -> Checkpoint:
        """The next older good checkpoint, or the newest of the newer ones."""
        steps = [step for step in reversed(self.steps()) if step != failed]
        if not steps and failed is None:
            raise UserError(f"{self._folder}: no checkpoint yet; the first one comes with the first save")
        older = [step for step in steps if failed is None or step < failed]
        for step in [*older, *(step for step in steps if step not in older)]:
            try:
                found = self._read(step, None, prefix)
            except DamagedError:
                if repair:
                    self._set_aside(step)
                continue
            return replace(found, warning=f"{problem}; using step {step} instead")
        raise UserError(
            f"{self._folder}: no usable checkpoint: {problem}\n"
            f"start again: tui-trainer train {self._folder.parent / 'config.toml'}"
        )

    def _set_aside(self, step: int) -> None:
        """Keeps damaged files for whoever wants to look, under names that no load considers."""
        for name in (manifest_name(step), tensor_name(step)):
            path = self._folder / name
            # A disk that takes no change must not keep an older good one from loading.
            with suppress(OSError):
                self._disk.replace(path, path.with_name(f"{name}.corrupt"))

    def _commit(self, step: int, chunks: Iterable[memoryview], metrics: Mapping[str, float | None]) -> None:
        """Puts the tensors and the manifest in place; an earlier save of this step stays loadable until then."""
        name = tensor_name(step)
        try:
            with self._files.temporary(name) as temporary:
                digest = self._files.fill(temporary, chunks)
                manifest = Manifest(step, digest, metrics=tuple(metrics.items()))
                earlier = self._accepted(step) - {digest}
                if earlier:
                    # For the moment in which either file may be there, the manifest accepts both.
                    self._write_manifest(replace(manifest, previous=tuple(earlier)))
                self._files.install(temporary, name)
            self._write_manifest(manifest)
        except BaseException:
            # Tensors without a manifest count for nothing but fill the disk.
            if not (self._folder / manifest_name(step)).exists():
                with suppress(OSError):
                    self._disk.unlink(self._folder / name)
            raise

    def _accepted(self, step: int) -> set[Digest]:
        """The digests that an earlier save of this step may have."""
        try:
            return set(read_manifest(self._folder, step).accepted)
        except DamagedError:
            return set()

    def _write_manifest(self, manifest: Manifest) -> None:
        self._files.write(manifest_name(manifest.step), manifest.encode(str(torch.__version__)))

    def _prune(self, step: int, keep: int) -> None:
        """Removes all but the newest up to `step` and the best; later ones are of a past that was given up."""
        kept = {*[saved for saved in self.steps() if saved <= step][-keep:], self.pointer("best")}
        kept.add(self.pointer("stable"))
        for old in {*self.steps(), *steps_in(self._folder, ".safetensors")} - kept:
            self._disk.unlink(self._folder / manifest_name(old))
            self._disk.unlink(self._folder / tensor_name(old))

    def _check_space(self, size: int) -> None:
        free = self._disk.free_bytes(self._folder)
        if free < size + SPARE_BYTES:
            raise NoSpaceError(self._folder, size + SPARE_BYTES, free)

    def _free_bytes(self) -> int:
        try:
            return self._disk.free_bytes(self._folder)
        except OSError:
            return 0
