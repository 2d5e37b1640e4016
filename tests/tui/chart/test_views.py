"""The views of the chart: each has its metrics, and one leads to the next."""

from __future__ import annotations

import pytest
from charted import evaluation, machine, run_of, step

from tui_trainer.monitor.history import History, Series
from tui_trainer.tui.chart.picture import Look
from tui_trainer.tui.chart.titles import describe_look, name_view
from tui_trainer.tui.chart.viewport import Window
from tui_trainer.tui.chart.views import GAP, LEARNING_RATE, LOSS, MEMORY, PERPLEXITY, SPEED, VIEWS, next_view
from tui_trainer.tui.dots import ASCII, BRAILLE


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_source_is_a_metric_of_the_history(view):
    history = History()
    sources = [*view.sources, *view.read_only, *([view.strip] if view.strip else [])]
    assert all(isinstance(source.series(history), Series) for source in sources)
    assert len({source.name for source in view.sources}) == len(view.sources)
    assert not view.is_log_at_first or view.can_be_log


def test_the_views_go_round_in_both_directions_and_those_without_data_are_left_out():
    history = run_of(step(1, 3.0), evaluation(1, 3.0, 3.1)).state.history
    names, view = [], LOSS
    for _ in range(8):
        names.append(view.name)
        view = next_view(view, history, 1)
    assert names == ["loss", "gap", "perplexity", "accuracy", "learning rate", "gradient norm", "speed", "loss"]
    assert next_view(LOSS, history, -1) is SPEED
    assert next_view(LOSS, run_of(step(1, 3.0), machine(1)).state.history, -1) is MEMORY
    assert next_view(LOSS, History(), 1) is LOSS


@pytest.mark.parametrize(
    ("view", "value", "text"),
    [
        (PERPLEXITY, 1000, "1 k"),
        (PERPLEXITY, 50, "50"),
        (SPEED, 12_500, "12.5 k"),
        (SPEED, 200_000, "200 k"),
        (MEMORY, 0, "0 B"),
        (MEMORY, 1.5e9, "1.5 GB"),
        (MEMORY, 20e9, "20 GB"),
        (LEARNING_RATE, 8e-4, "8e-4"),
        (LEARNING_RATE, 1.2e-3, "1.2e-3"),
    ],
)
def test_ticks_have_no_needless_zeros(view, value, text):
    assert view.tick(value) == text
    assert len(text) <= view.label_width


def test_titles_name_the_curves_and_how_they_are_looked_at():
    history = run_of(step(1, 3.0)).state.history
    history.marks.add("checkpoint", 5)
    look = Look(LOSS, Window(0, 10), BRAILLE, is_log=True, is_smoothed=True)
    legend = "[$train][$train-style]─[/][/] train  [$val][$val-style]─[/][/] val  [$success][$best-style]◆[/][/] best"
    assert name_view(look) == f"loss   {legend}"
    assert (
        name_view(Look(GAP, Window(0, 10), ASCII))
        == "gap between val and train loss   [$success][$best-style]*[/][/] best"
    )
    assert describe_look(look, "live", history, 80) == "[$label][$label-style]▴[/][/] saved   live · log · smoothed"
    assert describe_look(look, "frozen", history, 38) == "frozen · log · smoothed", "no room for the signs"
    away = Look(LEARNING_RATE, Window(6, 10), BRAILLE, is_smoothed=True)
    assert describe_look(away, "all", history, 80) == "all", "nothing was saved here, and nothing is to be smoothed"
