"""What a store promises while nothing goes wrong."""

import json
import math
import os
import stat
import threading
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from tui_trainer.checkpoints import CheckpointStore, Disk, NoSpaceError
from tui_trainer.errors import UserError


def save(
    store: CheckpointStore, step: int, value: float | None = None, *, is_best: bool = False, keep: int = 2
) -> Path:
    filled = torch.full((500,), float(step if value is None else value))
    return store.save(step, {"model.w": filled}, {"step": step}, {"val_loss": 1.0}, is_best=is_best, keep=keep)


def bits(tensor: torch.Tensor) -> object:
    """Equal for equal bytes, also of NaN and of -0.0."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


def test_everything_comes_back_bit_for_bit(folder: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "model.wte.weight": torch.randn(17, 8, generator=generator),
        "model.odd": torch.arange(3, dtype=torch.int8),
        "model.half": torch.randn(5, generator=generator).to(torch.bfloat16),
        "model.mask": torch.tensor([[True, False], [False, True]]),
        "optimizer.step": torch.tensor(7.0),
        "optimizer.empty": torch.empty(0, 3, dtype=torch.float64),
        "optimizer.nan": torch.tensor([math.nan, math.inf, -0.0]),
        "random.torch": torch.get_rng_state(),
        "model.turned": torch.randn(4, 6, generator=generator).T,
        "model.needs_grad": torch.randn(3, generator=generator).requires_grad_(),
    }
    state = {"step": 1200, "data": {"position": [1, 2]}, "best": math.inf, "text": "가🙂\x1b"}
    metrics = {"val_loss": 3.25, "train_eval_loss": None}
    path = CheckpointStore(folder).save(1200, tensors, state, metrics, is_best=True, keep=1)
    found = CheckpointStore(folder).load("best")
    assert path == folder / "step-00001200.safetensors"
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].shape == tensor.shape
        assert bits(found.tensors[name]) == bits(tensor)
    assert (found.step, found.state, found.metrics, found.warning) == (1200, state, metrics, None)


def test_other_programs_read_the_file_as_safetensors(folder: Path) -> None:
    tensors = {"a": torch.arange(3, dtype=torch.int8), "b": torch.randn(3, 5), "c": torch.tensor(2.0).double()}
    path = CheckpointStore(folder).save(1, tensors, {"x": 1}, {"val_loss": 2.0}, is_best=False, keep=1)
    foreign = safetensors.torch.load_file(path)
    assert foreign.keys() == tensors.keys()
    assert all(torch.equal(foreign[name], tensors[name]) for name in tensors)
    with safetensors.safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["state"]) == {"x": 1}


def test_the_manifest_says_what_the_file_is(folder: Path) -> None:
    path = save(CheckpointStore(folder), 5)
    manifest = json.loads((folder / "step-00000005.json").read_text())
    assert manifest["size"] == path.stat().st_size
    assert {"format_version", "step", "sha256", "tui_trainer", "torch", "metrics"} <= manifest.keys()
    assert manifest["metrics"] == {"val_loss": 1.0}


def test_files_are_readable_as_the_umask_allows(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        save(CheckpointStore(folder), 5, is_best=True)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}


def test_only_wanted_tensors_are_loaded(folder: Path) -> None:
    store = CheckpointStore(folder)
    tensors = {"model.w": torch.ones(3), "optimizer.w": torch.zeros(2_000_000)}
    store.save(1, tensors, {}, {}, is_best=False, keep=1)
    assert store.load("last", prefix="model.").tensors.keys() == {"model.w"}


def test_pointers(folder: Path) -> None:
    store = CheckpointStore(folder)
    assert (store.pointer("best"), store.pointer("last"), store.steps()) == (None, None, [])
    save(store, 100, is_best=True)
    save(store, 200)
    assert (store.pointer("best"), store.pointer("last"), store.steps()) == (100, 200, [100, 200])
    assert json.loads((folder / "best.json").read_text()) == {"step": 100}
    assert (store.load("best").step, store.load("last").step, store.load(100).step) == (100, 200, 100)


def test_pruning_keeps_the_newest_and_the_best(folder: Path) -> None:
    store = CheckpointStore(folder)
    for step in range(100, 700, 100):
        save(store, step, is_best=step == 200, keep=2)
    names = {f"step-00000{step}{suffix}" for step in (200, 500, 600) for suffix in (".json", ".safetensors")}
    assert {path.name for path in folder.iterdir()} == {*names, "best.json", "last.json"}


def test_going_back_gives_up_what_came_after(folder: Path) -> None:
    store = CheckpointStore(folder)
    for step in (100, 200, 300, 400):
        save(store, step, is_best=step == 300, keep=9)
    save(store, 150, keep=2)
    assert store.steps() == [100, 150, 300]
    assert store.load("last").step == 150


def test_a_step_saved_again_is_replaced(folder: Path) -> None:
    store = CheckpointStore(folder)
    for value in (1.0, 1.0, 2.0):
        save(store, 100, value)
        assert store.load("last").tensors["model.w"][0] == value
    assert "previous" not in json.loads((folder / "step-00000100.json").read_text())


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_best_must_be_finite(folder: Path, loss: float) -> None:
    store = CheckpointStore(folder)
    with pytest.raises(ValueError, match="best must be finite"):
        store.save(1, {"w": torch.ones(1)}, {}, {"val_loss": loss}, is_best=True, keep=1)
    assert list(folder.iterdir()) == []
    store.save(1, {"w": torch.ones(1)}, {}, {"val_loss": loss}, is_best=False, keep=1)
    assert store.load("last").metrics == {"val_loss": None}


@pytest.mark.parametrize(
    ("tensors", "state", "keep"),
    [({"w": torch.ones(1, dtype=torch.complex64)}, {}, 1), ({"w": torch.ones(1)}, {}, 0)],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    folder: Path, tensors: dict[str, torch.Tensor], state: dict[str, object], keep: int
) -> None:
    with pytest.raises(ValueError):
        CheckpointStore(folder).save(1, tensors, state, {}, is_best=False, keep=keep)
    assert list(folder.iterdir()) == []


def test_too_little_space_is_said_before_anything_is_written(folder: Path) -> None:
    class SmallDisk(Disk):
        def free_bytes(self, folder: Path) -> int:
            return 900_000

    with pytest.raises(NoSpaceError) as caught:
        save(CheckpointStore(folder, SmallDisk()), 1)
    lines = str(caught.value).splitlines()
    assert len(lines) <= 3
    assert str(folder) in lines[0]
    assert "1.0 MB needed, 0.9 MB free" in lines[0]
    assert list(folder.iterdir()) == []


def test_no_checkpoint_yet(folder: Path) -> None:
    for where in (folder, folder / "gone"):
        with pytest.raises(UserError, match="no checkpoint yet"):
            CheckpointStore(where).load("best")


def test_without_a_best_the_newest_comes_and_says_so(folder: Path) -> None:
    store = CheckpointStore(folder)
    save(store, 100)
    found = store.load("best")
    assert (found.step, found.warning) == (100, "there is no best checkpoint; using step 100 instead")


def test_a_step_that_is_not_there_names_those_that_are(folder: Path) -> None:
    store = CheckpointStore(folder)
    save(store, 100)
    with pytest.raises(UserError, match="is missing\nchoose another step; there are: 100"):
        store.load(200)


def test_clean_removes_what_dead_processes_left(folder: Path) -> None:
    store = CheckpointStore(folder)
    save(store, 100)
    (folder / ".tmp-1-step-00000200.safetensors").write_bytes(b"half")
    store.clean()
    assert not list(folder.glob(".tmp-*"))
    assert store.load("last").step == 100


def test_readers_see_whole_checkpoints_while_a_writer_saves(folder: Path) -> None:
    """Pruning keeps only one, so that the readers often find a file gone that was there a moment before."""
    store, reads = CheckpointStore(folder), 0
    problems: list[str] = []
    save(store, 0, is_best=True)
    is_over = threading.Event()

    def read() -> None:
        nonlocal reads
        reader, newest = CheckpointStore(folder), 0
        while not is_over.is_set():
            for which in ("last", "best"):
                try:
                    found = reader.load(which)
                except Exception as error:  # noqa: BLE001
                    problems.append(repr(error))
                    continue
                reads += 1
                if found.warning or not (found.tensors["model.w"] == found.step).all():
                    problems.append(f"{found.step}: {found.warning}")
                if which == "last":
                    problems.extend([f"{found.step} after {newest}"] if found.step < newest else [])
                    newest = found.step

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for step in range(1, 201):
            save(store, step, is_best=step % 3 == 0, keep=1)
    finally:
        is_over.set()
        thread.join()
    assert problems == []
    assert reads > 20


def test_readers_see_whole_checkpoints_while_one_step_is_saved_again(folder: Path) -> None:
    store, problems = CheckpointStore(folder), []
    save(store, 7, 0.0)
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            try:
                found = CheckpointStore(folder).load("last")
            except UserError as error:
                problems.append(str(error))
                continue
            if found.warning or len(set(found.tensors["model.w"].tolist())) != 1:
                problems.append(str(found.warning))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for value in range(1, 101):
            save(store, 7, float(value))
    finally:
        is_over.set()
        thread.join()
    assert problems == []
