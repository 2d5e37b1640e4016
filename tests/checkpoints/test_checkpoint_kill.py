"""kill -9 at random moments of a process that does nothing but save."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui_trainer
from tui_trainer.checkpoints import CheckpointStore

ROUNDS = 1000 if os.environ.get("TUI_TRAINER_LONG") else 15


@pytest.fixture
def saver(folder: Path) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("endless_saver.py")
    # One thread, so that the forks are safe; the package that is tested here, installed or not.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(tui_trainer.__file__).parents[1])
    command = [sys.executable, str(script), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process


@pytest.mark.timeout(900)
def test_a_killed_trainer_loses_nothing_it_acknowledged(folder: Path, saver: subprocess.Popen[str]) -> None:
    """As many kills as on a slow or busy machine are needed for the saves between them to be worth looking at."""
    chance, acknowledged, torn, rounds = random.Random(1), 0, 0, 0
    while rounds < ROUNDS or acknowledged <= ROUNDS:
        rounds += 1
        newest = one_life(saver, chance.uniform(0, 0.12))
        acknowledged = max(acknowledged, newest)
        leftovers = list(folder.glob(".tmp-*"))
        torn += len(leftovers)
        assert len(leftovers) <= 1
        if acknowledged:
            found = CheckpointStore(folder).load("last")
            assert found.warning is None
            assert found.step >= acknowledged
            assert (found.tensors["model.w"] == found.step).all()
    print(f"{rounds} kills, {torn} in the middle of a file, {acknowledged} saves")


def one_life(saver: subprocess.Popen[str], seconds: float) -> int:
    """Starts a child, kills it after so many seconds; returns the last step that it acknowledged, 0 if none."""
    assert saver.stdin is not None and saver.stdout is not None
    saver.stdin.write("go\n")
    saver.stdin.flush()
    newest = 0
    while True:
        word, _, number = saver.stdout.readline().strip().partition(" ")
        if word == "pid":
            time.sleep(seconds)
            os.kill(int(number), signal.SIGKILL)
        elif word == "saved":
            newest = int(number)
        else:
            assert word == "dead", "the saver itself has ended"
            return newest
