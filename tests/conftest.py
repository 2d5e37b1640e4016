"""What every test gets: an own home, an own runs folder, a fixed clock zone."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")

os.environ["TZ"] = "UTC"
time.tzset()
# Two tests run at once, and threads that wait for each other on a busy machine take thirty times as long.
os.environ |= dict.fromkeys(THREADS, "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Long proofs have a flag."""
    parser.addoption("--hang-ups", type=int, default=20, help="rounds of test_hang_ups.py")
    parser.addoption("--fuzz", type=int, default=300, help="requests of test_bad_requests.py")


def pytest_collection_finish() -> None:
    """Modules stay as long as the session: to look through them for garbage again and again is a fifth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def shared_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nor does what several tests share, which is made before the places of the first of them."""
    with pytest.MonkeyPatch.context() as session:
        set_places(session, tmp_path_factory.mktemp("shared-home"))
        yield


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test reads or writes the user's own folders."""
    home = tmp_path_factory.mktemp("home")
    set_places(monkeypatch, home)
    for name in THREADS:  # a command may change them for its own process, which is this one
        monkeypatch.setenv(name, "1")
    return home


def set_places(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Everything that a program keeps for a user goes below a folder."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("TUI_TRAINER_RUNS", str(home / "runs"))
