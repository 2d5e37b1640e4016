"""The program around the screen: its terminal, its signals, and what stands there when it is gone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tui_trainer.cli.attached_run import AttachedRun
from tui_trainer.cli.console_log import ConsoleLog
from tui_trainer.cli.own_training import OwnTraining
from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.steering import refuse_elsewhere
from tui_trainer.cli.summary import summary_lines
from tui_trainer.cli.terminal_loss import TerminalLoss
from tui_trainer.cli.watching import finish
from tui_trainer.cli.writers import is_training_beside, open_writer
from tui_trainer.config import RunConfig
from tui_trainer.monitor.follower import open_follower
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.presets import Preset, apply_resume_overrides
from tui_trainer.runs.control import name_requester, send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.driver import SurvivingDriver, driver_on
from tui_trainer.tui.services import Services
from tui_trainer.tui.terminal import environment_at_start, judge_terminal
from tui_trainer.tui.theme_choice import choose_theme

EXIT_SCREEN_FAILED = 1


@dataclass(frozen=True)
class Runs:
    """Runs to choose one from."""

    runs: Sequence[RunDirectory]


Shown = NewRun | ResumedRun | RunDirectory | Runs | Sequence[Preset]
"""What the screen opens with: a training to launch, a run to attach to, runs or presets to choose from."""


class _Program:
    """The trainings of this process, one after the other."""

    def __init__(self, console_log: ConsoleLog, *, is_outliving: bool) -> None:
        self._console_log = console_log
        self.training: OwnTraining | None = None
        self.loss = TerminalLoss(lambda: self.training, is_outliving=is_outliving)

    def launch(self, request: NewRun | ResumedRun) -> OwnTraining:
        self.training = OwnTraining(request, self._console_log.move_to)
        return self.training

    def launch_preset(self, config: RunConfig, preset: str) -> OwnTraining:
        return self.launch(NewRun(config, preset))

    def resume(self, run: RunDirectory, overrides: Sequence[str]) -> OwnTraining:
        return self.launch(ResumedRun(run, apply_resume_overrides(run.read_config(), overrides)))

    def stop(self) -> None:
        if self.training:
            self.training.stop()

    def wait(self) -> None:
        if self.training:
            self.training.join()


def show_screen(what: Shown, *, is_outliving: bool = True, is_readonly: bool = False) -> int:
    """Runs the app. Returns the exit code.

    Args:
        what: what it opens with.
        is_outliving: whether a training goes on when the terminal hangs up.
        is_readonly: whether runs of other processes can only be watched.
    """
    environ = environment_at_start()
    terminal = judge_terminal(environ)
    theme_name = choose_theme(environ, terminal)
    with ConsoleLog() as console_log:
        program = _Program(console_log, is_outliving=is_outliving)
        driver = driver_on(console_log.screen, terminal.signs)
        new_app = partial(TrainerApp, driver_class=driver, terminal=terminal, theme_name=theme_name)
        app = _make_app(program, what, is_readonly, new_app)

        def outlive_terminal() -> bool:
            console_log.is_terminal_gone = True
            _let_go(app)
            return program.loss.outlive()

        with SignalWatcher(program.stop, program.wait, app.exit, outlive_terminal) as signals:
            app.run()
            console_log.is_terminal_gone |= _is_unseen(app)
            if not (console_log.is_terminal_gone and program.loss.outlive()):
                program.stop()
            program.wait()
    return _say_goodbye(app, program, signals.received)


def _make_app(program: _Program, what: Shown, is_readonly: bool, new_app: Callable[..., TrainerApp]) -> TrainerApp:
    steer = None if is_readonly else _steer
    resume = None if is_readonly else program.resume
    services = Services(program.launch_preset, open_writer, steer, AttachedRun, is_training_beside, resume)
    if isinstance(what, NewRun):
        return new_app(services, training=(program.launch(what), what.preset))
    if isinstance(what, ResumedRun):
        return new_app(services, training=(program.launch(what), what.run.preset))
    if isinstance(what, RunDirectory):
        return new_app(services, training=(AttachedRun(what), what.preset))
    if isinstance(what, Runs):
        return new_app(services, runs=what.runs)
    return new_app(services, presets=what)


def _steer(run: RunDirectory, action: str, value: Any) -> str:
    refuse_elsewhere(run)
    return send_command(run.control, action, name_requester(), value)


def _let_go(app: TrainerApp) -> None:
    """Closes the screen; nothing may be written to its terminal any more or read from it."""
    if isinstance(app._driver, SurvivingDriver):
        app._driver.let_go()
    app.exit()


def _is_unseen(app: TrainerApp) -> bool:
    """Whether its terminal went away without a signal, as under nohup."""
    return isinstance(app._driver, SurvivingDriver) and app._driver.is_gone


def _say_goodbye(app: TrainerApp, program: _Program, signal_number: int | None) -> int:
    """What came of each run that was shown, as far as it is read by now. Returns the exit code."""
    for training in app.trainings:
        is_shown = app.monitor is not None and app.monitor.training is training
        follower = app.monitor.follower if app.monitor and is_shown else open_follower(training.run_dir)
        if follower and training.run_dir:
            follower.catch_up()
            sys.stdout.write("\n".join(summary_lines(follower)) + "\n")
    if app.return_code:
        run = program.training.run_dir if program.training else None
        where = f"; the training was saved, the traceback is in {run.console_log}" if run else ""
        sys.stderr.write(safe_text(f"the screen failed{where}") + "\n")
        return EXIT_SCREEN_FAILED
    return (
        finish(program.training, signal_number) if program.training else (128 + signal_number if signal_number else 0)
    )
