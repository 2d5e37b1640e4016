"""What a neighbour costs: step time alone, beside a paced generation, and beside one busy process.

    python benchmarks/contention.py [--rounds 3] [--steps 250] [--spin default 10000 1000]

OpenMP's threads wait for each other by spinning. With as many of them as cores, any third party makes all wait for
the one that lost its core. `--spin` tries values of GOMP_SPINCOUNT.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LIMIT_SECONDS = 40
PACE = 20.0
"""Tokens a second, as the prompt panel writes while a run trains."""


def measure_here(company: str, steps: int) -> None:
    """Trains quick-test in this process and prints its median step in milliseconds."""
    from tui_trainer.events import StepCompleted
    from tui_trainer.inference.generator import TextGenerator
    from tui_trainer.inference.settings import SamplingSettings
    from tui_trainer.presets import load_preset
    from tui_trainer.runs.event_log import EventLogReader
    from tui_trainer.training.launch import NewRun, launch

    overrides = [f"training.max_steps={steps}", "training.eval_interval=1000000", "training.epochs=1000"]
    with tempfile.TemporaryDirectory() as folder:
        handle = launch(NewRun(load_preset("quick-test").changed(overrides, []).config, "x", Path(folder) / "run"))
        while handle.is_alive() and not (handle.run_dir and (handle.run_dir.checkpoints / "best.json").exists()):
            time.sleep(0.1)
        assert handle.run_dir, handle.failure
        run = handle.run_dir

        def talk() -> None:
            generator = TextGenerator(run)
            while handle.is_alive():
                text = generator.stream("The ", SamplingSettings(), lambda: not handle.is_alive(), PACE)
                for _ in text:
                    pass

        if company == "generation":
            threading.Thread(target=talk, daemon=True).start()
        handle.join(LIMIT_SECONDS)
        handle.stop()
        handle.join()
        events = [record.event for record in EventLogReader(run.event_log).read(1 << 24)]
        tokens = [256 / event.tokens_per_second for event in events if isinstance(event, StepCompleted)]
        print(f"{1000 * statistics.mean(tokens[len(tokens) // 5 :]):.2f}")


def measure(company: str, steps: int, spin: str) -> float:
    """Mean milliseconds a step in a process of its own."""
    environment = os.environ | ({} if spin == "default" else {"GOMP_SPINCOUNT": spin})
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if company == "busy process" else None
    try:
        command = [sys.executable, __file__, "--here", company, "--steps", str(steps)]
        return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    finally:
        if neighbour:
            neighbour.kill()
            neighbour.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--spin", nargs="+", default=["default", "10000", "1000"])
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure_here(arguments.here, arguments.steps)
        return
    for company in ("nobody", "generation", "busy process"):
        found: dict[str, list[float]] = {spin: [] for spin in arguments.spin}
        for _ in range(arguments.rounds):
            for spin in arguments.spin:
                found[spin].append(measure(company, arguments.steps, spin))
        row = "   ".join(f"{spin}: {statistics.median(times):6.1f}" for spin, times in found.items())
        print(f"mean ms a step beside {company:<13} {row}", flush=True)


if __name__ == "__main__":
    main()
