"""GGUF in llama.cpp itself. Only where `pip install llama-cpp-python` was done, which compiles for ten minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_trainer.deploy.export.check import GREEDY_TOKENS, SAMPLE, own_logits

llama_cpp: Any = pytest.importorskip("llama_cpp")

TOLERANCE = 1e-3
"""Of logits up to six; llama.cpp looks GELU up in a table of half precision."""


class Llama:
    def __init__(self, file: Path, context_length: int) -> None:
        self._llama = llama_cpp.Llama(str(file), n_ctx=context_length, logits_all=True, verbose=False, n_threads=2)

    def encode(self, text: str) -> list[int]:
        return self._llama.tokenize(text.encode(), add_bos=False, special=False)

    def logits(self, ids: list[int]) -> np.ndarray:
        self._llama.reset()
        self._llama.eval(ids)
        return np.array(self._llama.scores[: len(ids)])


@pytest.mark.parametrize("text", [SAMPLE, "a", "한국어 😀 é\0", "a\tb\n\n\nc   d"])
def test_llama_cpp_reads_and_writes_as_the_network_does(text: str, export, make_source, tmp_path: Path) -> None:
    source = make_source()
    context = source.config.model.context_length
    export("gguf", tmp_path / "out")
    llama = Llama(tmp_path / "out" / "model.gguf", context)
    ids = llama.encode(text)
    assert ids == source.tokenizer.encode(text).tolist()
    ids = ids[: context - 1]
    np.testing.assert_allclose(llama.logits(ids), own_logits(source.model, np.array([ids]))[0], atol=TOLERANCE)
    for _ in range(min(GREEDY_TOKENS, context - len(ids))):
        likeliest = int(own_logits(source.model, np.array([ids]))[0, -1].argmax())
        assert int(llama.logits(ids)[-1].argmax()) == likeliest
        ids.append(likeliest)
