"""The thread that owns the model: turns, cancelling, what a slow client costs."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.deploy.server.engine import Engine
from tui_trainer.deploy.server.job import Job, Part, Wish
from tui_trainer.deploy.server.limits import Limits
from tui_trainer.deploy.server.refusal import Refusal
from tui_trainer.errors import UserError
from tui_trainer.inference.generator import TextGenerator
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.runs.directory import RunDirectory


class SteppedGenerator(TextGenerator):
    """The real one, which makes a token only when the test lets it."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.may_go, self.has_gone = threading.Semaphore(0), threading.Semaphore(0)
        self.made: list[str] = []

    def pieces(self, prompt, *rest, **named) -> Iterator:
        for piece in super().pieces(prompt, *rest, **named):
            self.may_go.acquire()
            self.made.append(prompt)
            yield piece
            self.has_gone.release()  # not before the engine has handed it over

    def go(self, tokens: int) -> None:
        for _ in range(tokens):
            self.may_go.release()


@pytest.fixture
def stepped(tiny_run):
    generator = SteppedGenerator(tiny_run)
    engine = Engine(lambda: generator, lambda: False, Limits(), print)
    engine.start()
    yield engine, generator
    engine.close()
    generator.go(1000)
    engine.join(10)
    assert not engine.is_alive()


def job_of(prompt: str, tokens: int = 50, texts: int = 1) -> Job:
    settings = SamplingSettings(max_new_tokens=tokens)
    return Job([Wish(index, prompt, settings) for index in range(texts)])


async def wait_until(is_true) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.005)


async def test_two_take_turns_and_the_third_waits(stepped):
    engine, generator = stepped
    for prompt in "abc":
        engine.submit(job_of(prompt))
    generator.go(11)
    await wait_until(lambda: len(generator.made) == 11)
    assert sorted((generator.made.count("a"), generator.made.count("b"))) == [5, 6] and "c" not in generator.made


async def test_at_most_one_token_after_the_client_left(stepped):
    engine, generator = stepped
    job = job_of("a", texts=4)
    engine.submit(job)
    generator.go(7)
    await wait_until(lambda: len(generator.made) == 7)
    engine.cancel(job)
    engine.submit(job_of("b", tokens=5))
    generator.go(20)
    await wait_until(lambda: generator.made.count("b") == 5)
    assert generator.made.count("a") <= 8


async def test_who_leaves_the_line_makes_room(stepped):
    engine, _ = stepped
    jobs = [job_of("a") for _ in range(Limits().slots + Limits().waiting)]
    for job in jobs:
        engine.submit(job)
    assert engine.is_full()
    with pytest.raises(Refusal) as caught:
        engine.submit(job_of("a"))
    assert caught.value.status == 429
    engine.cancel(jobs[10])
    assert not engine.is_full()
    engine.submit(job_of("a"))


async def test_those_who_wait_hear_of_the_end(stepped):
    engine, generator = stepped
    jobs = [job_of("a") for _ in range(5)]
    for job in jobs:
        engine.submit(job)
    engine.close()
    generator.go(10)
    for job in jobs:
        with pytest.raises(Refusal) as caught:
            await asyncio.wait_for(anext(part async for part in job.parts() if not part.text), 10)
        assert caught.value.status == 503
    with pytest.raises(Refusal):
        engine.submit(job_of("a"))


async def test_what_a_slow_client_did_not_take_is_joined():
    job = job_of("a", texts=2)
    for index, text, finish in ((0, "a", None), (0, "b", "length"), (1, "c", None), (1, "", None), (1, "d", "stop")):
        job.put(Part(index, text, 1, finish))
    job.end()
    assert [part async for part in job.parts()] == [Part(0, "ab", 2, "length"), Part(1, "cd", 3, "stop")]


class WatchedGenerator(TextGenerator):
    """Notes how it is asked to load."""

    def refresh(self, *, is_alone: bool):
        self.was_alone = is_alone
        return super().refresh(is_alone=is_alone)


async def texts_of(job: Job) -> dict[int, str]:
    texts: dict[int, str] = {}
    async for part in job.parts():
        texts[part.index] = texts.get(part.index, "") + part.text
    return texts


async def test_it_is_sparing_while_somebody_trains(tiny_run, monkeypatch):
    """An eighth of the time of one core is its share."""
    seconds, tokens_on_one_core = [], []

    @contextmanager
    def watch() -> Iterator[None]:
        tokens_on_one_core[-1] += 1
        yield

    monkeypatch.setattr("tui_trainer.deploy.server.engine.on_one_core", watch)
    for is_training in (False, True):
        tokens_on_one_core.append(0)
        generator = WatchedGenerator(tiny_run)
        engine = Engine(lambda: generator, lambda: is_training, Limits(), print)  # noqa: B023
        engine.start()
        assert generator.was_alone is not is_training
        job = job_of("a", tokens=10)
        started = asyncio.get_running_loop().time()
        engine.submit(job)
        assert sum([part.tokens async for part in job.parts()]) == 10
        seconds.append(asyncio.get_running_loop().time() - started)
        assert generator.was_alone is not is_training
        engine.close()
        engine.join(10)
    assert seconds[1] > 3 * seconds[0]
    assert tokens_on_one_core[0] == 0 and tokens_on_one_core[1] >= 10


async def test_it_becomes_sparing_in_the_middle_of_a_text(tiny_run):
    is_training = threading.Event()
    engine = Engine(lambda: TextGenerator(tiny_run), is_training.is_set, Limits(), print)
    engine.start()
    job = job_of("a", tokens=400)
    engine.submit(job)
    parts = job.parts()
    await anext(parts)
    is_training.set()
    await anext(parts)
    await wait_until(lambda: engine._is_sparing)
    engine.cancel(job)
    engine.close()
    engine.join(10)


async def test_one_answer_has_one_speaker(tiny_run, tmp_path):
    """Also when a better checkpoint comes, and with it another request, before all its texts are written."""
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    generator = SteppedGenerator(run)
    engine = Engine(lambda: generator, lambda: False, Limits(), print)
    engine.start()
    greedy = SamplingSettings(max_new_tokens=20, temperature=0)
    first = Job([Wish(0, "a", greedy), Wish(1, "a", greedy)])
    engine.submit(first)
    generator.go(5)
    await wait_until(lambda: len(generator.made) == 5)
    spoil(run, step=99)
    second = Job([Wish(0, "a", greedy)])
    engine.submit(second)
    generator.go(1000)
    texts, others = await texts_of(first), await texts_of(second)
    assert texts[0] == texts[1] != others[0]
    assert (first.step, second.step) == (4, 99)
    engine.close()
    engine.join(10)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (MemoryError(), "goes on speaking: memory ran out"),
        (RuntimeError("CUDA out of memory"), "goes on speaking: memory ran out"),
        (RuntimeError("size mismatch"), "RuntimeError: size mismatch"),
        (UserError("its checkpoint is torn"), "goes on speaking: its checkpoint is torn"),
    ],
)
async def test_a_new_best_that_cannot_be_loaded_leaves_the_old_one_speaking(tiny_run, monkeypatch, failure, said):
    """It is said once, not for every request, and again when it happens again."""
    generator, log = TextGenerator(tiny_run), []
    engine = Engine(lambda: generator, lambda: False, Limits(), log.append)
    engine.start()

    def fail(*, is_alone: bool) -> None:
        raise failure

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(generator, "refresh", fail)
            for _ in range(3):
                job = job_of("a", tokens=3)
                engine.submit(job)
                assert sum([part.tokens async for part in job.parts()]) == 3 and engine.is_alive()
        job = job_of("a", tokens=1)
        engine.submit(job)
        await texts_of(job)
    assert len(log) == 2 and all(said in line for line in log)
    engine.close()
    engine.join(10)
    assert not engine.has_died


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("[enforce fail] not enough memory")])
def test_a_model_that_does_not_fit_is_not_served(failure):
    def fail() -> TextGenerator:
        raise failure

    engine = Engine(fail, lambda: False, Limits(), print)
    with pytest.raises(UserError, match="the model was not loaded: memory ran out"):
        engine.start()
    engine.join(10)
    assert not engine.has_died


def spoil(run: RunDirectory, step: int) -> None:
    """Saves a best checkpoint that says something else."""
    store = CheckpointStore(run.checkpoints)
    tensors = {name: tensor.flip(0).contiguous() for name, tensor in store.load("best").tensors.items()}
    store.save(step, tensors, {}, {"val_loss": 0.1}, is_best=True, keep=9)
