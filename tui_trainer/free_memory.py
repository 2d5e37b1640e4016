"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where a container finds its share of the machine."""


def free_memory_bytes() -> int:
    """What is free on this machine, or in this process's share of it."""
    import psutil  # 30 ms, which the first paint of the picker does not need

    free = int(psutil.virtual_memory().available)
    limit, used = _number_in(CONTROL_GROUP / "memory.max"), _number_in(CONTROL_GROUP / "memory.current")
    if limit is None or used is None:
        return free
    return min(free, max(0, limit - used + _reclaimable(CONTROL_GROUP / "memory.stat")))


def _number_in(path: Path) -> int | None:
    """A figure of the container this runs in, or None when there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(path: Path) -> int:
    """Bytes of files that the kernel keeps only as long as nobody needs the room: the text was read a moment ago."""
    try:
        figures = dict(line.split() for line in path.read_text().splitlines())
        return int(figures.get("inactive_file", 0))
    except (OSError, ValueError):
        return 0
