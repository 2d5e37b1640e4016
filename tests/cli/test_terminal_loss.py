from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tui_trainer.cli import watching
from tui_trainer.cli.terminal_loss import TerminalLoss


class Trained:
    """A training of this process that runs as long as it is let."""

    run_dir, failure, exit_code = None, None, 0

    def __init__(self) -> None:
        self.losses, self.is_running = 0, True

    def is_alive(self) -> bool:
        return self.is_running

    def lose_terminal(self) -> None:
        self.losses += 1

    def stop(self) -> None:
        self.is_running = False

    def join(self, timeout: float | None = None) -> None:
        time.sleep(timeout or 0)


def test_a_training_outlives_every_sign_of_the_loss_and_the_log_says_so_once():
    training = Trained()
    loss = TerminalLoss(lambda: training, is_outliving=True)
    assert [loss.outlive(), loss.outlive()] == [True, True]
    training.is_running = False
    assert loss.outlive(), "its last lines are written without a terminal too"
    assert training.losses == 1


@pytest.mark.parametrize(("is_outliving", "is_running"), [(False, True), (True, False)])
def test_what_is_not_to_go_on_or_is_over_does_not(is_outliving, is_running):
    training = Trained()
    training.is_running = is_running
    assert not TerminalLoss(lambda: training, is_outliving=is_outliving).outlive()
    assert not TerminalLoss(lambda: None, is_outliving=is_outliving).outlive()
    assert training.losses == 0


def test_the_second_hang_up_of_headless_lines_is_not_told(monkeypatch):
    training = Trained()
    monkeypatch.setattr(watching, "launch", lambda request: training)

    def hang_up_twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.3)
        training.stop()

    thread = threading.Timer(0.3, hang_up_twice)
    thread.start()
    assert watching.watch(None, headless=True, json=False, is_outliving=True) == 0
    thread.join()
    assert training.losses == 1
