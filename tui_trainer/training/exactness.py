"""What decides the last bit of every figure beside the run itself: a resume elsewhere is close, not identical."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch

from tui_trainer.training.learner import Learner

NAMES = {
    "device": "device",
    "precision": "precision",
    "threads": "threads",
    "torch": "torch",
    "instructions": "processor instructions",
    "processor": "processor",
    "machine": "machine type",
}


def describe_machine(learner: Learner) -> dict[str, Any]:
    """What a checkpoint remembers: two runs for which all of this is the same have the same bits."""
    device = learner.device
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": learner.precision.name,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor(),
        "machine": platform.machine(),
    }


def _processor() -> str:
    """Its name: libraries choose their kernels by maker and model, not by instructions alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def find_differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What is another now, in words; empty when the resume is exact."""
    if before.get("device") == now["device"] != "cpu":
        return f"{now['device']} adds in another order each time"
    return ", ".join(
        f"{words} {before[name]} → {now[name]}"
        for name, words in NAMES.items()
        if name in before and before[name] != now[name]
    )


def settle_threads(before: int | None) -> None:
    """As many threads as the run has had: sums are cut at their number.

    A number that somebody set in the environment wins, and so does a machine with fewer processors, on which more
    threads than processors would wait for each other.
    """
    if before and "OMP_NUM_THREADS" not in os.environ and before <= (psutil.cpu_count() or 1):
        torch.set_num_threads(before)
