"""Values that were written by this version or by another one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def known_of(kind: type[Any], state: dict[str, Any]) -> dict[str, Any]:
    """The entries that a dataclass has a field for; the others are left out, and what is missing has its default."""
    return {each.name: state[each.name] for each in fields(kind) if each.name in state}
