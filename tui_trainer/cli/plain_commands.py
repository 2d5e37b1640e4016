"""What can be typed while a training goes on, and what each word does."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui_trainer.cli import steering
from tui_trainer.cli.plain_answer import Answers
from tui_trainer.cli.writers import is_training_beside
from tui_trainer.console import spoken_state
from tui_trainer.console.spoken import Narrator
from tui_trainer.console.spoken_words import in_words, sentence
from tui_trainer.errors import UserError, did_you_mean
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.control import name_requester
from tui_trainer.tui.services import Training

AT_ONCE = ("help", "quit")
"""What need not wait for the training to begin."""
STEERING_HELP = (
    "pause, resume, save, evaluate, sample, stop. Set and a KEY=VALUE, for instance: set training.learning_rate=0.0003."
)
ASKING_HELP = "Status, best, help. Say and some text, for the best checkpoint to go on from it."
LEAVING_HELP = {
    True: "Detach, to let it train on without this terminal. Quit, to stop it and save.",
    False: "Quit, to leave it alone.",
}
"""By whether the training ends with this program."""


class Commands:
    """Obeys typed lines. Whatever is asked of the trainer goes the way of all commands, and its answer is an event."""

    def __init__(self, training: Training, answers: Answers, tell: Callable[[str], None], *, is_readonly: bool) -> None:
        """Obeys nothing yet.

        Args:
            training: what is steered.
            answers: what the model says to a prompt.
            tell: says a line to the person.
            is_readonly: whether this person only watches.
        """
        self._training = training
        self._tell = tell
        self._is_readonly = is_readonly
        self._answers = answers
        self._follower: RunFollower | None = None
        self._was_warned = False
        self._words: dict[str, Callable[[str], None]] = {
            "status": self._status,
            "best": self._best,
            "say": self._say,
            "help": self._help,
            "detach": self._detach,
            "quit": self._quit,
        }
        self.sent: set[str] = set()
        """Ids of what was asked of the trainer."""
        self.is_leaving = False

    def connect(self, follower: RunFollower, narrator: Narrator) -> None:
        """There is a run to ask about."""
        self._follower, self._narrator = follower, narrator

    def obey(self, line: str) -> None:
        """Does what a line says; one that cannot be obeyed is answered with the reason."""
        word, _, rest = line.strip("\t ").partition(" ")
        word = word.lower()
        if not word:
            return
        self.give_up_answer()
        self._was_warned &= word == "quit"
        try:
            if word in self._words:
                self._words[word](rest)
            elif word in steering.ACTIONS:
                self._steer(word, rest.strip() or None)
            else:
                known = did_you_mean(word, [*self._words, *steering.ACTIONS])
                raise UserError(f'there is no command "{word[:40]}"{known}. Type help to hear them')
        except UserError as error:
            self._tell(sentence(in_words(str(error))))

    def look(self) -> None:
        """Tells an answer that is complete."""
        for line in self._answers.take():
            self._tell(line)

    def give_up_answer(self) -> None:
        """Something else comes now."""
        if self._answers.give_up():
            self._tell("The answer to your prompt was given up.")

    def _steer(self, action: str, setting: str | None) -> None:
        if self._is_readonly:
            raise UserError("with --readonly you can only watch and ask: it steers nothing")
        assert self._follower is not None
        self.sent.add(steering.send(self._follower.run, action, steering.value_of(action, setting)))

    def _status(self, rest: str) -> None:
        for line in self._narrator.status(time.time()):
            self._tell(line)

    def _best(self, rest: str) -> None:
        assert self._follower is not None
        self._tell(spoken_state.best(self._follower.state))

    def _say(self, prompt: str) -> None:
        assert self._follower is not None
        run, is_alive = self._follower.run, self._training.is_alive
        self._answers.ask(self._follower, prompt, is_paced=lambda: is_alive() or is_training_beside(run))
        self._tell("Asked. The answer comes in one piece.")

    def _help(self, rest: str) -> None:
        steers = "" if self._is_readonly else f"{STEERING_HELP} "
        self._tell(f"You can type: {steers}{ASKING_HELP} {LEAVING_HELP[self._training.ends_with_screen]}")

    def _detach(self, rest: str) -> None:
        if not self._training.ends_with_screen:
            self.is_leaving = True
        elif self._training.is_moving:
            raise UserError("it is being handed over already")
        else:
            self._tell("Saving, then handing the training over to a process of its own.")
            self._training.detach(name_requester())

    def _quit(self, rest: str) -> None:
        if not self._training.ends_with_screen:
            self.is_leaving = True
        elif self._was_warned:
            self._tell("Stopping and saving.")
            self._training.stop()
        else:
            self._was_warned = True
            self._tell("Type quit again to stop and save, or detach to let it train on.")
