"""A disk that refuses any one call, or has become full for good: the earlier checkpoints still load."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tui_trainer.checkpoints import CheckpointStore, Disk, NoSpaceError

CALLS = ("free_bytes", "create", "write", "sync", "close", "replace", "sync_folder", "unlink")


class FailingDisk(Disk):
    """Fails at the N-th call; with `from_then_on`, everything that takes space fails afterwards too."""

    def __init__(self, failing_call: int, number: int, from_then_on: bool = False) -> None:
        self.calls = 0
        self._failing_call, self._number, self._from_then_on = failing_call, number, from_then_on

    def __getattribute__(self, name: str) -> Any:
        method = object.__getattribute__(self, name)
        return self._guard(name, method) if name in CALLS else method

    def _guard(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls += 1
            is_failing = self.calls == self._failing_call
            if self._from_then_on and name in ("create", "write", "sync"):
                is_failing = self.calls >= self._failing_call
            if is_failing and name == "close":
                method(*arguments)
            if is_failing:
                raise OSError(self._number, os.strerror(self._number))
            return method(*arguments)

        return call


def save(store: CheckpointStore, step: int, value: float, is_best: bool = False) -> None:
    tensors = {"model.w": torch.full((50,), value)}
    store.save(step, tensors, {"value": value}, {"val_loss": 1.0}, is_best=is_best, keep=1)


def calls_of_a_save(folder: Path, step: int) -> int:
    folder.mkdir()
    healthy = CheckpointStore(folder)
    save(healthy, 100, 1.0, is_best=True)
    save(healthy, 200, 2.0)
    disk = FailingDisk(0, errno.EIO)
    save(CheckpointStore(folder, disk), step, 3.0, is_best=True)
    return disk.calls


@pytest.mark.parametrize("step", [300, 200], ids=["new step", "same step again"])
@pytest.mark.parametrize("from_then_on", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_any_call_may_fail(tmp_path: Path, number: int, from_then_on: bool, step: int) -> None:
    total = calls_of_a_save(tmp_path / "count", step)
    assert total > 20
    failures = 0
    for failing_call in range(1, total + 1):
        folder = tmp_path / str(failing_call)
        folder.mkdir()
        healthy = CheckpointStore(folder)
        save(healthy, 100, 1.0, is_best=True)
        save(healthy, 200, 2.0)
        try:
            save(CheckpointStore(folder, FailingDisk(failing_call, number, from_then_on)), step, 3.0, is_best=True)
        except NoSpaceError as error:
            failures += 1
            assert number in (errno.ENOSPC, errno.EDQUOT)
            assert len(str(error).splitlines()) <= 3
        except OSError as error:
            failures += 1
            assert error.errno == number
            assert number in (errno.EIO, errno.EROFS)
        last, best = healthy.load("last"), healthy.load("best")
        assert last.warning is None and best.warning is None
        assert (last.step, float(last.tensors["model.w"][0])) in {(200, 2.0), (step, 3.0)}
        assert float(best.tensors["model.w"][0]) in {1.0, 3.0}
        assert not list(folder.glob(".tmp-*"))
        save(healthy, 400, 4.0)
        assert healthy.load("last").step == 400
        assert {path.stem for path in folder.glob("*.safetensors")} == {f"step-{one:08d}" for one in healthy.steps()}
    # With a disk that stays full, a failing call after the last write is one that needs no space.
    assert failures == total or from_then_on


def test_short_writes(folder: Path) -> None:
    class ShortDisk(Disk):
        def write(self, descriptor: int, content: memoryview) -> int:
            return super().write(descriptor, content[:13])

    save(CheckpointStore(folder, ShortDisk()), 100, 1.0)
    assert CheckpointStore(folder).load("last").warning is None


def test_an_interrupted_save_leaves_nothing(folder: Path) -> None:
    class InterruptedDisk(Disk):
        def write(self, descriptor: int, content: memoryview) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(CheckpointStore(folder, InterruptedDisk()), 100, 1.0)
    assert list(folder.iterdir()) == []


def test_a_failed_first_save_frees_the_space_it_took(folder: Path) -> None:
    """The manifest no longer fits: the tensors without it would only fill the disk further."""

    class NearlyFullDisk(Disk):
        def create(self, path: Path) -> int:
            if path.suffix == ".json":
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().create(path)

    with pytest.raises(NoSpaceError):
        save(CheckpointStore(folder, NearlyFullDisk()), 100, 1.0)
    assert list(folder.iterdir()) == []
