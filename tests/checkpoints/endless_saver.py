"""Run by the kill test: forks a child that saves until it is killed, once for each line on stdin.

Torch is imported once, before the forks. Both sides write whole short lines to stdout: `pid N`, `saved N`, `dead`.
"""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import torch

from tui_trainer.checkpoints import CheckpointStore


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def save_for_ever(folder: Path) -> NoReturn:
    # A test that ended early must leave no process behind.
    signal.alarm(30)
    store = CheckpointStore(folder)
    store.clean()
    step = store.load("last", repair=True).step if store.steps() else 0
    while True:
        step += 1
        tensors = {"model.w": torch.full((50_000,), float(step))}
        store.save(step, tensors, {"step": step}, {"val_loss": 1.0}, is_best=step % 4 == 0, keep=2)
        say(f"saved {step}")


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            save_for_ever(folder)
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("dead")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
