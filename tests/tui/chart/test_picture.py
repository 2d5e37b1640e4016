"""A whole chart: whatever was measured, it fills its size and says what it shows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from charted import evaluation, machine, run_of, saved, step
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.events import RolledBack, RunStarted, StepSkipped
from tui_trainer.tui.chart.picture import Look, draw_chart, grid_of
from tui_trainer.tui.chart.viewport import Window
from tui_trainer.tui.chart.views import GAP, GRAD_NORM, LEARNING_RATE, LOSS, MACHINE, MEMORY, VIEWS
from tui_trainer.tui.dots import ASCII, BLOCKS, BRAILLE, STYLES
from tui_trainer.tui.lines import width_of

WHOLE = Window(0, 2000)
LEARNING = [step(number, 7 - number / 400) for number in range(1, 1201)]
EVALUATED = [evaluation(0, 7.0, 7.1), evaluation(400, 5.9, 6.2), evaluation(800, 5.0, 5.4, is_best=True)]
FIGURES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def texts(run, look: Look, width: int = 72, height: int = 14) -> list[str]:
    return ["".join(text for text, _ in line) for line in draw_chart(run, look, width, height)]


def words(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


@given(
    st.lists(st.tuples(FIGURES, FIGURES, FIGURES), max_size=30),
    st.tuples(st.integers(0, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 90), st.integers(1, 24)),
    st.sampled_from(VIEWS),
    st.sampled_from(list(STYLES.values())),
    st.tuples(st.none() | st.integers(0, 600), st.booleans(), st.booleans()),
)
def test_any_run_can_be_drawn_at_any_size(figures, window, size, view, style, wish):
    events = []
    for index, (loss, val, norm) in enumerate(figures):
        events += [step(10 * index + 1, loss, norm), evaluation(10 * index + 1, loss, val, is_best=index % 5 == 0)]
        events += [machine(10 * index + 1, 50.0), saved(10 * index + 1)]
    look = Look(view, Window(window[0], sum(window)), style, *wish)
    lines = draw_chart(run_of(*events), look, *size)
    assert len(lines) <= size[1]
    assert all(width_of(line) <= size[0] for line in lines)


def test_the_names_of_curves_stand_at_their_newest_points():
    run = run_of(*LEARNING, *EVALUATED)
    lines = texts(run, Look(LOSS, WHOLE, BRAILLE))
    column = grid_of(Look(LOSS, WHOLE, BRAILLE), 72).cell(1200) + len("  7.0 ┤") + 2
    assert [line.index(name) for name in ("val", "train") for line in lines if name in line] == [column, column]
    rows = [index for name in ("val", "train") for index, line in enumerate(lines) if name in line]
    assert rows[0] < rows[1], "the higher one above"


def test_a_window_without_a_value_says_so():
    run = run_of(*LEARNING, *EVALUATED)
    assert "nothing was measured in these steps" in words(texts(run, Look(LOSS, Window(1500, 1700), BRAILLE)))
    assert "the first figures are on their way" in words(texts(run_of(), Look(LOSS, WHOLE, BRAILLE)))
    below = run_of(step(1, 2.0), evaluation(1, 5.0, 4.0))
    assert "nothing above 0" in words(texts(below, Look(GAP, WHOLE, BRAILLE, is_log=True)))


def test_the_best_is_where_it_was_measured():
    for style in STYLES.values():
        look = Look(LOSS, WHOLE, style)
        (row,) = [line for line in texts(run_of(*LEARNING, *EVALUATED), look)[:-2] if style.signs.best in line]
        assert row.index(style.signs.best) - len("  7.0 ┤") == grid_of(look, 72).cell(800)
    assert "◆" not in words(texts(run_of(*LEARNING, *EVALUATED), Look(LOSS, Window(900, 1200), BRAILLE)))


def test_what_happened_stands_on_the_axis_worst_first():
    events = [saved(100), saved(500), StepSkipped(500, "non_finite", None, None), RolledBack(1000, 1100, "x", 0.5)]
    resumed = RunStarted("x", 1, 2000, 256, 1000.0, 1, 1, 1, 1, 1, "cpu", "fp32", 900)
    run = run_of(*LEARNING, *events, resumed)
    for style in STYLES.values():
        signs, look = style.signs, Look(LOSS, WHOLE, style)
        floor, grid = texts(run, look)[-2][len("  7.0 ┤") :], grid_of(look, 72)
        found = [floor[grid.cell(number)] for number in (100, 500, 900)]
        assert found == [signs.checkpoint, signs.non_finite, signs.resume]
    assert BRAILLE.signs.roll_back in texts(run_of(*LEARNING, *events), Look(LOSS, WHOLE, BRAILLE))[-2]


def test_the_cursor_reads_out_what_is_under_it():
    run = run_of(*LEARNING, *EVALUATED, saved(800))
    wide = texts(run, Look(LOSS, WHOLE, BRAILLE, cursor=800), width=140)
    (span,) = [grid_of(Look(LOSS, WHOLE, BRAILLE), 140).steps(grid_of(Look(LOSS, WHOLE, BRAILLE), 140).cell(800))]
    low, high = 7 - span.last / 400, 7 - span.first / 400
    assert words(wide[-1:]).startswith(
        f"steps {span.first}–{span.last} train {(low + high) / 2:.3f} {low:.3f}–{high:.3f}"
    )
    assert words(wide[-1:]).endswith("val 5.400 gap 0.400 ◆ best ▴ saved")
    assert all("│" in line[8:] for line in wide[:3]), "the line is seen where there is no curve"


def test_a_cursor_beside_an_evaluation_reads_the_nearest_and_says_of_when():
    run = run_of(*LEARNING, *EVALUATED)
    assert "val 5.400 at 800" in words(texts(run, Look(LOSS, WHOLE, BRAILLE, cursor=700), width=140)[-1:])


def test_a_narrow_chart_reads_out_what_matters_most():
    run = run_of(*LEARNING, *EVALUATED)
    for width in range(24, 140):
        (line,) = draw_chart(run, Look(LOSS, WHOLE, BRAILLE, cursor=700), width, 9)[-1:]
        assert width_of(line) <= width
        text = words(["".join(part for part, _ in line)])
        assert "train 5." in text or width < 30
        assert "gap 0.400" in text or width < 52
        assert "at 800" in text or width < 80


def test_log_turns_an_exponential_into_a_line():
    run = run_of(*[step(number, 2.0 ** (10 - number / 100)) for number in range(1, 1001)])
    lines = texts(run, Look(LOSS, Window(0, 1000), BLOCKS, is_log=True), height=22)
    tops = [
        next((row for row, line in enumerate(lines[:-2]) if line[column] in "▘▖▌▝▀▞▛▗▚▄▙▐▜▟█"), None)
        for column in range(8, 60)
    ]
    steps = [below - above for above, below in pairwise(tops)]
    assert set(steps) <= {0, 1} and tops[-1] - tops[0] > 14
    assert {"1000", "100", "10", "1"} <= {line[:5].strip() for line in lines}


def test_smoothing_changes_the_course_and_no_spread():
    run = run_of(*[step(number, 3.0 + number % 2) for number in range(1, 60)])
    plain = draw_chart(run, Look(LOSS, Window(0, 60), BRAILLE), 72, 14)
    smooth = draw_chart(run, Look(LOSS, Window(0, 60), BRAILLE, is_smoothed=True), 72, 14)
    dotted = [[text for line in lines for text, role in line if role == "train"] for lines in (plain, smooth)]
    assert len("".join(dotted[1])) < len("".join(dotted[0])), "a calmer curve takes fewer cells"
    assert "band" in {role for line in smooth for _, role in line}


def test_the_plan_of_the_learning_rate_is_whole_from_the_start():
    lines = draw_chart(run_of(step(1, 7.0)), Look(LEARNING_RATE, WHOLE, BRAILLE, cursor=1000), 72, 14)
    quiet = [text for line in lines[:-2] for text, role in line if role == "quiet"]
    assert len("".join(quiet).replace(" ", "").replace("│", "")) > 40
    assert "plan 5.0e-4" in words(["".join(text for text, _ in lines[-1])])


def test_after_a_roll_back_the_plan_ahead_is_what_is_left_of_it():
    run = run_of(*LEARNING, RolledBack(1000, 1200, "x", 0.5))
    assert "plan 1.0e-4" in words(texts(run, Look(LEARNING_RATE, WHOLE, BRAILLE, cursor=1600))[-1:])
    assert "plan 7.5e-4" in words(texts(run, Look(LEARNING_RATE, WHOLE, BRAILLE, cursor=500))[-1:])


def test_the_share_of_clipped_steps_is_a_strip_under_the_gradient_norm():
    steps = [step(number, 3.0, is_clipped=number > 500) for number in range(1, 1001)]
    for style in (BRAILLE, ASCII):
        look = Look(GRAD_NORM, Window(0, 1000), style, cursor=900)
        lines = texts(run_of(*steps), look)
        strip, full = lines[-3], style.levels[-1]
        assert strip.count(full) in range(24, 32) and strip.rstrip().endswith("clipped")
        assert full not in strip[: len(strip) // 3]
        assert "clipped 100.0 %" in words(lines[-1:])


def test_the_limit_of_clipping_is_drawn_only_where_it_is_in_sight():
    assert "limit" in words(texts(run_of(step(1, 3.0, 0.5), step(2, 3.0, 2.0)), Look(GRAD_NORM, WHOLE, BRAILLE))[:-1])
    assert "limit" not in words(texts(run_of(step(1, 3.0, 0.1), step(2, 3.0, 0.2)), Look(GRAD_NORM, WHOLE, BRAILLE)))


def test_a_machine_without_a_gpu_has_no_curve_of_one():
    for view in (MACHINE, MEMORY):
        assert "GPU" not in words(texts(run_of(machine(1), machine(100)), Look(view, WHOLE, BRAILLE)))
        assert "GPU" in words(texts(run_of(machine(1, 80.0), machine(100, 90.0)), Look(view, WHOLE, BRAILLE)))


STEEP = [step(number, 3.0 + 5 * 0.95**number) for number in range(1, 1001)]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_high_start_lies_above_the_frame_and_is_named(style):
    look = Look(LOSS, Window(0, 1000), style, is_smoothed=True)
    lines = texts(run_of(*STEEP), look)
    assert f"{style.signs.above} 7.750 at the start" in lines[0]
    assert not any(line.lstrip().startswith("7") for line in lines), "the axis is fitted to what came later"
    assert lines[0][8:12].strip(), "the curve comes in from above"


def test_what_is_high_later_is_never_above_the_frame():
    spike = [*STEEP[:600], step(601, 12.0), *STEEP[601:]]
    for run in (run_of(*spike), run_of(*[step(number, 7.6 if number < 100 else 300.0) for number in range(1, 1001)])):
        assert "at the start" not in words(texts(run, Look(LOSS, Window(0, 1000), BRAILLE)))
    zoomed = texts(run_of(*STEEP), Look(LOSS, Window(10, 110), BRAILLE))
    assert "at the start" not in words(zoomed), "a window that somebody chose is shown whole"


def test_a_curve_that_has_only_begun_is_in_sight():
    run = run_of(evaluation(0, 7.6, 7.6), *STEEP)
    assert "val" in words(texts(run, Look(LOSS, Window(0, 1000), BRAILLE)))
