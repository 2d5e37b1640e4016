"""Small files that other processes read while they are replaced."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room: on the disk, in this user's share of it, or below the largest file that the system allows."""


def is_full_disk(error: OSError) -> bool:
    """Whether a write failed for want of room."""
    return error.errno in FULL_DISK


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file so that a reader sees the old content or the new, never a part.

    It survives the death of the process, not of the machine: checkpoints have their own, stricter recipe.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None when there is no such file or it holds something else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
