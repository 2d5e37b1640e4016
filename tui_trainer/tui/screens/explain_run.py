"""How this run was set up: the part of `?` that the guide cannot know."""

from __future__ import annotations

from tui_trainer.events import RunStarted
from tui_trainer.monitor import numbers
from tui_trainer.monitor.columns import align
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.run_setup import (
    GROUP_HEAD,
    ParameterGroup,
    accumulation,
    base_text,
    batch_split,
    parameter_groups,
    precision_text,
)
from tui_trainer.monitor.run_state import RunState
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.lines import Line, entry, wrap


def explain_run(follower: RunFollower, width: int) -> list[Line]:
    """Precision, device, batch and the optimizer's groups in lines of a width; none before the run has started."""
    state = follower.state
    if state.started is None:
        return []
    lines: list[Line] = [[("this run", "accent")]]
    for name, text in _facts(state, state.started, follower):
        lines += entry(name, safe_line(text), width)
    return [*lines, *_groups(parameter_groups(state.started), width)]


def _facts(state: RunState, started: RunStarted, follower: RunFollower) -> list[tuple[str, str]]:
    processes = f", {started.world_size} processes" if started.world_size > 1 else ""
    facts = [
        ("precision", precision_text(started)),
        ("device", f"{started.device}, {started.threads} threads{processes}"),
        ("batch", _batch(state, follower)),
    ]
    if base := base_text(started):
        facts.insert(0, ("from", base))
    if started.baseline_loss is not None:
        loss = numbers.loss(started.baseline_loss)
        facts.append(("baseline", f"a val loss of {loss} takes no model, only how often each token occurs"))
    if state.learning_rate_factor != 1.0:
        facts.append(("rolled back", f"the planned learning rate is multiplied with {state.learning_rate_factor:g}"))
    if state.overflows:
        updates = numbers.counted(state.overflows, "update")
        facts.append(("overflows", f"{updates} skipped to lower fp16's loss scale, which is normal"))
    if state.non_finite_skips:
        updates = numbers.counted(state.non_finite_skips, "update")
        facts.append(("skipped", f"{updates}, because loss or gradient was not finite"))
    return facts


def _batch(state: RunState, follower: RunFollower) -> str:
    """Batch = micro-batch × accumulation; the last micro-batch may be smaller."""
    config = follower.config
    split = batch_split(state, config)
    if split is None:
        return f"{config.training.batch_size:,} sequences of {config.model.context_length:,} tokens"
    batch, micro_batch = split
    sequences = f"{batch:,} sequences of {config.model.context_length:,} tokens"
    times = accumulation(batch, micro_batch)
    if times == 1:
        return f"{sequences}, all in memory at once"
    sign = "=" if batch == micro_batch * times else "≤"
    return f"{sequences} {sign} micro-batch {micro_batch:,} × {times:,} accumulated"


def _groups(groups: list[ParameterGroup], width: int) -> list[Line]:
    """What the optimizer treats alike: a table, or one entry a group where a table is too wide."""
    if not groups:
        return []
    head: list[Line] = [[], [("what the optimizer treats alike", "label")]]
    table = align([GROUP_HEAD, *(group.cells for group in groups)], right=frozenset({2, 3, 4})).split("\n")
    if max(map(len, table)) <= width:
        return [*head, [(table[0], "label")], *[[(row, "value")] for row in table[1:]]]
    lines = head
    for group in groups:
        name, optimizer, tensors, parameters, decay = group.cells
        text = f"{optimizer}, {tensors} tensors, {parameters} parameters, weight decay {decay}"
        lines += [[(name, "value")], *[[("  " + piece, "label")] for piece in wrap(text, width - 2)]]
    return lines
