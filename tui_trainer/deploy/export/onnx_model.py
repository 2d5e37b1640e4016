"""ONNX: two graphs of the network, and onnxruntime that runs them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import tui_trainer
from tui_trainer.deploy.export.check import Ids, Logits, write_greedily
from tui_trainer.deploy.export.hugging_face import write_description, write_own
from tui_trainer.deploy.export.onnx_writer import FULL_FILE, PAST_FILE, SOURCE_FOLDER
from tui_trainer.deploy.export.source import Source
from tui_trainer.deploy.optional_packages import require
from tui_trainer.errors import UserError

WRITER = "tui_trainer.deploy.export.onnx_writer"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write_onnx(source: Source, folder: Path) -> None:
    """The graphs, with the tokenizer and the description that Hugging Face's tools look for."""
    require(*PACKAGES)
    write_description(source, folder)
    (folder / SOURCE_FOLDER).mkdir()
    write_own(source, folder / SOURCE_FOLDER)
    command = [sys.executable, "-m", WRITER, str(folder)]
    # Python looks into the current folder first, and a file there may be called onnx.py.
    place = Path(tui_trainer.__file__).parent.parent
    done = subprocess.run(
        command, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    shutil.rmtree(folder / SOURCE_FOLDER)
    if done.returncode or not (folder / PAST_FILE).is_file():
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"torch could not write the ONNX graph (exit code {done.returncode})\n{last[:200]}")


class OnnxRuntime:
    """Both graphs in onnxruntime, on the CPU."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Loads the graphs.

        Args:
            folder: with both graphs, and tokenizer.json.
            threads: 0: as many as onnxruntime takes by itself.
        """
        onnxruntime: Any = import_module("onnxruntime")
        tokenizers: Any = import_module("tokenizers")
        self.name = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._full, self._past = (
            onnxruntime.InferenceSession(folder / file, options, providers=["CPUExecutionProvider"])
            for file in (FULL_FILE, PAST_FILE)
        )
        self._names = [entry.name for entry in self._past.get_inputs()][1:]
        _, self._heads, _, self._width = self._past.get_inputs()[1].shape
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    def logits(self, tokens: Ids) -> Logits:
        answer: Logits = self._full.run(["logits"], {"input_ids": tokens})[0]
        return answer

    def cached_logits(self, tokens: Ids, past: list[Logits] | None) -> tuple[Logits, list[Logits]]:
        """The logits (B, T, V) of tokens after what `past` holds, and what holds them too."""
        if past is None:
            empty = np.zeros((len(tokens), self._heads, 0, self._width), np.float32)
            past = [empty for _ in self._names]
        answer, *present = self._past.run(None, {"input_ids": tokens, **dict(zip(self._names, past, strict=True))})
        return answer, present

    def write(self, ids: list[int], count: int) -> list[int]:
        """By the graph with the past: the prompt at once, then token by token."""
        written: list[int] = []
        tokens, past = np.array([ids], np.int64), None
        for _ in range(count):
            logits, past = self.cached_logits(tokens, past)
            written.append(write_greedily(logits[0]))
            tokens = np.array([written[-1:]], np.int64)
        return written

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


class PastRuntime(OnnxRuntime):
    """The graph with the past alone: half of the tokens first, the rest after them."""

    def __init__(self, folder: Path) -> None:
        """Loads the graphs."""
        super().__init__(folder)
        self.name += f" ({PAST_FILE})"

    def logits(self, tokens: Ids) -> Logits:
        half = tokens.shape[1] // 2
        if half == 0:
            return self.cached_logits(tokens, None)[0]
        first, past = self.cached_logits(tokens[:, :half], None)
        return np.concatenate((first, self.cached_logits(tokens[:, half:], past)[0]), axis=1)
