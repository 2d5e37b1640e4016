"""Should I do something? Calm when all is well, with evidence and a remedy when not."""

from __future__ import annotations

from tui_trainer.diagnosis import Evaluation, find_verdict
from tui_trainer.monitor.run_state import RunState
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.tui.lines import Line, cut, wrap
from tui_trainer.tui.widgets.run_pane import RunPane

SIGNS = {"good": "✓", "waiting": "·", "note": "•", "warning": "▲", "wrong": "✗"}
ROLES = {"good": "good", "waiting": "label", "note": "note", "warning": "warning", "wrong": "wrong"}


class VerdictLine(RunPane):
    """The diagnosis in words; its sign tells the level without its colour."""

    failure: str | None = None

    def show_failure(self, failure: str) -> None:
        """The training failed: nothing else matters now."""
        self.failure = failure
        self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        level, text, remedy = ("wrong", self.failure, "") if self.failure else self._judge()
        sign, role = SIGNS[level], ROLES[level]
        lines: list[Line] = []
        for index, piece in enumerate(wrap(_as_lines(text), max(1, width - 3))):
            lines.append([(f" {sign} " if index == 0 else "   ", role), (piece, role if level == "wrong" else "value")])
        if remedy:
            lines += [[("   ", ""), (piece, "label")] for piece in wrap(_as_lines(remedy), max(1, width - 3))]
        if len(lines) > height:
            lines[height - 1] = cut([*lines[height - 1], (" …".ljust(width), "label")], width)
        return lines

    def _judge(self) -> tuple[str, str, str]:
        state = self.follower.state if self.follower else RunState()
        evaluations = [Evaluation(*measured) for measured in state.measured]
        advice = [(event.level, event.evidence, event.remedy) for event in state.standing_advice]
        verdict = find_verdict(evaluations, advice, is_over=state.ended is not None)
        level = verdict.level if verdict.level in SIGNS else "note"
        return level, verdict.text, verdict.remedy


def _as_lines(text: str) -> str:
    return safe_text(text).replace("\t", " ")
