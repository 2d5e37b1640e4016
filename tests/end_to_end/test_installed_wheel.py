"""What a person installs, not what lies in the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tui_trainer.presets import ORDER

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with only the wheel in it; its dependencies come from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    wheel = next(folder.glob("*.whl"))
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    return python


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "tui_trainer", *arguments], capture_output=True, text=True, timeout=120, cwd=cwd, check=False
    )


def test_the_wheel_holds_every_preset_and_the_rank_table(installed, tmp_path):
    where = subprocess.run(
        [installed, "-c", "import tui_trainer; print(tui_trainer.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert str(ROOT) not in where
    listed = run(installed, "presets", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()[1 : 1 + len(ORDER)]] == list(ORDER)
    package = Path(where.strip()).parent
    assert sorted(path.stem for path in (package / "presets").glob("*.toml")) == sorted(ORDER)
    assert (package / "data" / "gpt2.tiktoken").stat().st_size > 800_000
    assert (package / "data" / "gpt2.tiktoken.NOTICE").is_file()


def test_the_wheel_trains_and_speaks(installed, tmp_path):
    settings = ("--set", "training.max_steps=3", "--set", "data.tokenizer=gpt2", "--set", "model.n_embd=16")
    trained = run(installed, "train", "quick-test", "--headless", "--run-dir", "R", *settings, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    told = run(installed, "generate", "R", "The ", "--max-new-tokens", "5", "--seed", "1", cwd=tmp_path)
    assert told.returncode == 0 and told.stdout.startswith("The ")
    assert json.loads((tmp_path / "R" / "run.json").read_text())["preset"] == "quick-test"
    assert os.listdir(tmp_path) == ["R"]
