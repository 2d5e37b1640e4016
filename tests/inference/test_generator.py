"""Text from a run: what is yielded, from which checkpoint, and what it must not disturb."""

import dataclasses
import json
import random
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_runs import events, figures, sha_of, tensors_of, tiny_config, trained, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer
from tui_trainer.deploy.export.export import export_model
from tui_trainer.deploy.export.source import load_source
from tui_trainer.errors import UserError
from tui_trainer.events import EvaluationCompleted, StepCompleted
from tui_trainer.inference.decoder import Decoder, Memory
from tui_trainer.inference.generator import Piece, TextGenerator
from tui_trainer.inference.half_precision import HALF, has_half_kernels
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.single_precision import SINGLE
from tui_trainer.model import GPT
from tui_trainer.model.hugging_face import describe, hugging_face_layout
from tui_trainer.runs.directory import RunDirectory, create_run
from tui_trainer.training.launch import NewRun, launch

GREEDY = SamplingSettings(temperature=0.0, max_new_tokens=14)


def make_run(path: Path, config: RunConfig, tokenizer: Tokenizer) -> RunDirectory:
    """A run that has everything but a checkpoint."""
    run = create_run(config, "tiny", path, datetime(2026, 1, 1, tzinfo=UTC))
    tokenizer.save(run.tokenizer)
    return run


def save(run: RunDirectory, model: GPT, step: int = 1, is_best: bool = True) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    metrics = {"val_loss": 5.0 - step / 100}
    CheckpointStore(run.checkpoints).save(step, tensors, {}, metrics, is_best=is_best, keep=9)


def random_model(run: RunDirectory, vocab_size: int, seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    model = GPT(run.read_config().model, vocab_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return model


def chain(run: RunDirectory, text: str) -> GPT:
    """A model whose likeliest next byte is that of `text` after the one it sees, round and round."""
    model = GPT(run.read_config().model, 256)
    content = text.encode()
    assert len(set(content)) == len(content)
    with torch.no_grad():
        model.wte.weight.copy_(torch.eye(256))
        assert model.head is not None
        model.head.weight.zero_()
        for now, following in zip(content, content[1:] + content[:1], strict=True):
            model.head.weight[following, now] = 1.0
    return model


@pytest.fixture
def bytes_run(tmp_path: Path) -> RunDirectory:
    return make_run(tmp_path / "run", tiny_config(tmp_path / "unused"), ByteTokenizer())


@pytest.fixture
def chain_run(tmp_path: Path) -> RunDirectory:
    shape = {"architecture": "modern", "n_embd": 256, "n_head": 2, "dropout": 0.0}
    return make_run(tmp_path / "run", tiny_config(tmp_path / "unused", model=shape), ByteTokenizer())


def write(run: RunDirectory, prompt: str = "ab", settings: SamplingSettings = GREEDY) -> str:
    return "".join(TextGenerator(run).stream(prompt, settings))


# What is yielded


def test_a_character_never_comes_in_parts(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "한😀é"))
    pieces = list(TextGenerator(chain_run).stream("é", SamplingSettings(temperature=0.0, max_new_tokens=18)))
    assert pieces == ["한", "😀", "é"] * 2


@pytest.mark.parametrize(("count", "text"), [(1, "�"), (2, "�"), (3, "한"), (4, "한�"), (6, "한�"), (7, "한😀")])
def test_a_broken_tail_is_shown_as_such(chain_run: RunDirectory, count: int, text: str) -> None:
    save(chain_run, chain(chain_run, "한😀"))
    prompt = b"\x80".decode("latin-1")  # é-like: its last byte is 0x80, after which the chain begins anew
    assert write(chain_run, prompt, SamplingSettings(temperature=0.0, max_new_tokens=count)) == text


def test_temperature_0_goes_along_the_likeliest_tokens(bytes_run: RunDirectory) -> None:
    """Longer than the context of 16: then it begins anew from the last half."""
    model = random_model(bytes_run, 256).eval()
    save(bytes_run, model)
    window, written = list(b"the prompt is longer than the context")[-16:], b""
    for _ in range(40):
        window = window if len(window) <= 16 else window[-8:]
        window.append(int(model(torch.tensor([window]))[0, -1].argmax()))
        written += bytes(window[-1:])
    settings = SamplingSettings(temperature=0.0, max_new_tokens=40)
    assert write(bytes_run, "the prompt is longer than the context", settings) == written.decode("utf-8", "replace")


def test_the_same_seed_gives_the_same_text(bytes_run: RunDirectory) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    texts = [write(bytes_run, settings=SamplingSettings(temperature=9.0, top_k=0, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    unseeded = {write(bytes_run, settings=SamplingSettings(temperature=9.0, top_k=0)) for _ in range(3)}
    assert len(unseeded) == 3


def test_an_empty_prompt_begins_at_a_new_line(bytes_run: RunDirectory) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    assert write(bytes_run, "") == write(bytes_run, "\n")


def test_a_very_long_prompt(bytes_run: RunDirectory) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    fits = "0123456789abcdef"
    assert write(bytes_run, "x" * 1_000_000 + fits) == write(bytes_run, fits)
    generator = TextGenerator(bytes_run)
    assert generator.context_length == len(fits)
    assert generator.remarks(fits) == [] and generator.remarks("x" + fits) == ["only the last 16 tokens fit"]


def test_unknown_characters_are_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tiny_config(tmp_path / "unused"), CharTokenizer(" ?ab"))
    save(run, random_model(run, 4))
    generator = TextGenerator(run)
    two, one = ["2 unknown characters were replaced"], ["1 unknown character was replaced"]
    assert [generator.remarks(prompt) for prompt in ("ab", "", "a한b😀", "\n")] == [[], [], two, one]
    for prompt in ("한", "", "a\ud800"):
        assert len("".join(generator.stream(prompt, GREEDY))) == 14


def test_cancelling_takes_at_most_one_token_more(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "abcdefgh"))
    is_cancelled, pieces = threading.Event(), []
    for piece in TextGenerator(chain_run).stream("h", SamplingSettings(max_new_tokens=1000), is_cancelled.is_set):
        pieces.append(piece)
        if len(pieces) == 3:
            is_cancelled.set()
    assert len(pieces) <= 4
    assert list(TextGenerator(chain_run).stream("h", GREEDY, lambda: True)) == []


def test_half_precision_says_the_same_but_for_a_token_in_a_thousand(bytes_run: RunDirectory) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    beside_a_training = TextGenerator(bytes_run)
    beside_a_training.refresh(is_alone=False)
    alone = TextGenerator(bytes_run)
    alone.refresh(is_alone=True)
    sampling = SamplingSettings(seed=5, max_new_tokens=40)
    assert list(beside_a_training.pieces("a", sampling)) == list(alone.pieces("a", sampling))
    tokens = [1, 2, 3]
    exact, rounded = (
        each._decoder.read_all(Memory(each._decoder.config), tokens) for each in (beside_a_training, alone)
    )
    assert np.array_equal(exact, rounded) is not has_half_kernels()


@pytest.mark.parametrize("weight", [1.0, 1e6])
def test_half_precision_is_for_who_is_alone_and_for_weights_that_fit(bytes_run, monkeypatch, weight) -> None:
    made = []
    monkeypatch.setattr(
        "tui_trainer.inference.generator.Decoder", lambda *parts: made.append(parts[-1]) or Decoder(*parts)
    )
    model = random_model(bytes_run, 256)
    with torch.no_grad():
        model.blocks[0].attention.projection.weight[0, 0] = weight
    save(bytes_run, model)
    generator = TextGenerator(bytes_run)
    generator.refresh(is_alone=False)
    generator.refresh(is_alone=True)
    generator.refresh(is_alone=True)
    assert made == [SINGLE, HALF if has_half_kernels() and weight == 1 else SINGLE], "no more often than it changes"
    list(generator.pieces("a", GREEDY))
    save(bytes_run, model, step=2)
    generator.refresh(is_alone=False)
    assert made[2:] == [SINGLE]


def test_two_at_once_load_once(bytes_run: RunDirectory, monkeypatch) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    generator = TextGenerator(bytes_run)
    load, loads = generator._source.load, []

    def load_slowly():
        loads.append(None)
        time.sleep(0.1)
        return load()

    monkeypatch.setattr(generator._source, "load", load_slowly)
    threads = [threading.Thread(target=generator.refresh, kwargs={"is_alone": True}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


def test_what_is_paced_is_written_beside_a_training(bytes_run: RunDirectory, monkeypatch) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    generator = TextGenerator(bytes_run)
    asked, refresh = [], generator.refresh
    monkeypatch.setattr(generator, "refresh", lambda *, is_alone: asked.append(is_alone) or refresh(is_alone=is_alone))
    list(generator.pieces("a", GREEDY, tokens_per_second=1e6))
    assert asked == [False]


def test_pace(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "abcdefgh"))
    generator = TextGenerator(chain_run)
    generator.refresh(is_alone=True)
    started = time.monotonic()
    for _ in generator.stream("h", SamplingSettings(max_new_tokens=10), tokens_per_second=50):
        pass
    assert 0.18 < time.monotonic() - started < 5


# From which checkpoint


def test_before_any_checkpoint(bytes_run: RunDirectory) -> None:
    generator = TextGenerator(bytes_run)
    for ask in (lambda: generator.refresh(is_alone=True), lambda: next(generator.stream("a", GREEDY))):
        with pytest.raises(UserError, match="no checkpoint yet") as caught:
            ask()
        assert len(str(caught.value).splitlines()) <= 3
    save(bytes_run, random_model(bytes_run, 256))
    assert len("".join(generator.stream("a", GREEDY))) > 0


def test_a_new_best_is_picked_up(bytes_run: RunDirectory) -> None:
    save(bytes_run, random_model(bytes_run, 256), step=1)
    best, last = TextGenerator(bytes_run), TextGenerator(bytes_run, "last")
    speaker = best.refresh(is_alone=True)
    assert (speaker.step, speaker.val_loss, speaker.warning) == (1, 4.99, None)
    assert best.refresh(is_alone=True) is speaker
    first = "".join(best.stream("a", GREEDY))
    save(bytes_run, random_model(bytes_run, 256, seed=1), step=2, is_best=False)
    assert (best.refresh(is_alone=True).step, last.refresh(is_alone=True).step) == (1, 2)
    assert "".join(best.stream("a", GREEDY)) == first != "".join(last.stream("a", GREEDY))
    save(bytes_run, random_model(bytes_run, 256, seed=2), step=3)
    assert "".join(best.stream("a", GREEDY)) == first, "until it is refreshed, the same checkpoint speaks"
    best.refresh(is_alone=True)
    assert "".join(best.stream("a", GREEDY)) != first
    assert best.speaker is not None and best.speaker.step == 3


def test_a_diverged_checkpoint_is_said_so(bytes_run: RunDirectory) -> None:
    model = random_model(bytes_run, 256)
    with torch.no_grad():
        model.wte.weight.fill_(float("nan"))
    save(bytes_run, model)
    with pytest.raises(UserError, match="diverged"):
        write(bytes_run)


# What it must not disturb


def test_global_random_numbers_and_modes_are_left_alone(bytes_run: RunDirectory) -> None:
    save(bytes_run, random_model(bytes_run, 256))
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    write(bytes_run, settings=SamplingSettings())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_dropout_is_off(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tiny_config(tmp_path / "unused", model={"dropout": 0.9}), ByteTokenizer())
    save(run, random_model(run, 256))
    assert write(run) == write(run)


def test_talking_all_the_time_leaves_the_training_bit_for_bit_as_it_was(tmp_path: Path) -> None:
    config = tiny_config(write_text(tmp_path), training={"max_steps": 100, "eval_interval": 10})
    alone = trained(config, tmp_path / "alone")
    run = RunDirectory(tmp_path / "talking")
    handle = launch(NewRun(config, "tiny", run.path, "cpu"))
    pieces, speakers = 0, set()
    while handle.is_alive():
        try:
            generator = TextGenerator(run)
            while handle.is_alive():
                generator.refresh(is_alone=True)
                for piece in generator.stream("a", SamplingSettings(max_new_tokens=5), lambda: not handle.is_alive()):
                    pieces += len(piece)
                speakers.add(generator.speaker.step if generator.speaker else None)
        except UserError:  # There is no run, no tokenizer or no checkpoint yet.
            time.sleep(0.001)
    assert handle.failure is None
    assert pieces > 20
    assert len(speakers) > 1
    for kind in (StepCompleted, EvaluationCompleted):
        assert [figures(event) for event in events(run, kind)] == [figures(event) for event in events(alone, kind)]
    assert sha_of(tensors_of(run)) == sha_of(tensors_of(alone))


# Where it ends, and several at once


def test_the_last_piece_says_why(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "abcdefgh"))
    generator = TextGenerator(chain_run)
    pieces = list(generator.pieces("a", dataclasses.replace(GREEDY, max_new_tokens=5)))
    assert [(piece.text, piece.tokens, piece.finish) for piece in pieces] == [
        *((letter, 1, None) for letter in "bcde"),
        ("f", 1, "length"),
    ]
    stopped = list(generator.pieces("a", dataclasses.replace(GREEDY, stop=("fg", "x"))))
    assert "".join(piece.text for piece in stopped) == "bcde"
    assert [piece.finish for piece in stopped] == [None] * 5 + ["stop"]
    held = list(generator.pieces("a", dataclasses.replace(GREEDY, max_new_tokens=5, stop=("fgz",))))
    assert "".join(piece.text for piece in held) == "bcdef", "what only began like a stop is shown at the end"


def test_token_ids_are_a_prompt_too(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "abcdefgh"))
    texts = TextGenerator(chain_run).pieces(list(b"xyza"), dataclasses.replace(GREEDY, max_new_tokens=3))
    assert "".join(piece.text for piece in texts) == "bcd"


def test_several_texts_end_each_at_its_own_place(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "abcdefgh"))
    settings = dataclasses.replace(GREEDY, max_new_tokens=6, stop=("d",))
    rounds = list(TextGenerator(chain_run).pieces_together(["a", "f", "long before c"], settings))
    texts = ["".join(piece.text for piece in pieces) for pieces in zip(*rounds, strict=True)]
    assert texts == ["bc", "ghabc", ""]
    assert [piece.finish for piece in rounds[-1]] == ["stop", "stop", "stop"]
    assert len(rounds) == 6, "the longest decides"


@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
def test_an_exported_folder_writes_as_its_run(tmp_path: Path, architecture: str) -> None:
    run = make_run(
        tmp_path / "run", tiny_config(tmp_path / "unused", model={"architecture": architecture}), ByteTokenizer()
    )
    save(run, random_model(run, 256), 7)
    export_model(
        load_source(run, "best"), "safetensors", tmp_path / "out", quantize=None, now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    settings = SamplingSettings(max_new_tokens=40, seed=5)
    exported, own = TextGenerator(tmp_path / "out"), TextGenerator(run)
    assert exported.refresh(is_alone=True).step == 7
    assert "".join(exported.stream("ab", settings)) == "".join(own.stream("ab", settings)) != ""


def test_a_token_that_stands_for_no_text_ends_it(chain_run: RunDirectory) -> None:
    save(chain_run, chain(chain_run, "abcdefgh"))
    generator = TextGenerator(chain_run)
    generator.tokenizer.token_byte_lengths = np.where(np.arange(256) == ord("e"), 0, 1)
    pieces = list(generator.pieces("a", dataclasses.replace(GREEDY, stop=("dx",))))
    assert "".join(piece.text for piece in pieces) == "bcd"
    assert pieces[-1] == Piece("d", 1, "stop")


def test_the_rows_of_a_padded_table_are_never_written(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "unused").model
    torch.manual_seed(1)
    model = GPT(config, 320)
    described, tensors = describe(hugging_face_layout(config), config, 320, model.state_dict())
    folder = tmp_path / "padded"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(described))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    ByteTokenizer().save(folder)
    text = "".join(TextGenerator(folder).stream("ab", SamplingSettings(temperature=5.0, top_k=0, top_p=1.0)))
    assert text
