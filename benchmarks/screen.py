"""What the screen costs: tokens/s with it over headless, and bytes/s to the terminal.

    python benchmarks/screen.py [--rounds 6] [--steps 800] [--size 120x40]
    python benchmarks/screen.py --replay RUN [--rate 50] [--seconds 60] [--size 200x50] [--keys ++]

Runs `quick-test` by turns without and with the screen in a real pseudo-terminal, and prints the ratio of each pair.
With --replay, the log of a run is written again at so many steps a second of wall time while `attach` shows it, so that
bytes do not depend on how fast this machine trains; --keys are pressed at first.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from watched_program import WatchedProgram

from tui_trainer.runs.status import Status, write_status

WARM_UP_STEPS = 200
WARM_UP_SECONDS = 10.0
WINDOW_SECONDS = 10.0


def command(run_dir: Path, steps: int) -> list[str]:
    settings = [f"training.max_steps={steps}", "training.eval_interval=1000000", "training.epochs=1000"]
    return [
        sys.executable, "-m", "tui_trainer", "train", "quick-test", "--run-dir", str(run_dir),
        *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip


def steps_of(run_dir: Path) -> list[dict[str, float]]:
    lines = (run_dir / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "StepCompleted"]


def state_of(run_dir: Path) -> str:
    try:
        return str(json.loads((run_dir / "status.json").read_text())["state"])
    except FileNotFoundError:
        return "starting"


def speed_of(run_dir: Path) -> float:
    """Tokens a second between the warm-up and the last step, evaluations at epoch ends included."""
    steps = steps_of(run_dir)
    first, last = steps[WARM_UP_STEPS], steps[-1]
    return (last["tokens_seen"] - first["tokens_seen"]) / (last["elapsed_seconds"] - first["elapsed_seconds"])


def run_headless(steps: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        subprocess.run([*command(run_dir, steps), "--headless"], check=True, stdout=subprocess.DEVNULL)
        return speed_of(run_dir)


def run_on_screen(steps: int, columns: int, rows: int) -> tuple[float, float, float]:
    """Tokens/s, and median and highest bytes/s over the seconds of steady training."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ |= {"TERM": "xterm-256color", "TUI_TRAINER_THEME": "dark"}
            os.execv(sys.executable, command(run_dir, steps))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        per_second: dict[int, int] = {}
        while (
            not (run_dir / "events.jsonl").exists()
            or "RunFinished" not in (run_dir / "events.jsonl").read_text()[-400:]
        ):
            ready, _, _ = select.select([terminal], [], [], 0.5)
            if ready:
                second = int(time.monotonic())
                per_second[second] = per_second.get(second, 0) + len(os.read(terminal, 1 << 16))
        time.sleep(1.5)
        os.write(terminal, b"q")
        drain(terminal)
        os.waitpid(pid, 0)
        steady = list(per_second.values())[8:-2]
        return speed_of(run_dir), statistics.median(steady), max(steady)


def replay(source: Path, rate: float, seconds: float, columns: int, rows: int, keys: str) -> tuple[float, float]:
    """Mean bytes/s to the terminal after the warm-up, and those of the ten seconds with the most."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / source.name
        shutil.copytree(source, run_dir)
        lines = (run_dir / "events.jsonl").read_bytes().splitlines(keepends=True)
        steps, written = 0, 0
        with (run_dir / "events.jsonl").open("wb", buffering=0) as log:
            program: WatchedProgram | None = None
            started = time.perf_counter()
            while (past := time.perf_counter() - started) < WARM_UP_SECONDS + seconds and written < len(lines):
                while written < len(lines) and steps <= rate * past:
                    log.write(lines[written])
                    steps += b'"StepCompleted"' in lines[written]
                    written += 1
                now = time.time()
                status = Status("running", phase="training", step=steps, heartbeat=now, progressed_at=now)
                write_status(run_dir / "status.json", status)
                if program is None and past > 1:
                    program = WatchedProgram("attach", str(run_dir), columns=columns, rows=rows)
                if keys and past > WARM_UP_SECONDS / 2 and program:
                    program.press(keys)
                    keys = ""
                time.sleep(0.1)
        assert program is not None
        first, end = started + WARM_UP_SECONDS, time.perf_counter()
        starts = [first + second for second in range(max(1, int(end - first - WINDOW_SECONDS)))]
        most = max(program.bytes_between(start, start + WINDOW_SECONDS) for start in starts) / WINDOW_SECONDS
        mean = program.bytes_between(first, end) / (end - first)
        program.end()
        return mean, most


def drain(terminal: int) -> None:
    while True:
        try:
            if not os.read(terminal, 1 << 16):
                return
        except OSError:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--keys", default="")
    arguments = parser.parse_args()
    columns, rows = map(int, arguments.size.split("x"))
    if arguments.replay:
        mean, most = replay(arguments.replay, arguments.rate, arguments.seconds, columns, rows, arguments.keys)
        print(f"{arguments.size} {arguments.keys}: terminal {mean:,.0f} B/s, {most:,.0f} B/s in the worst ten seconds")
        return
    ratios = []
    for number in range(arguments.rounds):
        if number % 2:  # the order changes, so that a machine that slows down favours neither
            screen, steady, peak = run_on_screen(arguments.steps, columns, rows)
            headless = run_headless(arguments.steps)
        else:
            headless = run_headless(arguments.steps)
            screen, steady, peak = run_on_screen(arguments.steps, columns, rows)
        ratios.append(screen / headless)
        print(
            f"round {number + 1}: headless {headless:,.0f} tok/s, screen {screen:,.0f} tok/s, ratio {ratios[-1]:.3f}; "
            f"terminal {steady:,.0f} B/s (median), {peak:,.0f} B/s (peak)",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.3f} (goal: at least 0.97)")


if __name__ == "__main__":
    main()
