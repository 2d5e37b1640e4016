"""What a person asks of a run from its screen: pause, save, evaluate, sample, stop, another rate, another last step."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from tui_trainer.errors import UserError
from tui_trainer.events import Record
from tui_trainer.monitor.controls import control_news
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.control import setting_value
from tui_trainer.tui.precise_updates import PreciseScreen
from tui_trainer.tui.screens.question import ask_whether_to_stop
from tui_trainer.tui.screens.setting_question import ask_for_last_step, ask_for_rate
from tui_trainer.tui.services import Services
from tui_trainer.tui.widgets.run_header import RunHeader


class SteeringScreen(PreciseScreen):
    """A screen of one run. What is asked goes to the run's directory; the answer comes as an event of its log."""

    def __init__(self, services: Services) -> None:
        """Nothing is asked yet."""
        super().__init__()
        self._opened_at = time.time()
        self._services = services
        self.follower: RunFollower | None = None

    def action_pause(self) -> None:
        is_paused = self.follower is not None and self.follower.state.paused is not None
        self._steer("resume" if is_paused else "pause")

    def action_save(self) -> None:
        self._steer("save")

    def action_evaluate(self) -> None:
        self._steer("evaluate")

    def action_sample(self) -> None:
        self._steer("sample")

    def action_stop(self) -> None:
        self.app.push_screen(ask_whether_to_stop(), lambda answer: self._steer("stop") if answer else None)

    def action_change_rate(self) -> None:
        assert self.follower is not None
        self.app.push_screen(ask_for_rate(self.follower), partial(self._change, "training.learning_rate"))

    def action_change_last_step(self) -> None:
        assert self.follower is not None
        self.app.push_screen(ask_for_last_step(self.follower), partial(self._change, "training.max_steps"))

    def _change(self, key: str, value: str | None) -> None:
        if value:
            self._steer("set", setting_value(key, value))

    def _steer(self, action: str, value: Any = None) -> None:
        """Asks for it; the answer comes as an event, which `hear` shows."""
        assert self.follower is not None and self._services.steer is not None
        try:
            self._services.steer(self.follower.run, action, value)
        except OSError as error:
            self.query_one(RunHeader).note(f"{action}: {error.strerror}")
        except UserError as error:
            self.query_one(RunHeader).note(str(error).splitlines()[0])
        else:
            self.query_one(RunHeader).note(f"{action} asked for …")

    def hear(self, record: Record) -> None:
        """What somebody asked for since this screen was opened is told at any size, with who asked."""
        news = control_news(record.event) if record.time >= self._opened_at else None
        if news:
            self.query_one(RunHeader).note(news)
