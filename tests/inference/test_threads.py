"""The limit on NumPy's threads belongs to the whole process, whoever else writes in it."""

import threading
from contextlib import ExitStack, suppress
from itertools import permutations

import numpy as np  # noqa: F401 - whose threads are counted
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from tiny_runs import tiny_config, trained, write_text

from tui_trainer.inference.generator import TextGenerator
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.threads import on_one_core


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}


@pytest.fixture(autouse=True)
def two_threads():
    """Also where the tests are run with one."""
    with threadpool_limits(2):
        yield
        assert blas_threads() == {2}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_last_to_leave_lifts_it(order):
    stacks = [ExitStack() for _ in range(3)]
    for stack in stacks:
        stack.enter_context(on_one_core())
    for place in order:
        assert blas_threads() == {1}
        stacks[place].close()
    assert blas_threads() == {2}


def test_a_failure_lifts_it():
    with on_one_core(), suppress(ZeroDivisionError), on_one_core():
        raise ZeroDivisionError
    assert blas_threads() == {2}


def test_many_threads_that_come_and_go():
    def come_and_go() -> None:
        for _ in range(50):
            with on_one_core():
                seen.append(blas_threads())

    seen: list[set[int]] = []
    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{1}] * 200 and blas_threads() == {2}


@pytest.mark.parametrize("ending", ["cancelled", "abandoned", "failed"])
def test_paced_answers_that_overlap(tmp_path, ending, monkeypatch):
    """The panel starts the next answer while the one before is still at its last token."""
    run = trained(tiny_config(write_text(tmp_path), training={"max_steps": 2, "batch_size": 2}), tmp_path / "run")
    generator, is_cancelled = TextGenerator(run), threading.Event()
    settings = SamplingSettings(max_new_tokens=5)
    first = generator.stream("a", settings, is_cancelled.is_set, 1000)
    second = generator.stream("b", settings, tokens_per_second=1000)
    next(first)
    next(second)
    if ending == "abandoned":
        first.close()
    elif ending == "cancelled":
        is_cancelled.set()
        assert list(first) == []
    else:
        with monkeypatch.context() as patch:
            patch.setattr("tui_trainer.inference.generator.write_next", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                next(first)
    assert blas_threads() == {1}
    list(second)
    assert blas_threads() == {2}
