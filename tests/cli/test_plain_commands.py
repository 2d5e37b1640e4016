from __future__ import annotations

import json
import time

import pytest

from tui_trainer.cli.plain_answer import Answers
from tui_trainer.cli.plain_commands import Commands
from tui_trainer.console.spoken import Narrator
from tui_trainer.inference.generation import PACED_TOKENS_PER_SECOND
from tui_trainer.monitor.follower import RunFollower


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def make_commands(make_run, make_writer, training, told):
    """Commands for a run that was recorded."""

    def make(writer=None, recording="quick-test", *, is_readonly=False) -> Commands:
        training.run_dir = make_run(recording)
        answers = Answers(lambda run: writer or make_writer("nothing"))
        commands = Commands(training, answers, told.append, is_readonly=is_readonly)
        follower = RunFollower(training.run_dir)
        follower.drain()
        commands.connect(follower, Narrator(follower, commands.sent))
        return commands

    return make


def sent_to(run) -> list[tuple[str, object]]:
    commands = [json.loads(path.read_text()) for path in sorted(run.control.iterdir())]
    return [(command["action"], command["value"]) for command in commands]


def look_until_told(commands: Commands, told: list[str], last: str) -> None:
    until = time.monotonic() + 10
    while not told or told[-1] != last:
        assert time.monotonic() < until, told
        commands.look()


def test_what_steers_is_sent_and_known_as_ones_own(make_commands, training, told):
    commands = make_commands()
    for line in ("pause", "resume", " SAVE ", "evaluate", "sample", "stop", "set training.learning_rate = 3e-4"):
        commands.obey(line)
    assert sent_to(training.run_dir) == [
        *((action, None) for action in ("pause", "resume", "save", "evaluate", "sample", "stop")),
        ("set", {"key": "training.learning_rate", "value": 0.0003}),
    ]
    assert commands.sent == {json.loads(path.read_text())["id"] for path in training.run_dir.control.iterdir()}
    assert told == [], "the answer comes from the trainer"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("set", "Set needs a KEY=VALUE, for instance: set training.learning_rate=0.0003."),
        ("pause now", "Pause takes no value; only set does: set training.learning_rate=0.0003."),
        ("paus", 'There is no command "paus" (did you mean "pause"?). Type help to hear them.'),
        ("\x1b[2J", 'There is no command "␛[2j". Type help to hear them.'),
    ],
)
def test_what_cannot_be_obeyed_is_answered(make_commands, training, told, line, answer):
    make_commands().obey(line)
    assert told == [answer] and sent_to(training.run_dir) == []


def test_an_empty_line_is_nothing(make_commands, told):
    make_commands().obey("  ")
    assert told == []


def test_who_only_watches_steers_nothing_but_may_ask(make_commands, make_writer, training, told):
    commands = make_commands(make_writer(" 42"), is_readonly=True)
    commands.obey("stop")
    commands.obey("say The value")
    look_until_told(commands, told, "End of the text.")
    commands.obey("help")
    assert told == [
        "With --readonly you can only watch and ask: it steers nothing.",
        "Asked. The answer comes in one piece.",
        "At step 1,200 the model writes:",
        "The value 42",
        "End of the text.",
        told[-1],
    ]
    assert "pause" not in told[-1] and "status" in told[-1].lower()
    assert sent_to(training.run_dir) == []


def test_a_folder_that_cannot_be_written_is_answered(make_commands, training, told):
    commands = make_commands()
    training.run_dir.control.rmdir()
    commands.obey("pause")
    assert told == [f"{training.run_dir.control}: No such file or directory; who may write there may steer."]


def test_quit_asks_once_and_only_a_second_one_stops(make_commands, training, told):
    commands = make_commands()
    for line in ("quit", "best", "quit"):
        commands.obey(line)
    assert training.stops == 0
    assert told[0] == told[2] == "Type quit again to stop and save, or detach to let it train on."
    commands.obey("quit")
    assert training.stops == 1 and told[-1] == "Stopping and saving." and not commands.is_leaving


def test_detach_hands_it_over_once(make_commands, training, told):
    commands = make_commands()
    commands.obey("detach")
    commands.obey("detach")
    assert training.detached_by and not commands.is_leaving
    assert told == [
        "Saving, then handing the training over to a process of its own.",
        "It is being handed over already.",
    ]


@pytest.mark.parametrize("word", ["quit", "detach"])
def test_a_run_that_others_train_is_left_alone(make_commands, training, told, word):
    training.ends_with_screen = False
    commands = make_commands()
    commands.obey(word)
    assert commands.is_leaving and (training.stops, training.detached_by) == (0, None)


def test_status_and_best(make_commands, told):
    commands = make_commands()
    commands.obey("status")
    commands.obey("best")
    best = "The best is step 2,244: validation loss 4.01, perplexity 55.2; it is saved."
    assert told == ["The training is complete at step 2,244 after 47 seconds, and is saved.", best, best]


def test_an_answer_is_told_in_one_piece_and_paced_while_it_trains(make_commands, make_writer, training, told):
    writer = make_writer(" of", "\n\n\x1b]52;c;x\x07 x", replaced=2)
    commands = make_commands(writer)
    commands.obey("say  The")
    look_until_told(commands, told, "End of the text.")
    assert told == [
        "Asked. The answer comes in one piece.",
        "Of the prompt 2 unknown characters were replaced.",
        "At step 1,200 the model writes:",
        " The of",
        "␛]52;c;x␇ x",
        "End of the text.",
    ]
    training.is_running = False
    commands.obey("say")
    look_until_told(commands, told, "End of the text.")
    assert writer.asked == [(" The", PACED_TOKENS_PER_SECOND), ("The value of ", None)]


def test_the_next_command_gives_an_answer_up(make_commands, make_writer, told):
    commands = make_commands(make_writer("some", is_slow=True))
    commands.obey("say The")
    commands.obey("best")
    assert told[1] == "The answer to your prompt was given up." and told[2].startswith("The best is ")
    commands.look()
    assert len(told) == 3


def test_what_goes_wrong_with_an_answer_is_told(make_commands, told):
    commands = make_commands(recording=None)
    commands.obey("say The")
    assert told == ["There is no checkpoint yet; the first comes with the first evaluation."]


def test_a_writer_that_fails_says_why(make_commands, make_writer, told):
    class Failing(make_writer):
        def refresh(self, *, is_alone: bool):
            raise RuntimeError("weights\nof lead")

    commands = make_commands(Failing())
    commands.obey("say The")
    look_until_told(commands, told, "RuntimeError: weights; of lead.")
