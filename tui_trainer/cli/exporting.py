"""`tui-trainer export`: a run as a model that other programs load."""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from tui_trainer.deploy.export.folder import refuse_occupied
from tui_trainer.deploy.export.request import check_request
from tui_trainer.errors import UserError
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.runs.catalogue import find_run


def export(
    run_name: str, form: str, target: Path, quantize: str | None, checkpoint: str, data: tuple[str, ...] = ()
) -> None:
    """Exports a checkpoint and prints what was measured; `data` is where the run's text is now, if it has moved.

    Raises:
        UserError: for a run, a checkpoint, a format or a place that cannot be used, or a tolerance that is missed.
    """
    if checkpoint not in ("best", "last"):
        raise UserError(f"--checkpoint {checkpoint}: must be best or last")
    check_request(form, quantize)
    run = find_run(run_name)
    refuse_occupied(target)

    from tui_trainer.deploy.export.export import export_model
    from tui_trainer.deploy.export.source import load_source

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _leave)
    source = load_source(run, "last" if checkpoint == "last" else "best", data)
    card = export_model(source, form, target, quantize=quantize, now=datetime.now().astimezone(), say=_say)
    for found in card.agreements:
        _print(
            f"{found.runtime}: largest logit difference {found.max_difference:.2g}, "
            f"{found.greedy_agreed} of {found.greedy_tokens} greedy tokens equal"
        )
    for change in card.perplexities:
        cost = f"{change.before:.3f} → {change.after:.3f} ({change.change:+.2%}, accepted up to {change.limit:+.0%})"
        _print(f"{change.runtime}: validation perplexity {cost}")
    _print(f"{sum(file.bytes for file in card.files) / 1e6:,.1f} MB in {target}; the card is EXPORT.md")


def _leave(number: int, _frame: object) -> NoReturn:
    """Unwinds, so that what is half-written goes."""
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{safe_line(text)} …\n")


def _print(text: str) -> None:
    sys.stdout.write(f"{safe_line(text)}\n")
