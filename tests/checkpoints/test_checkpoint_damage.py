"""Files that decayed, were swapped, or were made to hurt: never a silent wrong load, never a crash."""

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tui_trainer.checkpoints import CheckpointStore, Disk
from tui_trainer.errors import UserError

ROUNDS = 200 if os.environ.get("TUI_TRAINER_LONG") else 40
STEPS = (100, 200, 300)


def contents(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {"model.w": torch.randn(1500, generator=generator), "optimizer.w": torch.randn(1500, generator=generator)}


def fill(folder: Path) -> CheckpointStore:
    store = CheckpointStore(folder)
    for step in STEPS:
        metrics: dict[str, float | None] = {"val_loss": step / 7}
        store.save(step, contents(step), {"seen": step}, metrics, is_best=step == 200, keep=9)
    return store


def is_exact(found: object, step: int) -> bool:
    tensors = found.tensors  # type: ignore[attr-defined]
    wanted = contents(step)
    is_same = tensors.keys() == wanted.keys() and all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    return is_same and found.state == {"seen": step} and found.metrics == {"val_loss": step / 7}  # type: ignore[attr-defined]


def flip_a_bit(content: bytearray, chance: random.Random) -> bytearray:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def zero_a_block(content: bytearray, chance: random.Random) -> bytearray:
    start, length = chance.randrange(len(content)), min(4096, len(content))
    end = min(start + length, len(content))
    content[start:end] = bytes(end - start)
    return content


def zero_the_tail(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(content))
    content[start:] = bytes(len(content) - start)
    return content


def cut(content: bytearray, chance: random.Random) -> bytearray:
    return content[: chance.randrange(len(content))]


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("damage", [flip_a_bit, zero_a_block, zero_the_tail, cut])
def test_damage_is_noticed(folder: Path, damage: Callable[..., bytearray], suffix: str) -> None:
    store, chance = fill(folder), random.Random(1)
    path = folder / f"step-00000300.{suffix}"
    good = path.read_bytes()
    noticed = 0
    for _ in range(ROUNDS):
        path.write_bytes(damage(bytearray(good), chance))
        try:
            found = store.load("last")
        except UserError as error:
            assert "format version" in str(error)
            noticed += 1
            continue
        if found.warning is None:
            assert is_exact(found, 300)
        else:
            noticed += 1
            assert found.step == 200
            assert is_exact(found, 200)
    # In a manifest, damage to what only people read is no damage to the checkpoint.
    assert noticed == ROUNDS if suffix == "safetensors" else noticed > ROUNDS // 4


def exchange(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def test_swapped_files_are_noticed(folder: Path) -> None:
    store, chance = fill(folder), random.Random(1)
    names = [f"step-00000{step}.{suffix}" for step in STEPS for suffix in ("json", "safetensors")]
    for _ in range(ROUNDS):
        one, other = (folder / name for name in chance.sample(names, 2))
        exchange(one, other)
        for which, step in (("last", 300), ("best", 200)):
            try:
                found = store.load(which)  # type: ignore[arg-type]
            except UserError:
                continue
            assert is_exact(found, found.step)
            assert found.warning is not None or found.step == step
        exchange(one, other)
        assert is_exact(store.load("last"), 300)


def test_a_whole_checkpoint_under_another_step_is_noticed(folder: Path) -> None:
    """Both files are unharmed and fit each other, but say another step than their names."""
    store = fill(folder)
    (folder / "step-00000300.safetensors").write_bytes((folder / "step-00000100.safetensors").read_bytes())
    manifest = json.loads((folder / "step-00000100.json").read_text())
    (folder / "step-00000300.json").write_text(json.dumps(manifest | {"step": 300}))
    found = store.load("last")
    assert found.step == 200
    assert "belongs to something else" in str(found.warning)


def test_a_reader_changes_nothing_and_the_owner_sets_the_damaged_aside(folder: Path) -> None:
    store = fill(folder)
    path = folder / "step-00000300.safetensors"
    path.write_bytes(damaged := bytes(path.stat().st_size))
    before = {entry.name for entry in folder.iterdir()}
    assert store.load("last").step == 200
    assert {entry.name for entry in folder.iterdir()} == before
    found = store.load("last", repair=True)
    assert (found.step, store.steps()) == (200, [100, 200])
    assert (folder / "step-00000300.safetensors.corrupt").read_bytes() == damaged
    assert (folder / "step-00000300.json.corrupt").exists()


def test_the_warning_names_the_file_the_reason_and_the_choice(folder: Path) -> None:
    store = fill(folder)
    path = folder / "step-00000300.safetensors"
    path.write_bytes(flip_a_bit(bytearray(path.read_bytes()[:-1]), random.Random(1)) + b"!")
    assert store.load("last").warning == (
        "step-00000300.safetensors does not match its SHA-256; using step 200 instead"
    )


def test_a_wrong_size_is_noticed_without_reading_the_file(folder: Path) -> None:
    store = fill(folder)
    path = folder / "step-00000300.safetensors"
    size = path.stat().st_size
    os.truncate(path, 10**12)
    assert str(store.load("last").warning).startswith(f"{path.name} has {10**12} bytes instead of {size};")


def test_a_manifest_of_another_step_is_noticed_without_reading_the_file(folder: Path) -> None:
    store = fill(folder)
    (folder / "step-00000300.json").write_bytes((folder / "step-00000100.json").read_bytes())
    assert "has a manifest of something else" in str(store.load("last").warning)


def test_a_vanished_pair_falls_back_to_the_next_older(folder: Path) -> None:
    store = fill(folder)
    for path in folder.glob("step-00000200.*"):
        path.unlink()
    found = store.load("best")
    assert (found.step, found.warning) == (100, "step-00000200.safetensors is missing; using step 100 instead")


def test_a_newer_one_is_the_last_resort(folder: Path) -> None:
    store = fill(folder)
    for name in ("step-00000100.json", "step-00000200.safetensors"):
        (folder / name).write_bytes(b"")
    assert store.load("best").step == 300


def test_nothing_usable_is_said_in_three_lines(folder: Path) -> None:
    store = fill(folder)
    for path in folder.glob("step-*.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="no usable checkpoint") as caught:
        store.load("last", repair=True)
    assert len(str(caught.value).splitlines()) <= 3
    assert len(list(folder.glob("*.corrupt"))) == 6


def test_a_newer_format_is_refused_and_left_alone(folder: Path) -> None:
    store = fill(folder)
    path = folder / "step-00000300.json"
    path.write_text(json.dumps({"format_version": 2, "tui_trainer": "9.1\x1b[31m"}))
    with pytest.raises(UserError, match=r"made by tui-trainer '9\.1") as caught:
        store.load("last", repair=True)
    assert "\x1b" not in str(caught.value)
    assert path.exists()


def test_a_broken_pointer_means_the_newest(folder: Path) -> None:
    store = fill(folder)
    for text in ("", "{}", "[", '{"step":"300"}', '{"step":true}', '{"step":-1}', "[" * 100_000, '{"step":1e999}'):
        (folder / "last.json").write_text(text)
        assert store.pointer("last") is None
        assert store.load("last").step == 300


OURS = {"__metadata__": {"step": "300", "state": "{}", "metrics": "{}"}}


def header(entries: dict[str, object]) -> bytes:
    """The start of a file that is right but for `entries`."""
    encoded = json.dumps(OURS | entries if isinstance(entries, dict) else entries).encode()
    return len(encoded).to_bytes(8, "little") + encoded


def tensor(shape: list[int], end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


FOREIGN = {
    "4 TB tensor": header({"w": tensor([10**12], 4 * 10**12)}) + bytes(64),
    "4 TB in 64 bytes": header({"w": tensor([10**12], 64)}) + bytes(64),
    "no size, endless shape": header({"w": tensor([0, 2**47, 2**47], 0)}),
    "header of 2^60 bytes": (2**60).to_bytes(8, "little") + bytes(64),
    "header past the end": (65).to_bytes(8, "little") + bytes(64),
    "empty": b"",
    "five bytes": b"\x01\x00\x00\x00\x00",
    "negative shape": header({"w": tensor([-4, -4], 64)}) + bytes(64),
    "unknown dtype": header({"w": tensor([64], 64, "PICKLE")}) + bytes(64),
    "gap": header({"w": {"dtype": "U8", "shape": [8], "data_offsets": [8, 16]}}) + bytes(16),
    "overlap": header({"w": tensor([8], 8, "U8"), "v": tensor([8], 8, "U8")}) + bytes(8),
    "rest": header({"w": tensor([8], 8, "U8")}) + bytes(9),
    "nested header": (100_000).to_bytes(8, "little") + b"[" * 100_000,
    "header is a list": header([1, 2]),  # type: ignore[arg-type]
    "entry is a number": header({"w": 3}),
    "no metadata": header({"__metadata__": {}, "w": tensor([8], 8, "U8")}) + bytes(8),
    "metadata is text": header({"__metadata__": "x"}),
    "state is a list": header({"__metadata__": {"step": "300", "state": "[]", "metrics": "{}"}}),
    "pickle": b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR.",
}


REASONS = {
    FOREIGN["4 TB tensor"]: "has tensors that do not fill it",
    FOREIGN["4 TB in 64 bytes"]: "has tensors that do not fit together",
    FOREIGN["gap"]: "has tensors that do not fit together",
    FOREIGN["rest"]: "has tensors that do not fill it",
}
"""What must be found in the header, before memory is taken."""


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_with_a_matching_manifest(folder: Path, content: bytes) -> None:
    store = fill(folder)
    (folder / "step-00000300.safetensors").write_bytes(content)
    manifest = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "step-00000300.json").write_text(json.dumps({"format_version": 1, "step": 300} | manifest))
    found = store.load("last")
    assert found.step == 200
    assert found.warning is not None
    assert REASONS.get(content, "") in found.warning


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "{", "[" * 100_000, '{"format_version": 1}', '{"format_version": "2"}'),
        *('{"format_version": 1, "step": 300, "size": "x", "sha256": ""}', " " * 2_000_000 + "{}"),
        '{"format_version": 1, "step": 300, "size": 1, "sha256": "", "previous": 7}',
    ],
)
def test_a_foreign_manifest(folder: Path, text: str) -> None:
    store = fill(folder)
    (folder / "step-00000300.json").write_text(text)
    assert store.load("last").step == 200
    store.save(300, contents(300), {"seen": 300}, {"val_loss": 300 / 7}, is_best=False, keep=9)
    assert is_exact(store.load("last"), 300)


def test_pipes_and_folders_are_not_waited_for(folder: Path) -> None:
    store = fill(folder)
    for name in ("step-00000300.safetensors", "step-00000200.json", "last.json"):
        (folder / name).unlink()
    os.mkfifo(folder / "step-00000300.safetensors")
    (folder / "step-00000200.json").mkdir()
    os.mkfifo(folder / "last.json")
    assert store.load("last").step == 100


def test_a_new_file_is_never_one_that_stands_there(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    for name in ("victim", "link", "dangling"):
        with pytest.raises(FileExistsError):
            Disk().create(tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()


def test_a_save_never_writes_through_a_link(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = ("step-00000100.safetensors", "step-00000100.json", "last.json", "best.json")
    for name in names:
        (folder / name).symlink_to(victim)
        (folder / f".tmp-{os.getpid()}-{name}").symlink_to(victim)
    store = CheckpointStore(folder)
    store.save(100, contents(100), {"seen": 100}, {"val_loss": 100 / 7}, is_best=True, keep=1)
    assert victim.read_text() == "precious"
    assert is_exact(store.load("best"), 100)
    assert not any(path.is_symlink() for path in folder.iterdir())
