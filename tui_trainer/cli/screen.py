"""The program around the screen: its terminal, its signals, and what stands there when it is gone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from tui_trainer.cli.console_log import ConsoleLog
from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.summary import summary_lines
from tui_trainer.cli.watching import finish
from tui_trainer.config import RunConfig
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.presets import Preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.launch import NewRun, ResumedRun, TrainingHandle, launch
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.driver import SurvivingDriver, driver_on
from tui_trainer.tui.services import Services, Writer

EXIT_SCREEN_FAILED = 1


class _Program:
    """The trainings of this process, one after the other."""

    def __init__(self, console_log: ConsoleLog) -> None:
        self._console_log = console_log
        self.training: TrainingHandle | None = None

    def launch(self, request: NewRun | ResumedRun) -> TrainingHandle:
        self.training = launch(request, self._console_log.move_to)
        return self.training

    def launch_preset(self, config: RunConfig, preset: str) -> TrainingHandle:
        return self.launch(NewRun(config, preset))

    def stop(self) -> None:
        if self.training:
            self.training.stop()

    def wait(self) -> None:
        if self.training:
            self.training.join()


def show_screen(what: NewRun | ResumedRun | Sequence[Preset]) -> int:
    """Runs the app on a training, or on the picker with these presets. Returns the exit code."""
    with ConsoleLog() as console_log:
        program = _Program(console_log)
        app = _make_app(program, what, console_log.screen)
        with SignalWatcher(program.stop, program.wait, lambda number: _leave(app, number)) as signals:
            app.run()
            program.stop()
            program.wait()
        console_log.is_terminal_gone = signals.received == signal.SIGHUP
    return _say_goodbye(app, program, signals.received)


def _make_app(program: _Program, what: NewRun | ResumedRun | Sequence[Preset], screen: int) -> TrainerApp:
    services = Services(program.launch_preset, _open_writer)
    if not isinstance(what, NewRun | ResumedRun):
        return TrainerApp(services, presets=what, driver_class=driver_on(screen))
    preset = what.preset if isinstance(what, NewRun) else what.run.preset
    return TrainerApp(services, training=(program.launch(what), preset), driver_class=driver_on(screen))


def _open_writer(run: RunDirectory) -> Writer:
    from tui_trainer.inference.generator import TextGenerator

    return TextGenerator(run)


def _leave(app: TrainerApp, number: int) -> None:
    """Closes the screen; after a hang-up there is none, so nothing may be written to it or read from it."""
    driver = app._driver
    if number == signal.SIGHUP and isinstance(driver, SurvivingDriver):
        driver.let_go()
    app.exit()


def _say_goodbye(app: TrainerApp, program: _Program, signal_number: int | None) -> int:
    for monitor in app.monitors:
        if monitor.follower and monitor.training.run_dir:
            monitor.follower.drain()
            sys.stdout.write("\n".join(summary_lines(monitor.follower)) + "\n")
    if app.return_code:
        run = program.training.run_dir if program.training else None
        where = f"; the training was saved, the traceback is in {run.console_log}" if run else ""
        sys.stderr.write(safe_text(f"the screen failed{where}") + "\n")
        return EXIT_SCREEN_FAILED
    return (
        finish(program.training, signal_number) if program.training else (128 + signal_number if signal_number else 0)
    )
