"""What a frame of the chart costs.

    python benchmarks/chart.py [--steps 20000]

Draws the loss of a noisy run of so many steps, spread, course and evaluations, with a cursor, at several sizes: the
whole run and a narrow window of it. Prints the median of 30 frames in milliseconds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from types import SimpleNamespace

from tui_trainer.monitor.run_state import RunState
from tui_trainer.tui.chart.picture import Look, draw_chart
from tui_trainer.tui.chart.viewport import Window
from tui_trainer.tui.chart.views import LOSS
from tui_trainer.tui.dots import STYLES

SIZES = ((62, 15), (120, 40), (142, 17), (200, 50))
"""Two that the monitor gives it on screens of 120×40 and 200×50, and those screens as a whole."""
FRAMES = 30


def noisy_run(steps: int) -> RunState:
    noise, state = random.Random(1), RunState()
    for step in range(1, steps + 1):
        loss = 3.2 + 3.7 / (1 + 20 * step / steps)
        state.history.train_loss.append(step, loss + noise.gauss(0, 0.12))
        if step % max(1, steps // 50) == 0:
            state.history.val_loss.append(step, loss + 0.1)
            state.history.gap.append(step, 0.1)
            state.history.marks.add("checkpoint", step)
    return state


def milliseconds(state: RunState, look: Look, width: int, height: int) -> float:
    follower, seconds = SimpleNamespace(state=state), []
    for _ in range(FRAMES):
        start = time.thread_time()
        draw_chart(follower, look, width, height)  # type: ignore[arg-type]
        seconds.append(time.thread_time() - start)
    return 1000 * statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    steps = parser.parse_args().steps
    state = noisy_run(steps)
    for width, height in SIZES:
        for style in STYLES.values():
            whole, narrow = (
                milliseconds(state, Look(LOSS, window, style, steps - 10, is_smoothed=True), width, height)
                for window in (Window(0, steps), Window(steps - 200, steps))
            )
            print(f"{width}×{height} {style.name:8} whole run {whole:5.1f} ms   200 steps {narrow:5.1f} ms")


if __name__ == "__main__":
    main()
