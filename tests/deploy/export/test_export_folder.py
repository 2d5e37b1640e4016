"""The folder of an export appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tui_trainer.deploy.export import folder as folder_module
from tui_trainer.deploy.export.folder import new_folder
from tui_trainer.errors import UserError


def fill(target: Path, needed: int = 0, failure: BaseException | None = None) -> None:
    with new_folder(target, needed) as folder:
        (folder / "file").write_text("content")
        if failure:
            raise failure


def test_it_appears_with_what_was_written(tmp_path: Path) -> None:
    fill(tmp_path / "deep" / "er" / "out")
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["out"]
    assert (tmp_path / "deep" / "er" / "out" / "file").read_text() == "content"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out")
    assert (tmp_path / "out" / "file").exists()


def test_it_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        fill(tmp_path / "out")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("failure", [UserError("x"), ValueError(), KeyboardInterrupt(), OSError("cannot load x")])
def test_a_failure_leaves_nothing(failure: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(failure)):
        fill(tmp_path / "deep" / "out", failure=failure)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_and_leaves_nothing(code: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the disk is full"):
        fill(tmp_path / "out", failure=OSError(code, os.strerror(code)))
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_cannot_load_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    """transformers raises OSError for that, with no errno and no strerror."""
    with pytest.raises(OSError, match="cannot load x"):
        fill(tmp_path / "out", failure=OSError("cannot load x"))
    with pytest.raises(FileNotFoundError):
        fill(tmp_path / "out", failure=FileNotFoundError(errno.ENOENT, "No such file", "/elsewhere"))


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS])
def test_a_disk_that_fails_is_said(code: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"out: cannot be written: {os.strerror(code)}"):
        fill(tmp_path / "out", failure=OSError(code, os.strerror(code)))


def test_hardly_more_room_is_asked_for_than_is_needed(tmp_path: Path, monkeypatch) -> None:
    free = 50_000_000
    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    fill(tmp_path / "out", needed=free - 2_000_000)
    with pytest.raises(UserError, match="no room for the export: 51 MB needed, 50 MB free"):
        fill(tmp_path / "other", needed=free - 1_000_000)


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no room for the export"):
        fill(tmp_path / "deep" / "out", needed=10**18)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir(tmp_path))
    for name, words in (
        ("full", "not empty"),
        ("file", "is no folder"),
        ("link", "symbolic link"),
        ("dangling", "symbolic link"),
        ("pipe", "is no folder"),
        ("file/out", "cannot be written"),
    ):
        with pytest.raises(UserError, match=words):
            fill(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == before
    assert os.listdir(tmp_path / "elsewhere") == []
    assert (tmp_path / "full" / "mine").read_text() == "mine"


def test_what_was_put_there_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(UserError, match="meanwhile"), new_folder(target, 0) as folder:
        (folder / "file").write_text("ours")
        target.mkdir()
        (target / "theirs").write_text("theirs")
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(target) == ["theirs"]


def test_what_a_killed_export_left_goes(tmp_path: Path) -> None:
    for pid in (2**22 + 1, 10**30, os.getppid()):
        (tmp_path / f".out.{pid}.partial").mkdir()
    (tmp_path / ".out.notes.partial").mkdir()
    fill(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == sorted([f".out.{os.getppid()}.partial", ".out.notes.partial", "out"])


def test_every_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch) -> None:
    done: list[str] = []
    real = os.fsync

    def note(number: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{number}"))
        real(number)

    monkeypatch.setattr(folder_module.os, "fsync", note)
    fill(tmp_path / "out")
    partial = f"{tmp_path}/.out.{os.getpid()}.partial"
    assert done == [f"{partial}/file", partial, str(tmp_path)]
