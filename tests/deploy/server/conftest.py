"""A real server in a process of its own, on a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from served import CONTEXT, Serve, Server
from tiny_runs import tiny_config, trained, write_text

from tui_trainer.runs.directory import RunDirectory


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that knows 128 tokens of context and has a checkpoint."""
    folder = tmp_path_factory.mktemp("served")
    shape = {"context_length": CONTEXT}
    training = {"max_steps": 4, "eval_interval": 2, "batch_size": 2}
    return trained(tiny_config(write_text(folder), model=shape, training=training), folder / "run")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts servers, and ends those that are left."""
    processes = []
    folder = tmp_path_factory.mktemp("servers")

    def start(run: RunDirectory, *options: str, program: str = "", key: str | None = None, **environ: str) -> Server:
        log = folder / f"{len(processes)}.log"
        command = [sys.executable, *(["-c", program] if program else ["-m", "tui_trainer"])]
        command += ["serve", str(run.path), "--port", "0", *options]
        environ = {"TUI_TRAINER_API_KEY": key or "", **environ}
        with log.open("w") as written:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=written, text=True, env=os.environ | environ
            )
        processes.append(process)
        assert process.stdout
        greeting = process.stdout.readline() + process.stdout.readline()
        assert " answers " in greeting, log.read_text()
        return Server(process, greeting, log, key)

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def server(serve: Serve, tiny_run: RunDirectory) -> Server:
    """One for all tests that leave it as it was."""
    return serve(tiny_run)
