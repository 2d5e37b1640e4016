"""The same log gives the same state, however it comes to be read."""

from __future__ import annotations

import itertools
import json

import pytest
from facts import fold, started
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import STORIES, Story

from tui_trainer.event_codec import decode, encode
from tui_trainer.monitor import backfill, series
from tui_trainer.monitor import follower as follower_module
from tui_trainer.monitor.backfill import Backfill
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.status import Status

ANY_STORY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A short log is long, and a series is full after a few points."""
    monkeypatch.setattr(follower_module, "LONG_LOG_BYTES", 4000)
    monkeypatch.setattr(follower_module, "GLIMPSE_BYTES", 1500)
    monkeypatch.setattr(follower_module, "READ_BYTES", 1000)
    monkeypatch.setattr(backfill, "READ_BYTES", 1000)
    monkeypatch.setattr(series, "MAX_BUCKETS", 8)
    monkeypatch.setattr(series, "NEWEST_POINTS", 16)


@pytest.fixture
def run(run_dir):
    return run_dir()


def folded(lines):
    return fold(record for line in lines if (record := decode(line.rstrip(b"\n"))))


def long_story(steps: int = 60, run_id: str = "run") -> list[bytes]:
    story = Story()
    story.note(started(run_id=run_id))
    for _ in range(steps // 10):
        story.steps(10, 2.5)
        story.happen("evaluation")
        story.happen("save")
    return story.lines


def finish(follower: RunFollower, on_record=lambda record: None):
    """Poll and fold by turns, as a screen does."""
    for _ in range(10_000):
        has_changed, has_more = follower.poll(on_record), follower.fold_slice(0.0)
        if not has_changed and not has_more:
            return follower.state
    raise AssertionError("it never ends")


@ANY_STORY
@given(lines=STORIES)
def test_blocks_fold_to_what_single_records_fold_to(run, lines):
    run.event_log.write_bytes(b"".join(lines))
    whole = Backfill(run.event_log)
    while whole.fold(run.event_log.stat().st_size):
        pass
    assert whole.state == folded(lines)


@ANY_STORY
@given(lines=STORIES, sizes=st.lists(st.integers(0, 2000), max_size=60))
def test_a_log_read_live_or_late_gives_one_state(run, lines, sizes):
    """Live: in many small pieces. Late: through the glimpse, while it still grows."""
    content, expected = b"".join(lines), folded(lines)
    run.event_log.write_bytes(b"")
    live = RunFollower(run)
    with run.event_log.open("ab", buffering=0) as log:
        late, opened_at, written = None, len(sizes) // 2, 0
        for number, size in enumerate([*sizes, len(content)]):
            log.write(content[written : written + size])
            written += size
            live.poll()
            if number >= opened_at:
                late = late or RunFollower(run)
                late.fold_slice(0.0 if number % 2 else 1e9)
                late.poll()
    assert finish(live) == expected
    assert finish(late) == expected
    at_once = RunFollower(run)
    at_once.drain()
    assert at_once.state == expected


def test_a_last_line_torn_at_any_byte_loses_nothing(run):
    lines = long_story(30)
    before = folded(lines[:-3])
    for last in (lines[-3], lines[-1]):  # of a step and of a save
        content = [*lines[:-3], last]
        expected = folded(content)
        for cut in range(len(last)):
            run.event_log.write_bytes(b"".join(content)[: len(b"".join(content)) - len(last) + cut])
            late, seen = RunFollower(run), []
            assert finish(late, seen.append) == before
            with run.event_log.open("ab") as log:
                log.write(last[cut:])
            assert finish(late, seen.append) == expected
            assert seen[-1] == decode(last)


def test_a_long_log_is_glimpsed_at_and_then_whole(run):
    lines = long_story()
    run.event_log.write_bytes(b"".join(lines))
    follower = RunFollower(run)
    assert follower.history_share == 1.0
    assert follower.poll()
    glimpse, shares = follower.state, []
    assert (glimpse.current_step, glimpse.max_steps, glimpse.started) == (60, 100, decode(lines[0]).event)
    assert 0 < len(glimpse.history.train_loss) < 60
    while follower.fold_slice(0.0):
        assert follower.state is glimpse
        shares.append(follower.history_share)
    assert shares == sorted(set(shares))
    assert 0.0 < shares[0] < shares[-1] < 1.0 == follower.history_share
    assert follower.state == folded(lines)
    assert not follower.fold_slice(0.0)


def test_a_short_log_is_whole_at_once(run):
    run.event_log.write_bytes(b"".join(long_story(10)))
    follower = RunFollower(run)
    while follower.poll():
        assert (follower.history_share, follower.fold_slice(0.0)) == (1.0, False)
    assert follower.state == folded(long_story(10))


def test_a_log_that_grows_long_while_it_is_followed_needs_no_glimpse(run):
    run.event_log.write_bytes(b"".join(long_story(10)))
    follower, seen = RunFollower(run), []
    follower.poll(seen.append)
    run.event_log.write_bytes(b"".join(long_story()))
    while follower.poll(seen.append):
        assert follower.history_share == 1.0
    assert seen == [decode(line) for line in long_story()]


def test_each_record_from_the_glimpse_on_is_heard_of_once_and_in_order(run):
    lines = long_story(120)
    records = [decode(line) for line in lines]
    run.event_log.write_bytes(b"".join(lines[:60]))
    follower, seen = RunFollower(run), []
    with run.event_log.open("ab", buffering=0) as log:
        for line in lines[60:]:
            follower.poll(seen.append)
            log.write(line)
            follower.fold_slice(0.0 if len(seen) < 30 else 1e9)
    follower.drain(seen.append)
    assert records[60] in seen
    assert 0 < len(seen) < len(records)
    assert seen == records[-len(seen) :]
    assert follower.state == folded(lines)


def test_a_slice_ends_when_its_time_is_up(run):
    run.event_log.write_bytes(b"".join(long_story()))
    assert slices_of(run, 0.0) > 10
    assert 1 < slices_of(run, 3.0) <= slices_of(run, 0.0) / 2


def slices_of(run, seconds: float) -> int:
    """How many it takes when each look at the clock is a second after the one before."""
    follower, ticks = RunFollower(run), itertools.count()
    follower.poll()
    count = 1
    while follower.fold_slice(seconds, lambda: next(ticks)):
        count += 1
    return count


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("how", ["truncated", "replaced"])
@pytest.mark.parametrize("steps", [10, 50])
def test_another_log_under_the_same_name_is_another_story(run, tmp_path, how, is_whole, steps):
    run.event_log.write_bytes(b"".join(long_story()))
    follower = RunFollower(run)
    follower.poll()
    follower.fold_slice(1e9 if is_whole else 0.0)
    other = long_story(steps, "another run" if how == "replaced" else "run")
    new = run.event_log if how == "truncated" else tmp_path / "new"
    new.write_bytes(b"".join(other))
    new.replace(run.event_log)
    if how == "truncated" and not is_whole:
        follower.fold_slice(0.0)
    assert finish(follower) == folded(other)


@pytest.mark.parametrize("slice_seconds", [0.0, 1e9])
def test_a_mirror_is_read_on_whichever_copy_it_shows(run, tmp_path, slice_seconds):
    """It replaces the log by a longer one, and now and then by an older one."""
    lines = long_story(120)
    follower, seen, states = RunFollower(run), [], set()
    for count in (60, 70, 65, 65, 72, 20, 90, 90, 5, len(lines)):
        new = tmp_path / "new"
        new.write_bytes(b"".join(lines[:count]))
        new.replace(run.event_log)
        for _ in range(5):
            follower.poll(seen.append)
            follower.fold_slice(slice_seconds)
        states.add(id(follower.state))
    assert finish(follower, seen.append) == folded(lines)
    records = [decode(line) for line in lines]
    assert seen == records[-len(seen) :]
    assert len(states) <= 2, "the glimpse and the whole: zoom and cursor stay"


def test_a_log_that_vanishes_leaves_what_is_known(run):
    run.event_log.write_bytes(b"".join(long_story()))
    follower = RunFollower(run)
    follower.poll()
    run.event_log.unlink()
    follower.drain()
    assert (follower.state.current_step, follower.history_share) == (60, 1.0)


def test_a_log_without_line_ends_cannot_be_glimpsed_at(run):
    run.event_log.write_bytes(b"".join(long_story(10)) + b"x" * 4000)
    follower, seen = RunFollower(run), []
    follower.drain(seen.append)
    assert seen == [decode(line) for line in long_story(10)]
    assert follower.state == folded(long_story(10))


def test_the_glimpse_knows_the_last_step_that_was_set_since(run):
    run.event_log.write_bytes(b"".join(long_story()))
    run.status_file.write_text(json.dumps(Status(step=60, max_steps=300).__dict__))
    follower = RunFollower(run)
    follower.poll()
    assert follower.state.max_steps == 300
    follower.drain()
    assert follower.state == folded(long_story())
    run.event_log.write_bytes(b"".join([*long_story(70), encode(started(resumed_from_step=60, max_steps=400))]))
    follower = RunFollower(run)
    follower.poll()
    assert follower.state.max_steps == 400
