"""Should I do something? Calm when all is well, with evidence and a remedy when not."""

from __future__ import annotations

from textual.markup import escape

from tui_trainer.diagnosis import Evaluation, find_verdict
from tui_trainer.events import AdviceRaised, RunFailed
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.run_state import RunState
from tui_trainer.monitor.safe_text import safe_line, safe_text
from tui_trainer.monitor.standing import Standing
from tui_trainer.tui.lines import Line, break_off, cut, spread, wrap
from tui_trainer.tui.widgets.run_pane import RunPane

SIGNS = {"good": "✓", "waiting": "·", "note": "•", "warning": "▲", "wrong": "✗"}
ROLES = {"good": "good", "waiting": "label", "note": "note", "warning": "warning", "wrong": "wrong"}


class VerdictLine(RunPane):
    """The diagnosis in words; its sign tells the level without its colour."""

    failure: str | None = None
    _subtitle = ""

    def show_failure(self, failure: str) -> None:
        """The training failed: nothing else matters now."""
        self.failure = failure
        self.redraw()

    def show_run(self, follower: RunFollower) -> None:
        """Judges anew."""
        super().show_run(follower)
        self._name_hidden()

    def on_resize(self) -> None:
        """Another size has room for more or less of what stands."""
        self._name_hidden()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        lines = self._worst(width)
        others = self._others
        if others and not self._has_frame:
            return _with_tail(lines, _more(others), f"+ {len(others)} more", width, height)
        lines += [cut(_other(advice), width) for advice in others[: max(0, height - len(lines))]]
        return _fitted(lines, width, height)

    def _name_hidden(self) -> None:
        """The frame names what there is no room for; it is repainted only when that changes."""
        hidden = self._others[max(0, self.size.height - len(self._worst(self.size.width))) :]
        subtitle = _more(hidden) if hidden else ""
        if self._subtitle != subtitle:
            self._subtitle = subtitle
            self.border_subtitle = escape(subtitle) or None

    @property
    def _has_frame(self) -> bool:
        return self.styles.border_top[0] not in ("", "none")

    def _worst(self, width: int) -> list[Line]:
        level, text, remedy = judge_run(self.follower, self.failure)
        sign, role = SIGNS[level], ROLES[level]
        lines: list[Line] = []
        for index, piece in enumerate(wrap(_as_lines(text), max(1, width - 3))):
            lines.append([(f" {sign} " if index == 0 else "   ", role), (piece, role if level == "wrong" else "value")])
        if remedy:
            lines += [[("   ", ""), (piece, "label")] for piece in wrap(_as_lines(remedy), max(1, width - 3))]
        return lines

    @property
    def _others(self) -> list[AdviceRaised]:
        """What stands beside the worst; a failure stands alone."""
        return [] if self.failure or self.follower is None else self.follower.standing_advice[1:]


def judge_run(follower: RunFollower | None, failure: str | None) -> tuple[str, str, str]:
    """Level, text and remedy of the verdict; `failure`: why a training of this process failed."""
    if failure:
        return "wrong", failure, ""
    if follower is None:
        return "waiting", "no evaluation yet", ""
    if ending := _sudden_end(follower):
        return ending
    state, training = follower.state, follower.config.training
    verdict = find_verdict(
        _evaluations(state),
        [(event.level, event.evidence, event.remedy) for event in follower.standing_advice],
        is_over=state.ended is not None,
        patience=training.early_stop_patience,
        min_delta=training.early_stop_min_delta,
    )
    level = verdict.level if verdict.level in SIGNS else "note"
    return level, verdict.text, verdict.remedy


def _sudden_end(follower: RunFollower) -> tuple[str, str, str] | None:
    """What is to be said of a run that failed or whose process died: nothing else matters then."""
    saved = follower.run.saved_step
    kept = "Nothing was saved yet." if saved is None else f"Step {saved:,} is saved."
    if isinstance(follower.state.ended, RunFailed):
        return "wrong", follower.state.ended.reason, kept
    if follower.standing is Standing.INTERRUPTED:
        reached = f"at step {follower.state.current_step:,}"
        return "warning", f"interrupted {reached}: its process is gone", kept
    return None


def _as_lines(text: str) -> str:
    return safe_text(text).replace("\t", " ")


def _evaluations(state: RunState) -> list[Evaluation]:
    """What the verdict looks at; at the end also a best that a run left behind when it went back to before it."""
    evaluations = [Evaluation(*measured) for measured in state.measured]
    best = state.best
    if not state.ended or best is None or any(evaluation.step == best.step for evaluation in evaluations):
        return evaluations
    if best.train_eval_loss is not None and best.val_loss is not None:
        evaluations.append(Evaluation(best.step, best.train_eval_loss, best.val_loss))
    return evaluations


def _more(others: list[AdviceRaised]) -> str:
    return f"+ {len(others)} more: {', '.join(_name(advice) for advice in others)}"


def _name(advice: AdviceRaised) -> str:
    return safe_line(advice.rule).replace("_", " ")


def _other(advice: AdviceRaised) -> Line:
    level = advice.level if advice.level in SIGNS else "note"
    return [(f" {SIGNS[level]} ", ROLES[level]), (f"{_name(advice)}: ", "label"), (safe_line(advice.evidence), "label")]


def _fitted(lines: list[Line], width: int, height: int) -> list[Line]:
    """At most `height` lines, with an ellipsis where something is missing."""
    if len(lines) <= height:
        return lines
    return [*lines[: height - 1], break_off(lines[height - 1], width)]


def _with_tail(lines: list[Line], tail: str, short_tail: str, width: int, height: int) -> list[Line]:
    """Lines without a frame, ended by what else stands: on a line of its own, or at the end of the last."""
    if len(lines) < height:
        return [*lines, cut([(f"   {tail}", "label")], width)]
    kept = _fitted(lines, width - len(short_tail) - 2, height)
    return [*kept[:-1], spread(kept[-1], [(f"{short_tail} ", "label")], width)]
