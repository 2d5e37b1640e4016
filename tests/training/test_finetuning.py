"""A run that goes on from another model: what it takes from there, what it says of it, and what is refused."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tiny_runs import events, hold, new, sha_of, tensors_of, tiny_config, train, trained, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.data.tokenizers import load_tokenizer
from tui_trainer.deploy.export.export import export_model
from tui_trainer.deploy.export.source import load_source
from tui_trainer.errors import UserError
from tui_trainer.events import AdviceRaised, EvaluationCompleted, RunStarted
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.model import GPT
from tui_trainer.presets import load_preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.base import load_base
from tui_trainer.training.comparison import Compared
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.weights import fingerprint

FEW = ["training.max_steps=4", "training.batch_size=4", "training.micro_batch_size=2", "training.eval_interval=2"]
QUICK = [*FEW, "sampling.prompts=[]"]


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def other_text(places) -> Path:
    (places / "other").mkdir()
    return write_text(places / "other", 2000, seed=3, alphabet="abcxyz .\n")


def make_base(places: Path, name: str, **sections: dict[str, Any]) -> RunDirectory:
    (places / f"{name}-text").mkdir()
    sections.setdefault("sampling", {"prompts": []})
    return trained(tiny_config(write_text(places / f"{name}-text"), **sections), places / name)


@pytest.fixture(scope="module")
def gpt2(places) -> RunDirectory:
    return make_base(places, "gpt2")


@pytest.fixture(scope="module")
def modern(places) -> RunDirectory:
    return make_base(places, "modern", model={"architecture": "modern"}, training={"max_steps": 5})


@pytest.fixture(scope="module")
def char(places) -> RunDirectory:
    return make_base(places, "char", data={"tokenizer": "char"}, training={"max_steps": 5})


@pytest.fixture(scope="module")
def bpe(places) -> RunDirectory:
    return make_base(places, "bpe", data={"tokenizer": "bpe", "vocab_size": 270}, training={"max_steps": 5})


def tuning(base: Path, text: Path, *overrides: str, preset: str = "finetune") -> RunConfig:
    return load_preset(preset).changed([*QUICK, *overrides], [str(text)], str(base)).config


def tune(base: RunDirectory, text: Path, path: Path, *overrides: str) -> RunDirectory:
    return trained(tuning(base.path, text, *overrides), path)


def refusal(config: RunConfig, path: Path) -> str:
    handle = train(NewRun(config, "finetune", path, "cpu"))
    assert handle.exit_code == 2
    assert not path.exists(), "a run that never was leaves a directory"
    return handle.failure or ""


def notices(run: RunDirectory) -> list[str]:
    """Without that of a warm-up as long as these four steps."""
    raised = [advice for advice in events(run, AdviceRaised) if advice.rule != "warmup"]
    return [f"{advice.rule}: {advice.evidence}. {advice.remedy}" for advice in raised]


def losses(run: RunDirectory) -> list[float]:
    return [event.val_loss for event in events(run, EvaluationCompleted)]


def weights_of(run: RunDirectory, which: Any = "best") -> dict[str, torch.Tensor]:
    tensors = tensors_of(run, which)
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}


def plain_loss(weights: dict[str, torch.Tensor], config: RunConfig, tokenizer, text: Path) -> float:
    """The base's own, by a forward pass of the network alone."""
    model = GPT(config.model, tokenizer.vocab_size).eval()
    model.load_state_dict(weights)
    content = text.read_text()
    ids = tokenizer.encode(content[int(len(content.encode()) * (1 - config.data.val_fraction)) :])
    nats, count = 0.0, 0
    with torch.inference_mode():
        for inputs, targets in EvaluationWindows(ids, config.model.context_length, 4):
            logits = model(torch.from_numpy(inputs)).double().flatten(0, 1)
            nats += F.cross_entropy(logits, torch.from_numpy(targets).flatten(), reduction="sum").item()
            count += targets.size
    return nats / count


@pytest.mark.parametrize("kind", ["gpt2", "modern", "char", "bpe"])
def test_the_loss_before_the_first_step_is_that_of_the_base(kind, other_text, tmp_path, request):
    base = request.getfixturevalue(kind)
    text = Path(base.read_config().data.paths[0]) if kind == "char" else other_text
    tuned = tune(base, text, tmp_path / "tuned")
    tokenizer = load_tokenizer(base.tokenizer)
    expected = plain_loss(weights_of(base), base.read_config(), tokenizer, text)
    assert losses(tuned)[0] == pytest.approx(expected, rel=1e-6)
    assert load_tokenizer(tuned.tokenizer).fingerprint == tokenizer.fingerprint
    assert notices(tuned) == []


def test_on_its_own_text_it_begins_with_the_bits_of_the_base(gpt2, tmp_path):
    tuned = tune(gpt2, Path(gpt2.read_config().data.paths[0]), tmp_path / "tuned")
    assert losses(tuned)[0] == min(losses(gpt2))
    assert gpt2.describe()["base"] is None


def test_it_has_the_shape_of_the_base_and_its_own_rate_and_dropout(gpt2, other_text, tmp_path):
    tuned = tune(gpt2, other_text, tmp_path / "tuned", "training.warmup_steps=2", "model.dropout=0.4")
    config, before = tuned.read_config(), gpt2.read_config()
    assert config.model == before.model.model_copy(update={"dropout": 0.4})
    assert (config.data.tokenizer, config.training.learning_rate) == ("bytes", 1e-5)
    assert (config.training.warmup_steps, config.base.path) == (2, str(gpt2.path))
    described, step = tuned.describe()["base"], CheckpointStore(gpt2.checkpoints).pointer("best")
    assert (described["name"], described["path"]) == (gpt2.run_id, str(gpt2.path))
    assert (described["step"], described["val_loss"]) == (step, min(losses(gpt2)))
    assert tuned.describe()["parent_run"] == gpt2.run_id
    assert events(tuned, RunStarted)[0].base == described
    assert sha_of(weights_of(tuned, "last")) != sha_of(weights_of(gpt2))


def test_any_preset_can_go_on_from_a_base(gpt2, other_text, tmp_path):
    tuned = trained(tuning(gpt2.path, other_text, "model.context_length=16", preset="quick-test"), tmp_path / "tuned")
    assert tuned.read_config().model == gpt2.read_config().model.model_copy(update={"dropout": 0.1})
    assert losses(tuned)[0] < 5, "the weights were drawn"


def test_its_config_repeats_it(gpt2, other_text, tmp_path):
    first = tune(gpt2, other_text, tmp_path / "first")
    again = load_preset(str(first.config_file)).changed([], []).config
    assert again.base.step == CheckpointStore(gpt2.checkpoints).pointer("best")
    second = trained(again, tmp_path / "second")
    assert sha_of(tensors_of(first)) == sha_of(tensors_of(second))
    assert second.read_config() == first.read_config()


def test_a_resume_is_exact_and_needs_the_base_no_more(gpt2, other_text, tmp_path):
    base = RunDirectory(tmp_path / "base")
    shutil.copytree(gpt2.path, base.path)
    config = tuning(base.path, other_text)
    whole = trained(config, tmp_path / "whole")
    looks = hold(new(config, RunDirectory(tmp_path / "counted"))).count
    broken = RunDirectory(tmp_path / "broken")
    hold(new(config, broken), looks * 2 // 3)
    shutil.rmtree(base.path)
    assert CheckpointStore(broken.checkpoints).load("last").step < 4
    assert train(ResumedRun(broken, broken.read_config(), "cpu")).failure is None
    assert sha_of(tensors_of(broken)) == sha_of(tensors_of(whole))
    assert events(broken, RunStarted)[-1].base == whole.describe()["base"]


def test_a_shorter_context_drops_the_positions_behind_it_and_says_so(gpt2, other_text, tmp_path):
    tuned = tune(gpt2, other_text, tmp_path / "tuned", "model.context_length=8")
    assert weights_of(tuned)["wpe.weight"].shape == (8, 16)
    (notice,) = notices(tuned)
    assert "8 tokens of context" in notice and "has 16" in notice and "positions are dropped" in notice
    config = gpt2.read_config()
    shorter = config.model_copy(update={"model": config.model.model_copy(update={"context_length": 8})})
    cropped = weights_of(gpt2) | {"wpe.weight": weights_of(gpt2)["wpe.weight"][:8]}
    expected = plain_loss(cropped, shorter, load_tokenizer(gpt2.tokenizer), other_text)
    assert losses(tuned)[0] == pytest.approx(expected, rel=1e-6)


def test_a_longer_context_is_refused_where_positions_were_learned(gpt2, modern, other_text, tmp_path):
    said = refusal(tuning(gpt2.path, other_text, "model.context_length=32"), tmp_path / "tuned")
    assert "only 16 positions" in said and "--set model.context_length=16" in said
    tuned = tune(modern, other_text, tmp_path / "modern", "model.context_length=32")
    (notice,) = notices(tuned)
    assert "32 tokens of context" in notice and "has seen 16" in notice


def test_characters_that_an_alphabet_lacks_are_counted_and_explained(char, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("abc def " * 300 + "éé한" * 12)
    tuned = tune(char, text, tmp_path / "tuned")
    (notice,) = notices(tuned)
    assert "36 of 2,436 characters of text.txt are not among the base's 11: é 한" in notice
    assert "read as ' '" in notice
    text.write_text("한글로 쓴 글 " * 100)
    said = refusal(tuning(char.path, text), tmp_path / "refused")
    assert "characters of text.txt are not among" in said and "train a new model" in said


def save_again(run: RunDirectory, changes: dict[str, torch.Tensor | None]) -> RunDirectory:
    """A copy of a run whose weights somebody changed; None: removed."""
    store = CheckpointStore(run.checkpoints)
    checkpoint = store.load("best")
    tensors = {name: tensor for name, tensor in (checkpoint.tensors | changes).items() if tensor is not None}
    store.save(checkpoint.step, tensors, checkpoint.state, checkpoint.metrics, is_best=True, keep=2)
    return run


@pytest.fixture
def copied(gpt2, tmp_path) -> RunDirectory:
    shutil.copytree(gpt2.path, tmp_path / "copied")
    return RunDirectory(tmp_path / "copied")


def test_weights_that_are_not_finite_are_refused_by_their_name(copied, other_text, tmp_path):
    tensor = tensors_of(copied, "best")["model.blocks.0.feed_forward.expansion.weight"]
    tensor[3, 5] = torch.nan
    save_again(copied, {"model.blocks.0.feed_forward.expansion.weight": tensor})
    said = refusal(tuning(copied.path, other_text), tmp_path / "tuned")
    assert "blocks.0.feed_forward.expansion.weight holds a NaN" in said


def test_weights_of_another_network_are_told_by_the_first_five_keys(copied, other_text, tmp_path):
    content = copied.config_file.read_text()
    copied.config_file.write_text(content.replace('architecture = "gpt2"', 'architecture = "modern"'))
    said = refusal(tuning(copied.path, other_text), tmp_path / "tuned")
    assert said.count(" instead of ") == 5
    assert "blocks.0.attention.projection.bias 16 instead of missing" in said


def test_rows_beyond_the_vocabulary_are_dropped_and_missing_ones_refused(copied, gpt2, other_text, tmp_path):
    table = tensors_of(copied, "best")["model.wte.weight"]
    save_again(copied, {"model.wte.weight": torch.cat([table, torch.randn(44, 16)])})
    tuned = tune(copied, other_text, tmp_path / "tuned")
    (notice,) = notices(tuned)
    assert "300 rows" in notice and "256 tokens" in notice and "dropped" in notice
    assert losses(tuned)[0] == losses(tune(gpt2, other_text, tmp_path / "unpadded"))[0]
    save_again(copied, {"model.wte.weight": table[:200]})
    assert "256 tokens, the weights know 200" in refusal(tuning(copied.path, other_text), tmp_path / "refused")


def test_a_damaged_checkpoint_gives_way_to_an_older_one_with_a_notice(copied, other_text, tmp_path):
    step = CheckpointStore(copied.checkpoints).pointer("best")
    (copied.checkpoints / f"step-{step:08}.safetensors").write_bytes(b"short")
    tuned = tune(copied, other_text, tmp_path / "tuned")
    (notice,) = notices(tuned)
    assert "instead" in notice
    assert tuned.describe()["base"]["step"] != step
    for path in copied.checkpoints.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    assert "no usable checkpoint" in refusal(tuning(copied.path, other_text), tmp_path / "refused")


def test_a_checkpoint_can_be_named_by_its_step(gpt2, other_text, tmp_path):
    last = max(CheckpointStore(gpt2.checkpoints).steps())
    tuned = tune(gpt2, other_text, tmp_path / "tuned", f"base.step={last}")
    assert tuned.describe()["base"]["step"] == last
    assert "choose another step" in refusal(tuning(gpt2.path, other_text, "base.step=3"), tmp_path / "refused")


def save_folder(path: Path, **changes: Any) -> Path:
    """What transformers itself writes for a GPT-2 that ends in padded rows, and a tokenizer of GPT-2's."""
    import transformers

    torch.manual_seed(1)
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 32, "vocab_size": 260} | changes
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).save_pretrained(path)
    from tui_trainer.data.tokenizers import BpeTokenizer, hugging_face_files

    ranks = {bytes([byte]): byte for byte in range(256)}
    for name, content in hugging_face_files(BpeTokenizer("bpe", ranks), 32).items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture(scope="module")
def folder(places) -> Path:
    return save_folder(places / "folder")


@pytest.mark.parametrize(("activation", "epsilon"), [("gelu_tanh", 1e-5), ("gelu", 0.02)])
def test_a_folder_of_hugging_face_is_a_base_too(activation, epsilon, other_text, tmp_path):
    import transformers

    theirs = {"activation_function": activation.replace("tanh", "new"), "layer_norm_epsilon": epsilon}
    folder = save_folder(tmp_path / "folder", **theirs)
    tuned = trained(tuning(folder, other_text), tmp_path / "tuned")
    shape = tuned.read_config().model
    assert (shape.context_length, shape.activation, shape.layer_norm_epsilon) == (32, activation, epsilon)
    assert any("260 rows" in notice and "256 tokens" in notice for notice in notices(tuned))
    model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    content = other_text.read_bytes()
    ids, nats, count = content[int(len(content) * 0.9) :], 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(ids) - 1, 32):
            targets = torch.tensor(list(ids[start + 1 : start + 33]))
            inputs = torch.tensor([list(ids[start : start + len(targets)])])
            nats += F.cross_entropy(model(inputs).logits[0, :, :256], targets, reduction="sum").item()
            count += len(targets)
    assert losses(tuned)[0] == pytest.approx(nats / count, rel=1e-5)
    assert tuned.describe()["base"]["step"] is None


def test_a_folder_with_a_pickle_or_half_a_file_is_refused(folder, other_text, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    assert "model.safetensors" in refusal(tuning(broken, other_text), tmp_path / "half")
    weights.rename(broken / "pytorch_model.bin")
    assert "pytorch_model.bin" in refusal(tuning(broken, other_text), tmp_path / "pickle")
    assert "no run and has no steps" in refusal(tuning(folder, other_text, "base.step=1"), tmp_path / "step")


def test_a_folder_that_describes_other_weights_is_refused(folder, other_text, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    described = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(described | {"n_layer": 2}))
    assert "transformer.h.1." in refusal(tuning(broken, other_text), tmp_path / "refused")
    save_file({"wte.weight": torch.zeros(260, 16)}, broken / "model.safetensors")
    with pytest.raises(UserError, match="missing"):
        load_base(broken)


@pytest.mark.parametrize(("kind", "form"), [("bpe", "hf"), ("modern", "hf"), ("char", "safetensors")])
def test_what_was_exported_is_the_base_that_it_was(kind, form, other_text, tmp_path, request):
    run = request.getfixturevalue(kind)
    exported = tmp_path / "exported"
    export_model(load_source(run, "best"), form, exported, quantize=None, now=datetime(2026, 11, 24, tzinfo=UTC))
    base, found = load_base(run.path), load_base(exported)
    assert fingerprint(found.weights) == fingerprint(base.weights)
    assert found.model.model_copy(update={"dropout": base.model.dropout}) == base.model
    assert found.tokenizer.encode("abc def.\n").tolist() == base.tokenizer.encode("abc def.\n").tolist()
    text = Path(run.read_config().data.paths[0])
    tuned = [tune(RunDirectory(path), text, tmp_path / path.name[:3]) for path in (run.path, exported)]
    assert losses(tuned[0]) == losses(tuned[1])


def test_a_compared_text_ends_where_a_text_ends(bpe, monkeypatch):
    """A token that stands for no text, as GPT-2's end of text, is the last one."""
    compared = Compared(bpe.path, "best")
    lengths = compared.tokenizer.token_byte_lengths.copy()
    lengths[7] = 0
    monkeypatch.setattr(compared.tokenizer, "token_byte_lengths", lengths)
    tokens = iter([65, 66, 7, 67])
    monkeypatch.setattr("tui_trainer.training.comparison.write_next", lambda decoder, texts: [next(tokens)])
    assert compared.write("a", SamplingSettings(max_new_tokens=9)) == compared.tokenizer.decode([65, 66])
    assert list(tokens) == [67]
