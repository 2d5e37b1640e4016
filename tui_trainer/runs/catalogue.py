"""Which runs there are on this machine, and which one a person means."""

from __future__ import annotations

import os
from pathlib import Path

from tui_trainer import places
from tui_trainer.errors import UserError, did_you_mean
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import read_json

INDEX_LINES = 1000
SHOWN_SNAPSHOTS = 4
EXPORT_CARD = "export.json"
"""What an export says of itself, in its folder."""
FOREIGN_FORMATS = {"onnx": "onnxruntime", "gguf": "llama.cpp"}
"""Exports that are not read here, and who reads them."""


def _index_file() -> Path:
    return places.state_folder() / "runs.txt"


def note_run(run: RunDirectory) -> None:
    """Notes a run in the user's index, so that it is found from any folder.

    A state folder that cannot be written only costs that convenience, so the run goes on without it.
    """
    index = _index_file()
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(index, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{run.path}\n".encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)
    except OSError:
        return


def list_runs() -> list[RunDirectory]:
    """Every run below the runs folder or in the user's index, newest first."""
    paths = {path.parent for path in places.runs_root().glob("*/run.json")}
    paths.update(path for path in _indexed() if is_run(path))
    runs = {path.resolve(): RunDirectory(path) for path in paths}.values()
    return sorted(runs, key=lambda run: (str(run.describe().get("created", "")), run.path.name), reverse=True)


def find_run(name: str) -> RunDirectory:
    """The run that a person means by an id or a directory.

    Raises:
        UserError: when there is none.
    """
    path = Path(name)
    if is_run(path):
        return RunDirectory(path.absolute())
    runs = list_runs()
    for run in runs:
        if name in (run.path.name, run.run_id):
            return run
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise UserError(f"{name}: a folder, but not a run: it has no run.json")
    hint = did_you_mean(name, [run.run_id for run in runs])
    raise UserError(f"{name}: no such run{hint}; tui-trainer runs lists them")


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


def _indexed() -> list[Path]:
    try:
        lines = _index_file().read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return []
    return [Path(line) for line in lines[-INDEX_LINES:] if line]
