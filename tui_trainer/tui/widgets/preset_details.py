"""What the highlighted preset is for, what it will cost here, and its schedule."""

from __future__ import annotations

from tui_trainer.diagnosis import find_model_size
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.monitor import numbers
from tui_trainer.monitor.forecast import Forecast, forecast_figures
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset
from tui_trainer.tui.lines import Line, break_off, cut, wrap
from tui_trainer.tui.pane import Pane
from tui_trainer.tui.widgets.schedule_curve import draw_schedule
from tui_trainer.tui.widgets.verdict_line import ROLES, SIGNS

LABEL = 13
CURVE_ROWS = 4


class PresetDetails(Pane):
    """Figures with "~" are estimates until the text is read."""

    preset: Preset | None = None
    forecast: Forecast | None = None

    def show_preset(self, preset: Preset, forecast: Forecast) -> None:
        """Changes to another preset."""
        self.preset, self.forecast = preset, forecast
        self.border_title = preset.name
        self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.preset is None or self.forecast is None:
            return []
        inside = width - 2
        lines: list[Line] = []
        if self.forecast.problem:
            lines += [*_marked("warning", self._problem(), "warning", inside), []]
        if self.forecast.alarm:
            lines += [*_marked("wrong", self.forecast.alarm, "wrong", inside), []]
        lines += [[(" " + piece, "value")] for piece in wrap(safe_line(self.preset.purpose), inside)]
        if self._duration():
            lines += [[(" " + piece, "label")] for piece in wrap(safe_line(self._duration()), inside)]
        lines.append([])
        lines += self._figures()
        if self.forecast.remark:
            lines += [[], *_marked("note", self.forecast.remark, "label", inside)]
        lines += self._advice(inside)
        steps = self.forecast.steps
        if steps and height - len(lines) > CURVE_ROWS + 1:
            curve = draw_schedule(make_schedule(self.preset.config.training, steps), inside, CURVE_ROWS, self.dots)
            lines += [[], [(" learning rate, as planned", "label")], *[[(" ", ""), *line] for line in curve]]
        if len(lines) > height:
            lines[height - 1] = break_off(lines[height - 1], width)
        return [cut(line, width) for line in lines[:height]]

    def _duration(self) -> str:
        """How long it takes, as its author knew; once this machine knows better, what else was said there."""
        assert self.preset is not None and self.forecast is not None
        said = self.preset.duration
        return said if self.forecast.seconds is None else said.partition(". ")[2]

    def _problem(self) -> str:
        """Why it cannot start yet, and the key that mends it."""
        assert self.preset is not None and self.forecast is not None
        first, *others = (self.forecast.problem or "").splitlines()
        if self.forecast.is_text_missing:
            others = ["Enter, or t, chooses a text."]
        elif self.preset.lacks_base:
            others = ["Enter, or b, names it: a run, or a folder with a GPT-2 of Hugging Face."]
        return "\n".join([first, *others])

    def _advice(self, width: int) -> list[Line]:
        """Whether the model is too big for its text, while that can still be changed."""
        assert self.forecast is not None
        parameters, tokens, epochs = self.forecast.parameters, self.forecast.train_tokens, self.forecast.epochs
        advice = find_model_size(parameters, tokens, epochs) if parameters and tokens and epochs is not None else None
        if advice is None:
            return []
        level = advice.level if advice.level in SIGNS else "note"
        lines = _marked(level, advice.evidence, "value", width)
        return [[], *lines, *[[(f"   {piece}", "label")] for piece in wrap(safe_line(advice.remedy), width - 2)]]

    def _figures(self) -> list[Line]:
        assert self.preset is not None and self.forecast is not None
        figures = forecast_figures(self.preset, self.forecast)
        config = self.preset.config
        model, training, has_base = config.model, config.training, config.base.path is not None
        shape = f"{model.n_layer} layers, {model.n_head} heads, width {model.n_embd}"
        rows = [
            ("parameters", figures["parameters"]),
            ("shape", "the base's" if has_base else shape),
            ("data", figures["data"]),
            ("tokens", figures["tokens"] + f"   tokenizer {'of the base' if has_base else config.data.tokenizer}"),
            (
                "steps",
                figures["steps"] + f"   batch {training.batch_size}, rate {numbers.rate(training.learning_rate)}",
            ),
            ("context", "the base's" if has_base else figures["context"] + " tokens"),
            ("memory", figures["memory"]),
            ("time", figures["time"]),
        ]
        return [[(f" {label:<{LABEL}}", "label"), (text, "value")] for label, text in rows]


def _marked(level: str, text: str, role: str, width: int) -> list[Line]:
    """Text behind the sign of a level."""
    pieces = wrap("\n".join(map(safe_line, text.splitlines())), width - 2)
    return [
        [(f" {SIGNS[level]} " if index == 0 else "   ", ROLES[level]), (piece, role)]
        for index, piece in enumerate(pieces)
    ]
