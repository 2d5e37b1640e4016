"""What a person can do wrong: one to three lines that name it, exit code 2, no traceback, nothing lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tui_trainer.cli import main

TINY = ("--set", "training.max_steps=4", "--set", "model.n_embd=16", "--headless")


@pytest.fixture
def run_cli(monkeypatch, capfd, tmp_path):
    """Runs the program in this process, in a folder of its own, without a terminal."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tui-trainer", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        output, errors = capfd.readouterr()
        return int(ending.value.code or 0), output, errors

    return run


def assert_plain(code: int, errors: str, *named: str, lines: int = 3) -> None:
    assert code == 2, errors
    assert "Traceback" not in errors
    assert 1 <= len(errors.strip().splitlines()) <= lines, errors
    assert not set(errors) & {"\x1b", "\x07", "\x9b"}
    for name in named:
        assert name in errors, errors


def write(path: str, content: bytes) -> str:
    Path(path).write_bytes(content)
    return path


DATA = {
    "missing": (lambda: "nowhere.txt", "nowhere.txt"),
    "empty": (lambda: write("empty.txt", b""), "empty.txt"),
    "binary": (lambda: write("binary.txt", b"abc\0def" * 100), "binary.txt"),
    "latin-1": (lambda: write("latin.txt", "größe ".encode("latin-1") * 500), "latin.txt"),
    "too short": (lambda: write("short.txt", b"abc"), "short.txt"),
    "short validation": (lambda: write("val.txt", b"a b c d e f g h " * 40), "val.txt"),
    "fifo": (lambda: os.mkfifo("pipe.txt") or "pipe.txt", "pipe.txt"),
    "device": (lambda: "/dev/zero", "/dev/zero"),
    "empty folder": (lambda: os.mkdir("folder") or "folder", "folder"),
    "dangling link": (lambda: os.symlink("gone", "link.txt") or "link.txt", "link.txt"),
    "no match": (lambda: "*.nothing", "*.nothing"),
    "hostile name": (lambda: "a\x1b[2J[red]b.txt", "[red]b.txt"),
}


@pytest.mark.parametrize("kind", DATA)
def test_data(run_cli, kind):
    make, name = DATA[kind]
    settings = ("--set", "model.context_length=400") if kind == "short validation" else ()
    code, _, errors = run_cli("train", "quick-test", "--data", make(), *TINY, *settings, "--run-dir", "R")
    assert_plain(code, errors, name)
    assert not Path("R").exists() or not any(Path("R").iterdir()), "a run that never started leaves nothing"


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.n_head=3", "n_head"),
        ("model.n_layer=0", "n_layer"),
        ("model.n_layer=true", "n_layer"),
        ("model.n_layers=2", 'did you mean "n_layer"'),
        ("modle.n_layer=2", 'did you mean "model"'),
        ("model.dropout=1.0", "dropout"),
        ("training.learning_rate=nan", "learning_rate"),
        ("training.learning_rate=fast", "learning_rate"),
        ("training.warmup_steps=99", "warmup_steps"),
        ("data.val_fraction=0", "val_fraction"),
        ("data.val_fraction=1.0", "val_fraction"),
        ("data.tokenizer=words", "tokenizer"),
        ("sampling.top_p=0", "top_p"),
        ("sampling.temperature=-1", "temperature"),
        ("n_layer=2", "section.key=value"),
        ("model.n_layer", "section.key=value"),
    ],
)
def test_settings(run_cli, override, named):
    code, _, errors = run_cli("train", "quick-test", *TINY, "--set", override)
    assert_plain(code, errors, named)


def test_a_model_that_no_machine_can_hold(run_cli):
    sizes = ("--set", "model.n_embd=16384", "--set", "model.n_layer=256", "--headless", "--run-dir", "R")
    code, _, errors = run_cli("train", "quick-test", *sizes)
    assert_plain(code, errors, "needs about", "GB are free", "model.n_embd")
    assert not Path("R").exists()


PRESETS = {
    "unknown": ("quick-tset", None, 'did you mean "quick-test"'),
    "missing file": ("mine.toml", None, "mine.toml"),
    "syntax": ("mine.toml", b"[model\nn_layer = 2", "line 1"),
    "unknown key": ("mine.toml", b"[model]\nn_layer = 2\nwidth = 3", "width"),
    "duplicate": ("mine.toml", b"[model]\nn_layer = 2\nn_layer = 3", "mine.toml"),
    "not UTF-8": ("mine.toml", b"# gr\xf6\xdfe", "UTF-8"),
    "nested": ("mine.toml", b"x = " + b"[" * 5000, "mine.toml"),
    "huge": ("mine.toml", b"#" * 100_000, "too large"),
    "many mistakes": ("mine.toml", b"[model]\na=1\nb=2\nc=3\nd=4", "more mistakes"),
    "section": ("mine.toml", b"model = 3", "model"),
}


@pytest.mark.parametrize("kind", PRESETS)
def test_presets(run_cli, kind):
    name, content, named = PRESETS[kind]
    if content is not None:
        write(name, content)
    code, _, errors = run_cli("train", name, *TINY)
    assert_plain(code, errors, named)


def test_run_directory_that_is_not_empty(run_cli):
    Path("R").mkdir()
    write("R/precious.txt", b"keep me")
    code, _, errors = run_cli("train", "quick-test", *TINY, "--run-dir", "R")
    assert_plain(code, errors, "not empty", "resume", "--run-dir")
    assert Path("R/precious.txt").read_bytes() == b"keep me"


def test_a_device_that_is_not_here(run_cli):
    code, _, errors = run_cli("train", "quick-test", *TINY, "--device", "tpu")
    assert_plain(code, errors, "--device tpu")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("resume", "nowhere"), "nowhere"),
        (("generate", "nowhere", "x"), "nowhere"),
        (("generate", "R", "x", "--temperature", "-1"), "temperature = -1"),
        (("generate", "R", "x", "--temperature", "nan"), "temperature = nan"),
        (("generate", "R", "x", "--top-p", "0"), "top-p = 0"),
        (("generate", "R", "x", "--top-p", "1.1"), "top-p = 1.1"),
        (("generate", "R", "x", "--top-k", "-1"), "top-k = -1"),
        (("generate", "R", "x", "--max-new-tokens", "0"), "max new tokens = 0"),
        (("generate", "R", "x", "--checkpoint", "newest"), "--checkpoint newest"),
        (("resume", "R", "--headless"), "training.max_steps="),
        (("resume", "R", "--headless", "--set", "model.n_layer=3"), "model.n_layer"),
        (("presets", "show", "smal"), 'did you mean "small"'),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_runs_and_sampling(run_cli, arguments, named):
    code, _, errors = run_cli("train", "quick-test", *TINY, "--run-dir", "R")
    assert code == 0, errors
    before = {path: path.stat().st_size for path in Path("R/checkpoints").iterdir()}
    code, _, errors = run_cli(*arguments)
    assert_plain(code, errors, named)
    assert {path: path.stat().st_size for path in Path("R/checkpoints").iterdir()} == before


@pytest.mark.parametrize("arguments", [("trian",), ("train",), ("train", "quick-test", "--hedless"), ("generate",)])
def test_usage(run_cli, arguments):
    code, _, errors = run_cli(*arguments)
    assert_plain(code, errors, lines=4)


def test_hostile_text_is_shown_and_not_obeyed(run_cli):
    text = "\x1b]52;c;aGk=\x07 [red]x[/red] \x9b2J ‮ " * 200
    Path("hostile.txt").write_text(text)
    code, output, errors = run_cli("train", "quick-test", "--data", "hostile.txt", *TINY, "--run-dir", "R")
    assert code == 0, errors
    assert not set(output + errors) & {"\x1b", "\x07", "\x9b", "‮"}


def test_a_run_in_use_is_refused(run_cli):
    from tui_trainer.runs.lock import RunLock

    code, _, errors = run_cli("train", "quick-test", *TINY, "--run-dir", "R")
    assert code == 0, errors
    with RunLock(Path("R/run.lock")):
        code, _, errors = run_cli("resume", "R", "--headless", "--set", "training.max_steps=8")
    assert_plain(code, errors, f"process {os.getpid()}")


def test_no_room_on_the_disk(run_cli, monkeypatch, tmp_path):
    import collections
    import shutil

    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    monkeypatch.setattr(os, "statvfs", _full_disk(os.statvfs))
    code, _, errors = run_cli("train", "quick-test", *TINY, "--run-dir", "R")
    assert_plain(code, errors, "R")


def _full_disk(statvfs):
    def full(path):
        values = list(statvfs(path))
        values[3] = values[4] = 1  # blocks that are free
        return os.statvfs_result(values)

    return full
