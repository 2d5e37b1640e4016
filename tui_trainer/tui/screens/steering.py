"""What a person asks of a run from its screen: pause, save, evaluate, sample, stop, another rate, another last step."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from tui_trainer.errors import UserError
from tui_trainer.events import Record
from tui_trainer.monitor.controls import control_news
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.control import name_requester, setting_value
from tui_trainer.tui.precise_updates import PreciseScreen
from tui_trainer.tui.screens.question import ask_whether_to_stop
from tui_trainer.tui.screens.setting_question import ask_for_last_step, ask_for_rate
from tui_trainer.tui.services import Services
from tui_trainer.tui.widgets.next_line import NOTE_SECONDS, NextLine


class SteeringScreen(PreciseScreen):
    """A screen of one run. What is asked goes to the run's directory; the answer comes as an event of its log."""

    def __init__(self, services: Services) -> None:
        """Nothing is asked yet."""
        super().__init__()
        self._opened_at = time.time()
        self._services = services
        self.follower: RunFollower | None = None

    def why_not(self, action: str) -> str | None:
        """Why an action cannot do anything now, in a line; None: it can."""
        return None

    def note(self, text: str, seconds: float = NOTE_SECONDS) -> None:
        """Says something for a while, on the line of the next steps."""
        self.query_one(NextLine).note(text, seconds)

    def may(self, action: str) -> bool:
        """Whether an action can do something now; else it says why not."""
        reason = self.why_not(action)
        if reason:
            self.note(reason)
        return not reason

    def action_pause(self) -> None:
        if not self.may("pause"):
            return
        is_paused = self.follower is not None and self.follower.state.paused is not None
        self._steer("resume" if is_paused else "pause")

    def action_save(self) -> None:
        if self.may("save"):
            self._steer("save")

    def action_evaluate(self) -> None:
        if self.may("evaluate"):
            self._steer("evaluate")

    def action_sample(self) -> None:
        if self.may("sample"):
            self._steer("sample")

    def action_stop(self) -> None:
        if not self.may("stop"):
            return
        self.app.push_screen(ask_whether_to_stop(), lambda answer: self._steer("stop") if answer else None)

    def action_change_rate(self) -> None:
        """While it trains; a run that is over is resumed."""
        if not self.may("change_rate"):
            return
        assert self.follower is not None
        if self.follower.standing.is_over:
            self.resume([])
        else:
            self.app.push_screen(ask_for_rate(self.follower), partial(self._change, "training.learning_rate"))

    def action_change_last_step(self) -> None:
        """While it trains; a run that is over is resumed to the new last step."""
        if not self.may("change_last_step"):
            return
        assert self.follower is not None
        self.app.push_screen(ask_for_last_step(self.follower), partial(self._change, "training.max_steps"))

    def _change(self, key: str, value: str | None) -> None:
        assert self.follower is not None
        if not value:
            return
        if self.follower.standing.is_over:
            self.resume([f"{key}={value}"])
        else:
            self._steer("set", setting_value(key, value))

    def resume(self, overrides: list[str]) -> None:
        """Trains on from the last checkpoint, in this process."""
        raise NotImplementedError

    def _steer(self, action: str, value: Any = None) -> None:
        """Asks for it; the answer comes as an event, which `hear` shows."""
        assert self.follower is not None and self._services.steer is not None
        try:
            self._services.steer(self.follower.run, action, value)
        except OSError as error:
            self.note(f"{action}: {error.strerror}")
        except UserError as error:
            self.note(str(error).splitlines()[0])
        else:
            self.note(f"{action} …")

    def hear(self, record: Record) -> None:
        """What was asked for since this screen was opened, with who asked if it was somebody else."""
        news = control_news(record.event, name_requester()) if record.time >= self._opened_at else None
        if news:
            self.note(news)
