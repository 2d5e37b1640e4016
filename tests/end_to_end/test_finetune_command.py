"""`train finetune --from` and `compare`, as they are typed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from rich.cells import cell_len

from tui_trainer import places
from tui_trainer.cli import main

TINY = {
    "model.n_layer": 1, "model.n_head": 2, "model.n_embd": 16, "model.context_length": 16, "data.tokenizer": "bytes",
    "training.max_steps": 6, "sampling.max_new_tokens": 30,
}  # fmt: skip
FEW = ("--set", "training.max_steps=6", "--set", "training.eval_interval=6", "--set", "sampling.max_new_tokens=30")


@pytest.fixture
def run_cli(monkeypatch, capfd, tmp_path):
    """Runs the program in this process, in a folder of its own, without a terminal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.txt").write_text(topics["assert"])
    (tmp_path / "other.txt").write_text(topics["lambda"] * 3)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tui-trainer", *arguments])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ending:
            code = int(ending.code or 0)
        output, errors = capfd.readouterr()
        return code, output, errors

    return run


@pytest.fixture
def base(run_cli) -> Path:
    settings = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
    made = run_cli("train", "quick-test", "--headless", "--data", "own.txt", "--run-dir", "base", *settings)
    assert made[0] == 0, made
    return Path("base").absolute()


@pytest.fixture
def tuned(run_cli, base) -> Path:
    made = run_cli(
        "train", "finetune", "--from", "base", "--data", "other.txt", "--headless", "--run-dir", "tuned", *FEW
    )
    assert made[0] == 0, made
    assert f"setup   from {json.loads((base / 'run.json').read_text())['id']}, step" in made[1]
    assert re.search(r"compare  .* compare \S*tuned", made[1])
    return Path("tuned").absolute()


def test_from_a_base_to_both_side_by_side(run_cli, base, tuned):
    code, output, errors = run_cli("compare", "tuned", "The lambda", "A\nB", "--max-new-tokens", "20")
    assert code == 0, errors
    assert "the weights moved little" in errors
    figures, *texts = re.split(r"^prompt: ", output, flags=re.MULTILINE)
    described = [json.loads((run / "run.json").read_text()) for run in (base, tuned)]
    assert figures.split()[:4] == ["base", "tuned", *(each["id"] for each in described)]
    assert re.search(r"^tokens measured +(\d+) +\1$", figures, re.MULTILINE)
    for name in ("val loss", "val perplexity", "bits a byte"):
        one, other = re.search(rf"^{name} +(\S+) +(\S+)$", figures, re.MULTILINE).groups()
        assert float(one) > 0 and float(other) > 0
    assert re.search(r"^  all weights +0\.\d+ %$", figures, re.MULTILINE)
    assert [text.split("\n")[0] for text in texts] == ["The lambda", "A⏎B"]
    assert all(re.search(r"^base: .*^tuned: ", text, re.MULTILINE | re.DOTALL) for text in texts)
    assert run_cli("compare", "tuned", "The lambda", "A\nB", "--max-new-tokens", "20")[1] == output
    assert run_cli("compare", "tuned", "The lambda", "A\nB", "--max-new-tokens", "20", "--seed", "5")[1] != output


def test_the_losses_are_those_of_the_run(run_cli, tuned):
    losses = [
        event["val_loss"]
        for event in map(json.loads, (tuned / "events.jsonl").read_text().splitlines())
        if event["event"] == "EvaluationCompleted"
    ]
    output = run_cli("compare", "tuned", "--checkpoint", "last")[1]
    (line,) = (line for line in output.splitlines() if line.startswith("val loss"))
    assert line.split()[2:] == [f"{losses[0]:.3f}", f"{losses[-1]:.3f}"]


def test_on_a_terminal_they_stand_in_two_columns(run_cli, tuned, monkeypatch):

    monkeypatch.setattr("tui_trainer.cli.comparing._has_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    output = run_cli("compare", "tuned", "The ", "--max-new-tokens", "80")[1]
    rows = [line for line in output.splitlines() if "│" in line]
    assert re.fullmatch(r"base +│ tuned", rows[0])
    assert len({cell_len(row[: row.index("│")]) for row in rows}) == 1
    assert max(map(cell_len, output.splitlines())) <= 80


@pytest.fixture
def other(run_cli) -> str:
    """The id of a run that has nothing to do with the base; another preset, since both may start in one second."""
    settings = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
    made = run_cli("train", "small", "--headless", "--data", "other.txt", *settings, "--set", "training.seed=5")
    assert made[0] == 0, made
    (path,) = places.runs_root().iterdir()
    return path.name


def heads_of(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if line][:2]


def test_a_word_that_names_a_model_is_one_and_any_other_a_prompt(run_cli, base, other):
    base_id = json.loads((base / "run.json").read_text())["id"]
    code, output, errors = run_cli("compare", "base", other, "The lambda", "--prompt", other, "--prompt", "base")
    assert code == 0, errors
    assert heads_of(output) == [[base_id, other], ["step", "6", "6"]], "not base and tuned"
    assert re.findall(r"^prompt: (.*)", output, re.MULTILINE) == ["The lambda", other, "base"]
    assert len(re.findall(rf"^{base_id}: ", output, re.MULTILINE)) == 3
    assert not re.search(r"^(base|tuned)", output, re.MULTILINE)
    assert "weights differ by" in output and "moved" not in output + errors
    assert f"both read the validation text of {base_id}" in errors
    named = run_cli("compare", "base", "The lambda", "--prompt", other, "--with", other, "--prompt", "base")
    assert named[1:] == (output, errors)
    code, output, _ = run_cli("compare", other, "Once", "base", "upon")
    assert code == 0 and heads_of(output)[0] == [other, base_id]
    assert re.findall(r"^prompt: (.*)", output, re.MULTILINE) == ["Once", "upon"]


def test_a_run_and_its_copy_go_by_their_folders(run_cli, base):
    shutil.copytree(base, "copy")
    shutil.copytree(base, "elsewhere/base")
    assert heads_of(run_cli("compare", "base", "copy", "The ")[1])[0] == ["base", "copy"]
    assert heads_of(run_cli("compare", "copy", "base", "The ")[1])[0] == ["copy", "base"]
    code, output, errors = run_cli("compare", "base", "elsewhere/base", "The ")
    there = [str(Path(name).absolute()) for name in ("base", "elsewhere/base")]
    assert code == 0 and heads_of(output)[0] == there and f"validation text of {there[0]}" in errors
    assert all(len(re.findall(rf"^{re.escape(name)}: ", output, re.MULTILINE)) == 1 for name in there)


def test_a_base_and_its_run_are_known_in_either_order(run_cli, base, tuned):
    alone = run_cli("compare", "tuned", "The ")
    assert alone[0] == 0 and heads_of(alone[1])[0] == ["base", "tuned"]
    assert run_cli("compare", "tuned", "base", "The ") == alone
    assert run_cli("compare", "base", "tuned", "The ") == alone
    base.rename("moved")
    assert heads_of(run_cli("compare", "tuned", "moved", "The ")[1]) == heads_of(alone[1])


def test_a_folder_with_a_model_beside_a_run(run_cli, base, other):
    assert run_cli("export", "base", "--format", "safetensors", "--out", "exported")[0] == 0
    for words in (("exported", other), (other, "exported")):
        code, output, errors = run_cli("compare", *words, "The ")
        assert code == 0 and heads_of(output)[0] == [*words], errors
        assert f"both read the validation text of {other}" in errors


@pytest.mark.parametrize(
    "word", ["", " ", ".", "own.txt", "folder", "a\nb", "x" * 5000, "runs/none", "2026", "é" * 300]
)
def test_what_names_no_model_is_a_prompt(run_cli, base, word):
    Path("folder").mkdir()
    code, output, errors = run_cli("compare", "base", "--with", "base", word)
    assert code == 0 and f"\nprompt: {word}".replace("a\nb", "a⏎b") in output, errors


def test_a_prompt_as_long_as_an_argument_can_be(run_cli, base):
    code, _, errors = run_cli("compare", "base", "base", "lorem " * 20_000)
    assert code == 0 and "only the last 16 tokens fit" in errors


def test_what_is_gone_is_said(run_cli, base, tuned):
    Path("other.txt").rename("moved.txt")
    code, output, errors = run_cli("compare", "tuned")
    assert code == 0 and "val loss" in output and "no perplexity" not in errors, "its tokens are cached"
    shutil.rmtree(places.cache_folder())
    code, output, errors = run_cli("compare", "tuned")
    assert code == 0 and "no perplexity" in errors and "other.txt" in errors and "--data PATH" in errors
    code, output, errors = run_cli("compare", "tuned", "--data", "moved.txt")
    assert code == 0 and "val loss" in output
    shutil.rmtree(places.cache_folder())
    code, output, errors = run_cli("compare", "tuned")
    assert "val loss" not in output and "all weights" in output
    shutil.rmtree(base)
    code, _, errors = run_cli("compare", "tuned")
    assert code == 2 and "is not there any more" in errors and "--with" in errors
    assert run_cli("compare", "tuned", "--with", "tuned")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "finetune"), "tui-trainer train finetune --from RUN --data FILE"),
        (("train", "finetune", "--from", "nowhere"), "nowhere"),
        (("train", "finetune", "--from", "own.txt"), "name the folder it is in"),
        (("train", "finetune", "--from", "base", "--set", "model.n_layer=3"), "the base decides that"),
        (("train", "small", "--from", "base"), "--set model.context_length=16"),
        (("compare", "base"), "name one beside it: compare"),
        (("compare", "base", "20260101-120000-small"), "a prompt that looks like a run: --prompt"),
        (("compare", "base", "runs/20260101-120000-small-2", "The"), "no such run"),
        (("compare", "base", "base", "base"), "two can be compared"),
        (("compare", "base", "onnx-export"), "an export for onnxruntime"),
        (("compare", "nothing"), "no such run"),
        (("compare", "base", "--checkpoint", "worst"), "best or last"),
        (("compare", "base", "--temperature", "-1"), "temperature"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_named_in_a_line_or_three(run_cli, base, arguments, said):
    Path("onnx-export").mkdir()
    Path("onnx-export", "export.json").write_text('{"format": "onnx"}')
    code, _, errors = run_cli(*arguments)
    assert code == 2 and said in errors
    assert 1 <= len(errors.strip().splitlines()) <= 3
    assert not (Path("tuned")).exists()


@pytest.mark.parametrize("hostile", ["/" + "n" * 5000, "a\0b", "", "/dev/zero", "/nowhere\x1b[2J"])
def test_a_base_that_others_wrote_into_a_run_is_only_looked_for(run_cli, tuned, hostile):
    described = json.loads((tuned / "run.json").read_text())
    described["base"] |= {"path": hostile, "step": 10**400}
    (tuned / "run.json").write_text(json.dumps(described))
    code, _, errors = run_cli("compare", "tuned")
    assert code == 2 and "is not there any more" in errors
    assert not set(errors) & {"\x1b", "\0"} and len(errors.strip().splitlines()) <= 3
