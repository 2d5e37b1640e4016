"""What is to be said about a start, before the first step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """Advice about this start: it stands until the next save."""

    rule: str
    evidence: str
    remedy: str
