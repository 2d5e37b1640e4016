"""Every state in which a power loss can leave the folder, after the method that SQLite tests itself with.

For each prefix of the operations, any prefix of the not yet flushed names survives, and of the not yet flushed
bytes all, none, half, or as many zeros. A store that opens such a state must load what was acknowledged last or
something newer, without a warning. The weakened recipes show that the test would notice.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tui_trainer.checkpoints import CheckpointStore, Disk
from tui_trainer.checkpoints.manifest import Digest, Manifest, tensor_name
from tui_trainer.errors import UserError

Operation = tuple[Any, ...]
State = dict[str, bytes]

SAVES = [(100, True), (200, False), (300, True), (300, False), (400, False), (500, True)]
"""Step and is_best of each save; one step comes twice with other content."""

WRITE_BYTES = 64
"""A file takes several writes, so that a crash can come between them."""


class RecordingDisk(Disk):
    """Does what it is told and writes down what that was."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._names: dict[int, str] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._names[descriptor] = path.name
        self.operations.append(("create", path.name))
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        piece = content[:WRITE_BYTES]
        self.operations.append(("write", self._names[descriptor], bytes(piece)))
        return super().write(descriptor, piece)

    def sync(self, descriptor: int) -> None:
        self.operations.append(("sync", self._names[descriptor]))

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self.operations.append(("replace", source.name, target.name))

    def sync_folder(self, folder: Path) -> None:
        self.operations.append(("sync_folder",))

    def unlink(self, path: Path) -> None:
        if path.exists():
            super().unlink(path)
            self.operations.append(("unlink", path.name))


class File:
    """An inode: what was written to it and how much of that is flushed."""

    def __init__(self) -> None:
        self.content = b""
        self.flushed = 0

    def after_crash(self, survival: str) -> bytes:
        rest = self.content[self.flushed :]
        kept = {"all": rest, "none": b"", "half": rest[: len(rest) // 2], "zeros": bytes(len(rest))}[survival]
        return self.content[: self.flushed] + kept


def crash_states(operations: list[Operation]) -> Iterator[tuple[State, int]]:
    """Each state that a crash can leave, once, with the number of saves that were acknowledged before it."""
    live: dict[str, File] = {}
    flushed: dict[str, File] = {}
    pending: list[dict[str, File]] = []
    acknowledged, seen = 0, set()
    for operation in operations:
        match operation:
            case ("create", name):
                live[name] = File()
                pending.append(dict(live))
            case ("write", name, content):
                live[name].content += content
            case ("sync", name):
                live[name].flushed = len(live[name].content)
            case ("replace", source, target):
                live[target] = live.pop(source)
                pending.append(dict(live))
            case ("unlink", name):
                del live[name]
                pending.append(dict(live))
            case ("sync_folder",):
                flushed, pending = dict(live), []
            case ("acknowledged",):
                acknowledged += 1
        for names in [flushed, *pending]:
            for survival in ("all", "none", "half", "zeros"):
                state = {name: file.after_crash(survival) for name, file in names.items()}
                key = (acknowledged, frozenset(state.items()))
                if key not in seen:
                    seen.add(key)
                    yield state, acknowledged


def record(folder: Path, kind: type[CheckpointStore], keep: int = 1) -> list[Operation]:
    disk = RecordingDisk()
    store = kind(folder, disk)
    for number, (step, is_best) in enumerate(SAVES, start=1):
        tensors = {"model.w": torch.full((3,), float(number))}
        store.save(step, tensors, {"number": number}, {"val_loss": 1.0}, is_best=is_best, keep=keep)
        disk.operations.append(("acknowledged",))
    return disk.operations


def count_states(operations: list[Operation], place: Path, *, stop_at_first: bool) -> tuple[int, int]:
    """How many states there are, and in how many something acknowledged is lost."""
    states = lost = 0
    for state, acknowledged in crash_states(operations):
        states += 1
        lost += is_lost(state, acknowledged, place)
        if lost and stop_at_first:
            break
    return states, lost


def is_lost(state: State, acknowledged: int, place: Path) -> bool:
    if acknowledged == 0:
        return False
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, content in state.items():
        (place / name).write_bytes(content)
    best = max(number for number in range(1, acknowledged + 1) if SAVES[number - 1][1])
    store = CheckpointStore(place)
    return not (is_good(store, "last", acknowledged) and is_good(store, "best", best))


def is_good(store: CheckpointStore, which: Any, oldest: int) -> bool:
    try:
        found = store.load(which)
    except UserError:
        return False
    number = found.state["number"]
    is_whole = bool((found.tensors["model.w"] == number).all()) and found.step == SAVES[number - 1][0]
    is_allowed = which == "last" or (found.step, True) in SAVES
    return is_whole and is_allowed and number >= oldest and found.warning is None


@pytest.mark.parametrize("keep", [1, 3])
def test_no_crash_state_loses_an_acknowledged_checkpoint(folder: Path, tmp_path: Path, keep: int) -> None:
    states, lost = count_states(record(folder, CheckpointStore, keep), tmp_path / "state", stop_at_first=False)
    print(f"keep {keep}: {states} crash states")
    assert states > 200
    assert lost == 0


class ManifestFirst(CheckpointStore):
    def _commit(self, step: int, chunks: Iterable[memoryview], metrics: Mapping[str, float | None]) -> None:
        name = tensor_name(step)
        with self._files.temporary(name) as temporary:
            digest = self._files.fill(temporary, chunks)
            self._write_manifest(Manifest(step, digest))
            self._files.install(temporary, name)


class ForgetsTheEarlierSave(CheckpointStore):
    def _accepted(self, step: int) -> set[Digest]:
        return set()


@pytest.mark.parametrize("kind", [ManifestFirst, ForgetsTheEarlierSave])
def test_a_weakened_store_loses_something(folder: Path, tmp_path: Path, kind: type[CheckpointStore]) -> None:
    assert count_states(record(folder, kind), tmp_path / "state", stop_at_first=True)[1] > 0


def without_sync(operations: list[Operation], of: str) -> list[Operation]:
    return [op for op in operations if not (op[0] == "sync" and op[1].endswith(of))]


def without_folder_sync(operations: list[Operation]) -> list[Operation]:
    return [op for op in operations if op[0] != "sync_folder"]


def in_place(operations: list[Operation]) -> list[Operation]:
    """The same bytes, written straight under the final name."""
    final = {op[1]: op[2] for op in operations if op[0] == "replace"}
    kept = [op for op in operations if op[0] != "replace"]
    return [(op[0], final.get(op[1], op[1]), *op[2:]) if len(op) > 1 else op for op in kept]


@pytest.mark.parametrize(
    "weaken",
    [
        pytest.param(in_place, id="in place"),
        pytest.param(lambda operations: without_sync(operations, ""), id="no fsync"),
        pytest.param(lambda operations: without_sync(operations, ".safetensors"), id="no fsync of the tensors"),
        pytest.param(lambda operations: without_sync(operations, "0.json"), id="no fsync of the manifests"),
        pytest.param(lambda operations: without_sync(operations, "best.json"), id="no fsync of best"),
        pytest.param(without_folder_sync, id="no folder fsync"),
    ],
)
def test_a_weakened_recipe_loses_something(folder: Path, tmp_path: Path, weaken: Any) -> None:
    operations = weaken(record(folder, CheckpointStore))
    assert count_states(operations, tmp_path / "state", stop_at_first=True)[1] > 0
