"""What every test of the whole program gets: the folder of its runs, and the end of what it left training."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def runs() -> Path:
    return Path(os.environ["TUI_TRAINER_RUNS"])


@pytest.fixture(autouse=True)
def no_run_is_left(runs: Path) -> Iterator[None]:
    """Whatever a test leaves training is ended."""
    yield
    for status in runs.glob("*/status.json"):
        pid = json.loads(status.read_text())["pid"]
        with contextlib.suppress(psutil.Error):  # gone, or a zombie
            if pid != os.getpid() and "tui_trainer" in " ".join(psutil.Process(pid).cmdline()):
                os.kill(pid, signal.SIGKILL)
