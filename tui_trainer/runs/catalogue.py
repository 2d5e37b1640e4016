"""Which runs there are on this machine, and which one a person means."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tui_trainer import places
from tui_trainer.errors import UserError, did_you_mean
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import read_json, replace_file

INDEX_LINES = 5000
"""The newest places of the index that are looked at; when it holds twice as many, older ones are dropped."""
SHOWN_SNAPSHOTS = 4
EXPORT_CARD = "export.json"
"""What an export says of itself, in its folder."""
FOREIGN_FORMATS = {"onnx": "onnxruntime", "gguf": "llama.cpp"}
"""Exports that are not read here, and who reads them."""


def _index_file() -> Path:
    return places.state_folder() / "runs.txt"


def note_run(run: RunDirectory) -> None:
    """Notes a run in the user's index, unless it is there, so that it is found from any folder.

    A state folder that cannot be written only costs that convenience, so the run goes on without it.
    """
    place = str(run.path)
    if "\n" in place or run.path in _indexed():
        return
    try:
        with _locked_index() as index:
            index.write(f"{place}\n".encode("utf-8", "surrogateescape"))
            index.seek(0)
            lines = index.read().split(b"\n")[:-1]
            if len(lines) > 2 * INDEX_LINES:
                newest = list(dict.fromkeys(reversed(lines)))[:INDEX_LINES]
                replace_file(_index_file(), b"\n".join([*reversed(newest), b""]))
    except OSError:
        return


@contextmanager
def _locked_index() -> Iterator[BinaryIO]:
    """The index, to be appended to. The lock is for the one who shortens it: meanwhile nothing may be added.

    Raises:
        OSError: when it cannot be written.
    """
    path = _index_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), path.stat()):  # else it was shortened before the lock was got
                yield file
                return


def list_runs() -> list[RunDirectory]:
    """Every run below the runs folder or in the user's index, newest first; of two names for one, its own."""
    runs: dict[Path, RunDirectory] = {}
    for path in filter(is_run, (*_indexed(), *_in_runs_folder())):
        real = path.resolve()
        if real not in runs or path.name == real.name:
            runs[real] = RunDirectory(path)
    by_age = {run: (str(run.describe().get("created", "")), run.path.name) for run in runs.values()}
    return sorted(by_age, key=by_age.__getitem__, reverse=True)


def find_run(name: str) -> RunDirectory:
    """The run that a person means by a directory or an id.

    The id was recorded when the run was made, so a copy of the run has it as well, whatever the copy is called. A
    directory of that name therefore comes first, that in the runs folder before any other.

    Raises:
        UserError: when there is none, or when there are several of equal rank.
    """
    path = Path(name)
    if is_run(path):
        _note_place(path)
        return RunDirectory(path.absolute())
    here = places.runs_root() / path
    if path.parts == (name,) and is_run(here):
        return RunDirectory(here)
    ids = {run: run.run_id for run in list_runs()}
    called = [run for run in ids if run.path.name == name] or [run for run in ids if ids[run] == name]
    if len(called) > 1:
        raise _ambiguous(name, called)
    if called:
        return called[0]
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise UserError(f"{name}: a folder, but not a run: it has no run.json")
    hint = did_you_mean(name, sorted({*ids.values(), *(run.path.name for run in ids)}))
    raise UserError(f"{name}: no such run{hint}; tui-trainer runs lists them")


def name_of(run: RunDirectory) -> str:
    """What a run is called in lists: its id, unless it was copied or renamed, which changes no id."""
    run_id, name = run.run_id, run.path.name
    return name if run_id in name or run.path.parent == places.runs_root() else run_id


def _note_place(path: Path) -> None:
    """A run that was moved or copied is known once its directory was named."""
    place = path.resolve()
    if place.parent != places.runs_root().resolve():
        note_run(RunDirectory(place))


def _ambiguous(name: str, called: Sequence[RunDirectory]) -> UserError:
    first, *others = (str(run.path) for run in called)
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return UserError(f"{name}: {len(called)} runs match; give the directory of one:\n{first}\n{others[0]}{more}")


def find_base(name: str) -> Path:
    """The run or the folder of weights that a person means to go on from, as an absolute path.

    Of an entry of the Hugging Face cache it is the snapshot that `refs/main` names, else the only one.

    Raises:
        UserError: when there is neither.
    """
    path = Path(name).absolute()
    if not name:
        raise UserError("base.path: empty; name a run, or a folder with a model, for instance with --from RUN")
    if os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        raise UserError(f"{name}: a file; name the folder it is in; that needs config.json and model.safetensors")
    if os.path.isdir(path) and not is_run(path):  # noqa: PTH112
        _refuse_graph(name, path)
        path = _snapshot_of(name, path)
        if os.path.isfile(path / "config.json"):  # noqa: PTH113
            return path
        if os.path.isfile(path / "adapter_config.json"):  # noqa: PTH113
            raise UserError(
                f"{name}: an adapter (LoRA) without its model; merge the two, for instance with PEFT's\n"
                "merge_and_unload() and save_pretrained(), and name the folder that was saved"
            )
        raise UserError(f"{name}: neither a run nor a model: it has no run.json and no config.json")
    return find_run(name).path.absolute()


def model_name(folder: Path) -> str:
    """What a folder of weights is called: a snapshot in the Hugging Face cache has the name of its model."""
    entry = folder.parent.parent.name
    if folder.parent.name == "snapshots" and entry.startswith("models--"):
        return entry.removeprefix("models--").replace("--", "/")
    return folder.name


def _snapshot_of(name: str, path: Path) -> Path:
    """Where the files of an entry of the Hugging Face cache are; any other folder is returned as it is."""
    entry = path.parent if path.name == "snapshots" else path
    try:
        if os.path.isfile(path / "config.json") or not os.path.isdir(entry / "snapshots"):  # noqa: PTH112, PTH113
            return path
        found = sorted(place for place in (entry / "snapshots").iterdir() if os.path.isfile(place / "config.json"))  # noqa: PTH113
        main = entry / "refs" / "main"
        commit = main.read_text(errors="replace").strip() if os.path.isfile(main) else ""  # noqa: PTH113
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}") from error
    chosen = [place for place in found if place.name == commit] or found
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise UserError(f"{name}: a model of the Hugging Face cache, but no snapshot of it holds a config.json")
    names = ", ".join(place.name for place in found[:SHOWN_SNAPSHOTS]) + (", ..." if found[SHOWN_SNAPSHOTS:] else "")
    raise UserError(
        f"{name}: a model of the Hugging Face cache with {len(found)} snapshots, and refs/main names none of them\n"
        f"name one of the folders in {entry / 'snapshots'}: {names}"
    )


def _refuse_graph(name: str, path: Path) -> None:
    made_as = (read_json(path / EXPORT_CARD) or {}).get("format")
    if made_as in FOREIGN_FORMATS:
        reader = FOREIGN_FORMATS[made_as]
        raise UserError(f"{name}: an export for {reader}; name its run, or export that with --format hf")


def is_run(path: Path) -> bool:
    """False as well for what cannot be looked at: one lost network folder must not hide all other runs."""
    return os.path.isfile(path / "run.json")  # noqa: PTH113 - Path.is_file raises there


def _in_runs_folder() -> list[Path]:
    try:
        return list(places.runs_root().iterdir())
    except OSError:  # no runs yet, or its disk is gone: what lies elsewhere is listed all the same
        return []


def _indexed() -> list[Path]:
    try:
        lines = _index_file().read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return []
    return [Path(line) for line in lines[-INDEX_LINES:] if line]
