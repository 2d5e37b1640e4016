"""How busy the machine is, a few times a minute."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
import torch

from tui_trainer.events import HardwareSampled

INTERVAL_SECONDS = 5.0


class HardwareMeter:
    """Looks at the processor, the memory and the GPU, at most every five seconds: a look takes a quarter of a ms."""

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins to count; the first figure is that of the first five seconds."""
        self._device = device
        self._clock = clock
        self._looked_at = clock()
        self._process = psutil.Process()
        psutil.cpu_percent()

    def look(self, step: int) -> HardwareSampled | None:
        """The load since the last look, or None when that was just now."""
        now = self._clock()
        if now - self._looked_at < INTERVAL_SECONDS:
            return None
        self._looked_at = now
        gpu_bytes, gpu_total_bytes = gpu_memory(self._device)
        return HardwareSampled(
            step=step,
            cpu_percent=psutil.cpu_percent(),
            memory_bytes=self._process.memory_info().rss,
            memory_total_bytes=psutil.virtual_memory().total,
            gpu_percent=gpu_percent(self._device),
            gpu_memory_bytes=gpu_bytes,
            gpu_memory_total_bytes=gpu_total_bytes,
        )


def gpu_percent(device: torch.device) -> float | None:
    """How much of the time the GPU computed lately; None where nobody can tell."""
    if device.type != "cuda":
        return None
    try:
        return float(torch.cuda.utilization(device))
    except Exception:  # noqa: BLE001 - NVML's own errors are of no class that can be named where it is missing
        return None


def gpu_memory(device: torch.device) -> tuple[int | None, int | None]:
    """Bytes of the GPU that are taken, by whomever, and all it has; None where there is no such memory."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    if device.type == "mps":
        return torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory()
    return None, None
