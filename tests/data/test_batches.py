import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tui_trainer.config import RunConfig, parse_config
from tui_trainer.data.batches import EvaluationWindows, TrainingWindows, check_lengths
from tui_trainer.data.tokens import TokenSplit
from tui_trainer.errors import UserError

SHAPES = {"length": st.integers(2, 200), "context": st.integers(1, 20), "stride": st.integers(1, 30)}


def ramp(length: int, dtype=np.uint16) -> np.ndarray:
    """Each token is its own place, so a window tells where it stood."""
    return np.arange(length, dtype=dtype)


def starts_of_epoch(windows: TrainingWindows, epoch: int) -> list[int]:
    """Where the windows of an epoch, counted from 0, stood; the batch size must be 1."""
    return [int(windows.batch(epoch * windows.count + step)[0][0, 0]) for step in range(1, windows.count + 1)]


@given(**SHAPES, seed=st.integers(0, 5))
def test_every_window_comes_once_an_epoch(length, context, stride, seed):
    assume(length > context)
    windows = TrainingWindows(ramp(length), context, stride, 1, seed)
    for epoch in range(3):
        starts = sorted(starts_of_epoch(windows, epoch))
        assert len(set(starts)) == windows.count == (length - context - 1) // stride + 1
        assert 0 <= starts[0] < stride
        assert starts[-1] <= length - context - 1
        assert all(later - earlier == stride for earlier, later in itertools.pairwise(starts[:-1]))
        if len(starts) > 1:
            assert 0 < starts[-1] - starts[-2] <= stride


@given(**SHAPES, batch=st.integers(1, 12), seed=st.integers(0, 2**31 - 1))
def test_targets_are_the_inputs_moved_by_one_and_batches_are_full(length, context, stride, batch, seed):
    assume(length > context)
    windows = TrainingWindows(ramp(length), context, stride, batch, seed)
    for step in (1, 2, 7, 1000):
        x, y = windows.batch(step)
        assert x.shape == y.shape == (batch, context)
        assert x.dtype == y.dtype == np.int64
        assert x.flags.c_contiguous and y.flags.c_contiguous
        assert (y == x + 1).all()
        assert y.max() < length


@given(st.permutations(range(1, 25)), st.integers(1, 7))
def test_a_batch_depends_on_its_step_alone(order, batch):
    def fresh() -> TrainingWindows:
        return TrainingWindows(ramp(60), 5, 4, batch, 1337)

    shuffled = fresh()
    asked = {step: shuffled.batch(step)[0].tolist() for step in order}
    assert asked == {step: fresh().batch(step)[0].tolist() for step in range(1, 25)}


@given(batch=st.integers(1, 12), steps=st.integers(1, 40))
def test_the_batch_size_does_not_change_the_order(batch, steps):
    one = TrainingWindows(ramp(80), 5, 3, 1, 7)
    many = TrainingWindows(ramp(80), 5, 3, batch, 7)
    rows = np.concatenate([many.batch(step)[0] for step in range(1, steps + 1)])
    singles = np.concatenate([one.batch(step)[0] for step in range(1, steps * batch + 1)])
    assert (rows == singles).all()


def test_seed_and_epoch_change_the_order_and_global_randomness_does_not():
    windows = TrainingWindows(ramp(1000), 8, 8, 1, 1)
    other = TrainingWindows(ramp(1000), 8, 8, 1, 2)
    before = np.random.get_state()[1].tolist()
    first = starts_of_epoch(windows, 0)
    assert np.random.get_state()[1].tolist() == before
    assert first != starts_of_epoch(windows, 1)
    assert first != starts_of_epoch(other, 0)
    assert len({min(starts_of_epoch(windows, epoch)) for epoch in range(20)}) > 3


def test_the_shortest_text_has_one_window():
    windows = TrainingWindows(ramp(9), 8, 8, 3, 0)
    assert windows.count == 1
    x, y = windows.batch(5)
    assert x.tolist() == [list(range(8))] * 3
    assert y[0].tolist() == list(range(1, 9))


@given(count=st.integers(1, 30), batch=st.integers(1, 40), epochs=st.integers(1, 6))
def test_epochs_are_counted_by_windows(count, batch, epochs):
    windows = TrainingWindows(ramp(count + 1), 1, 1, batch, 0)
    assert windows.count == count
    assert windows.steps_per_epoch == count / batch
    steps = windows.steps_for(epochs)
    assert (steps - 1) * batch < epochs * count <= steps * batch
    assert windows.epoch_of(1) == 1
    assert windows.epoch_of(steps) <= epochs
    assert windows.is_epoch_end(steps)
    labels = [windows.epoch_of(step) for step in range(1, steps + 1)]
    assert labels == sorted(labels)
    if batch <= count:
        ends = [windows.epoch_of(step) for step in range(1, steps + 1) if windows.is_epoch_end(step)]
        assert ends == list(range(1, epochs + 1))


def test_no_window_reaches_into_the_validation_part():
    tokens = ramp(500)
    train, val = tokens[:400], tokens[400:]
    windows = TrainingWindows(train, 16, 3, 4, 9)
    seen = {int(token) for step in range(1, 200) for part in windows.batch(step) for token in part.flat}
    assert seen <= set(train.tolist())
    assert seen.isdisjoint(val.tolist())


@given(length=st.integers(2, 300), context=st.integers(1, 40), batch=st.integers(1, 9))
def test_each_target_is_evaluated_exactly_once(length, context, batch):
    windows = EvaluationWindows(ramp(length), context, batch)
    batches = list(windows)
    targets = [int(token) for _, y in batches for token in y.flat]
    assert targets == list(range(1, length))
    assert len(windows) == len(batches)
    assert windows.target_count == length - 1
    assert all((y == x + 1).all() and x.dtype == y.dtype == np.int64 for x, y in batches)
    assert all(x.shape[0] <= batch and x.shape[1] == context for x, _ in batches[:-1])
    assert [x.tolist() for x, _ in windows] == [x.tolist() for x, _ in batches]


@given(length=st.integers(2, 300), context=st.integers(1, 40), batch=st.integers(1, 9), limit=st.integers(1, 20))
def test_a_limit_takes_whole_windows_from_all_over(length, context, batch, limit):
    windows = EvaluationWindows(ramp(length), context, batch, limit)
    rows = [row for _, y in windows for row in y.tolist()]
    whole = -(-(length - 1) // context)
    assert len(rows) == min(limit, whole)
    assert windows.target_count == sum(map(len, rows))
    assert len(windows) == len(list(windows))
    assert len({row[0] for row in rows}) == len(rows)
    assert all((row[0] - 1) % context == 0 for row in rows)
    gaps = np.diff([row[0] for row in rows])
    assert not len(gaps) or gaps.max() - gaps.min() <= context


def test_too_short_to_evaluate_is_no_batch():
    assert list(EvaluationWindows(ramp(1), 4, 2)) == list(EvaluationWindows(ramp(0), 4, 2)) == []


def test_large_ids_stay_large():
    tokens = np.arange(70_000, 70_100, dtype=np.uint32)
    assert TrainingWindows(tokens, 9, 9, 4, 0).batch(1)[0].min() >= 70_000


def split_of(train: int, val: int) -> TokenSplit:
    return TokenSplit(ramp(train), ramp(val), "", train, val)


def config_with(context_length: int) -> RunConfig:
    return parse_config({"model": {"context_length": context_length}}, "test")


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        (64, 9, ["64 tokens", "65", "context_length", "at most 63", "val_fraction"]),
        (1, 9, ["1 tokens", "65", "more text"]),
        (0, 9, ["0 tokens", "65"]),
        (65, 1, ["1 tokens", "2", "val_fraction"]),
        (65, 0, ["0 tokens", "2"]),
    ],
)
def test_a_short_text_is_told_with_both_numbers(train, val, words):
    with pytest.raises(UserError) as error:
        check_lengths(split_of(train, val), config_with(64), "input.txt")
    message = str(error.value)
    assert len(message.splitlines()) <= 3
    for word in ["input.txt", *words]:
        assert word in message


def test_a_long_enough_text_passes():
    check_lengths(split_of(65, 2), config_with(64), "input.txt")
