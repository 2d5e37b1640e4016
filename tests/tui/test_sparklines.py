"""Sparklines: bars of whatever a terminal can show."""

from __future__ import annotations

import pytest

from tui_trainer.monitor.history import Series
from tui_trainer.tui.dots import STYLES
from tui_trainer.tui.widgets.sparklines import sparkline


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_bars_rise_with_the_values_from_the_lowest_to_the_full_one(style):
    series = Series()
    for step in range(10):
        series.append(step, 2.0**step)
    top, bottom = sparkline(series, 10, 9, rows=2, levels=style.levels)
    assert set(top + bottom) <= set(style.levels)
    heights = [style.levels.index(upper) + style.levels.index(lower) for upper, lower in zip(top, bottom, strict=True)]
    assert heights == sorted(heights) and (heights[0], heights[-1]) == (1, 2 * len(style.levels) - 2)
