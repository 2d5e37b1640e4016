"""How a run was set up, as plain lines under the one that says it started."""

from __future__ import annotations

from tui_trainer.config import RunConfig
from tui_trainer.monitor.columns import align_lines
from tui_trainer.monitor.run_setup import (
    GROUP_HEAD,
    accumulation,
    base_text,
    batch_split,
    parameter_groups,
    precision_text,
)
from tui_trainer.monitor.run_state import RunState


def setup_lines(state: RunState, config: RunConfig) -> list[str]:
    """What the started line has no room for: base, precision, what is in memory at once, the optimizer's groups."""
    started, lines = state.started, []
    if started is None:
        return []
    if base := base_text(started):
        lines.append(f"from {base}")
    if started.precision_reason:
        lines.append(f"precision {precision_text(started)}")
    split = batch_split(state, config)
    if split and split[1] < split[0]:
        batch, micro_batch = split
        lines.append(f"micro-batch {micro_batch:,} of {batch:,} sequences, {accumulation(batch, micro_batch):,} a step")
    if groups := parameter_groups(started):
        rows = [GROUP_HEAD, *(group.cells for group in groups)]
        lines += align_lines(rows, right=frozenset({2, 3, 4}))
    return [f"setup   {line}" for line in lines]
