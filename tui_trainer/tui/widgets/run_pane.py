"""What all panes of a run share: they show what a follower knows."""

from __future__ import annotations

from tui_trainer.monitor.follower import RunFollower
from tui_trainer.tui.pane import Pane


class RunPane(Pane):
    """A pane that shows a run; empty until it is given one."""

    follower: RunFollower | None = None

    def show_run(self, follower: RunFollower) -> None:
        """Draws what the follower knows by now."""
        self.follower = follower
        self.redraw()
