"""What the best checkpoint makes of a prompt, told in one piece when it is complete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tui_trainer.cli.writers import open_writer
from tui_trainer.console.spoken_state import told_text
from tui_trainer.console.spoken_words import in_words, sentence
from tui_trainer.errors import UserError
from tui_trainer.inference.generation import Generation
from tui_trainer.inference.settings import settings_from
from tui_trainer.inference.writer import Writer
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.directory import RunDirectory


class Answers:
    """One answer at a time: the next question gives up the one before."""

    def __init__(self, open_writer: Callable[[RunDirectory], Writer] = open_writer) -> None:
        """Nobody has asked yet.

        Args:
            open_writer: opens a writer for a run; slow, so it is called in a thread.
        """
        self._open = open_writer
        self._writer: Writer | None = None
        self._text = ""
        """The prompt and what came after it so far."""
        self._generation: Generation | None = None

    def ask(self, follower: RunFollower, prompt: str, *, is_paced: Callable[[], bool]) -> None:
        """Begins an answer.

        Args:
            follower: of the run whose model speaks.
            prompt: what it goes on from; empty: the first prompt of the run's configuration.
            is_paced: whether to leave the machine to a training.

        Raises:
            UserError: when nothing can speak yet.
        """
        if follower.state.best_checkpoint_step is None:
            raise UserError("there is no checkpoint yet; the first comes with the first evaluation")
        sampling = follower.config.sampling
        self._text = prompt = prompt or next(iter(sampling.prompts), "")
        settings = settings_from(sampling)
        self._generation = Generation(partial(self._open_once, follower.run), prompt, settings, is_paced)

    def give_up(self) -> bool:
        """Ends the answer that is being made; says whether there was one."""
        generation, self._generation = self._generation, None
        if generation:
            generation.cancel()
        return generation is not None

    def take(self) -> list[str]:
        """The answer, once it is complete."""
        generation = self._generation
        if generation is None:
            return []
        is_complete = not generation.is_running
        self._text += generation.take()
        if not is_complete:
            return []
        self._generation = None
        return _told(generation, self._text)

    def _open_once(self, run: RunDirectory) -> Writer:
        if self._writer is None:
            self._writer = self._open(run)
        return self._writer


def _told(generation: Generation, text: str) -> list[str]:
    """Who speaks and what, and whatever went wrong."""
    speaker = generation.speaker
    lines = [sentence(f"of the prompt {remark}") for remark in generation.remarks]
    if speaker:
        lines += told_text(speaker.step, text)
    troubles = (speaker.warning if speaker else None, generation.failure)
    return lines + [sentence(in_words(trouble)) for trouble in troubles if trouble]
