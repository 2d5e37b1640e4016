"""What serving costs: the first token, sixteen streams at once, and the steps of a run that trains meanwhile.

    python benchmarks/server.py [--firsts 100] [--rounds 6] [--seconds 10] [--tokens 16]

Goals on two CPU cores: at most 5 ms more to the first token than from a TextGenerator in this process, a model of ten
million parameters, in turn; sixteen streams without an error; steps at most 20 % longer while one request a second is
answered from the run that trains.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy: here and there the same

import argparse
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from watched_program import endless, events_of, wait_for_step

PROMPT = "The value of a measurement lies in its being repeated, and repeated by others. "


def make_run(folder: Path) -> Path:
    """A run of ten million random weights."""
    import torch

    from tui_trainer.checkpoints import CheckpointStore
    from tui_trainer.config import parse_config
    from tui_trainer.data.tokenizers import ByteTokenizer
    from tui_trainer.model import GPT
    from tui_trainer.runs.directory import create_run

    model = {"n_layer": 6, "n_head": 6, "n_embd": 384, "context_length": 256}
    config = parse_config({"model": model, "data": {"paths": ["none"], "tokenizer": "bytes"}}, "benchmark")
    run = create_run(config, "benchmark", folder, datetime.now(UTC))
    ByteTokenizer().save(run.tokenizer)
    torch.manual_seed(0)
    tensors = {f"model.{name}": tensor for name, tensor in GPT(config.model, 256).state_dict().items()}
    CheckpointStore(run.checkpoints).save(1, tensors, {}, {"val_loss": 5.0}, is_best=True, keep=1)
    return run.path


class Served:
    """`tui-trainer serve` in a process of its own, and a connection to it that stays open."""

    def __init__(self, run: Path) -> None:
        command = [sys.executable, "-m", "tui_trainer", "serve", str(run), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        greeting, _ = self.process.stdout.readline(), self.process.stdout.readline()
        self.model, self.port = greeting.split(",")[0], int(greeting.split("/v1;")[0].rsplit(":", 1)[1])

    def stream(self, connection: http.client.HTTPConnection, tokens: int) -> Iterator[bytes]:
        """The lines of an answer."""
        body = {"model": self.model, "prompt": PROMPT, "max_tokens": tokens, "stream": True}
        connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.read()!r}")
        while line := answer.readline():
            yield line

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def measure_first_tokens(run: Path, served: Served, count: int) -> None:
    """Alternately from the generator and from the server; both have loaded the model and spoken before."""
    from tui_trainer.inference.generator import TextGenerator
    from tui_trainer.inference.settings import SamplingSettings
    from tui_trainer.runs.directory import RunDirectory

    generator, settings = TextGenerator(RunDirectory(run)), SamplingSettings(1.0, 0, 1.0, 2)
    connection = served.connect()
    direct, over_http = [], []
    for _ in range(count + 5):
        started = time.perf_counter()
        pieces = generator.pieces(PROMPT, settings)
        next(pieces)
        direct.append(time.perf_counter() - started)
        list(pieces)
        started = time.perf_counter()
        lines = served.stream(connection, 2)
        next(lines)
        over_http.append(time.perf_counter() - started)
        list(lines)
    here, there = (1000 * statistics.median(seconds[5:]) for seconds in (direct, over_http))
    more = 1000 * statistics.median(b - a for a, b in zip(direct[5:], over_http[5:], strict=True))
    print(f"first token: {here:.2f} ms here, {there:.2f} ms over HTTP; {more:+.2f} ms a pair (goal: ≤ +5)", flush=True)


def measure_streams(served: Served, count: int = 16, tokens: int = 100) -> None:
    """All at once."""
    failures: list[str] = []
    chunks: list[int] = []

    def read() -> None:
        try:
            lines = list(served.stream(served.connect(), tokens))
            chunks.append(sum(line.startswith(b"data: {") for line in lines))
            if lines[-2:] != [b"data: [DONE]\n", b"\n"]:
                failures.append("no end")
        except (RuntimeError, OSError) as error:
            failures.append(str(error))

    started = time.perf_counter()
    readers = [threading.Thread(target=read) for _ in range(count)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    rate = count * tokens / (time.perf_counter() - started)
    print(f"{count} streams of {tokens} tokens: {len(failures)} errors, {rate:.0f} tokens/s together", flush=True)


@contextlib.contextmanager
def asked_each_second(served: Served, tokens: int) -> Iterator[list[int]]:
    """The tokens of each answer, while in the block; the next question does not wait for the answer before."""
    answers: list[int] = []
    readers: list[threading.Thread] = []
    is_over = threading.Event()

    def ask() -> None:
        with contextlib.suppress(RuntimeError, OSError):  # refused: there is no room
            answers.append(sum(line.startswith(b"data: {") for line in served.stream(served.connect(), tokens)))

    def tick() -> None:
        while not is_over.wait(1.0):
            readers.append(threading.Thread(target=ask))
            readers[-1].start()

    asking = threading.Thread(target=tick)
    asking.start()
    yield answers
    is_over.set()
    asking.join()
    for reader in readers:
        reader.join()


def step_milliseconds(run: Path, first: float, last: float) -> float:
    """The mean time of a step between two points of wall-clock time."""
    times = [event["time"] for event in events_of(run, "StepCompleted") if first <= event["time"] <= last]
    return 1000 * (times[-1] - times[0]) / (len(times) - 1)


def measure_steps(folder: Path, rounds: int, seconds: float, tokens: int) -> None:
    """Alternately alone and asked once a second; the server started after the training, then before it."""
    run = folder / "training"
    served = None
    commands = {"after": [*endless(run)], "before": ["resume", str(run)]}
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    for order, command in commands.items():
        training = subprocess.Popen(
            [sys.executable, "-m", "tui_trainer", *command, "--headless"], stdout=subprocess.DEVNULL, env=environment
        )
        try:
            wait_for_step(run, 50)
            served = served or Served(run)
            time.sleep(10 if order == "before" else 1)  # until the resumed training has settled
            alone, beside, answers = [], [], 0
            for _ in range(rounds):
                started = time.time()
                time.sleep(seconds)
                alone.append(step_milliseconds(run, started, time.time()))
                started = time.time()
                with asked_each_second(served, tokens) as answered:
                    time.sleep(seconds)
                    beside.append(step_milliseconds(run, started, time.time()))
                answers += len(answered)
        finally:
            training.terminate()
            training.wait()
        growth = statistics.median(after / before - 1 for before, after in zip(alone, beside, strict=True))
        print(
            f"a step: {statistics.median(alone):.1f} ms alone, {statistics.median(beside):.1f} ms while {answers} "
            f"requests of {tokens} tokens in {rounds * seconds:.0f} s were answered by a server started {order} the "
            f"training: {growth:+.0%} (goal: ≤ +20 %)",
            flush=True,
        )
    served.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firsts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--tokens", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = make_run(folder / "run")
        served = Served(run)
        measure_first_tokens(run, served, arguments.firsts)
        measure_streams(served)
        served.end()
        measure_steps(folder, arguments.rounds, arguments.seconds, arguments.tokens)


if __name__ == "__main__":
    main()
