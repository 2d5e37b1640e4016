"""Folders of weights, against transformers itself and against what a stranger may put into one."""

from __future__ import annotations

import json
import os
import pickle
import re
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tui_trainer.config import ModelConfig
from tui_trainer.errors import UserError
from tui_trainer.model import GPT
from tui_trainer.model.hugging_face import CONFIG_FILE, WEIGHTS_FILE, describe, hugging_face_layout, read_folder
from tui_trainer.model.layouts import ACTIVATIONS, OWN

UNTIED = {"tie_word_embeddings": False}
both = pytest.mark.parametrize("architecture", ["gpt2", "modern"])


def shaken(architecture: str, **changes) -> GPT:
    torch.manual_seed(0)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "context_length": 12, "dropout": 0.25} | changes
    model = GPT(ModelConfig(architecture=architecture, **shape), 50).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + 0.1)
    return model


def write(model: GPT, folder: Path, layout=None, **changes) -> Path:
    config, weights = describe(
        layout or hugging_face_layout(model.config), model.config, model.vocab_size, model.state_dict()
    )
    (folder / CONFIG_FILE).write_text(json.dumps({**config, **changes}))
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


def rewrite(folder: Path, change) -> Path:
    save_file(change(load_file(folder / WEIGHTS_FILE)), folder / WEIGHTS_FILE)
    return folder


def assert_same(folder: Path, model: GPT) -> None:
    found = read_folder(folder)
    wanted = model.state_dict()
    assert found.weights.keys() == wanted.keys()
    assert all(torch.equal(found.weights[name], wanted[name]) for name in wanted)


@both
@pytest.mark.filterwarnings("ignore")
def test_transformers_gives_the_same_logits(architecture: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = shaken(architecture)
    theirs = AutoModelForCausalLM.from_pretrained(write(model, tmp_path)).eval()
    tokens = torch.randint(50, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens), rtol=0, atol=1e-5)


@both
@pytest.mark.filterwarnings("ignore")
def test_a_folder_that_transformers_saved_is_read(architecture: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = shaken(architecture)
    (tmp_path / "again").mkdir()
    AutoModelForCausalLM.from_pretrained(write(model, tmp_path)).save_pretrained(tmp_path / "again")
    assert_same(tmp_path / "again", model)
    assert read_folder(tmp_path / "again").config == model.config


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("epsilon", [1e-5, 1e-6, 0.02])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_and_epsilon_are_those_of_transformers(activation: str, epsilon: float, tmp_path: Path) -> None:
    """Weights of a size at which another choice of either is off by at least four times the tolerance."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 12, "vocab_size": 50}
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config(**shape, activation_function=activation, layer_norm_epsilon=epsilon)).eval()
    with torch.no_grad():
        for block in theirs.transformer.h:
            for parameter in block.mlp.parameters():
                parameter.mul_(30)
    theirs.save_pretrained(tmp_path / "theirs")
    found = read_folder(tmp_path / "theirs")
    assert (found.config.activation, found.config.layer_norm_epsilon) == (ACTIVATIONS[activation], epsilon)
    ours = GPT(found.config, 50).eval()
    ours.load_state_dict(found.weights)
    tokens = torch.arange(12)[None]
    with torch.inference_mode():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=0, atol=2e-5)
    (tmp_path / "ours").mkdir()
    again = GPT2LMHeadModel.from_pretrained(write(ours, tmp_path / "ours")).eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(tokens).logits, theirs(tokens).logits, rtol=0, atol=2e-5)


@pytest.mark.parametrize("changes", [{"activation": "gelu"}, {"layer_norm_epsilon": 1e-6}])
def test_own_layout_keeps_activation_and_epsilon(changes: dict, tmp_path: Path) -> None:
    """As version 2, for what reads version 1 would compute another network."""
    model = shaken("gpt2", **changes)
    assert read_folder(write(model, tmp_path, OWN)).config == model.config
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["format_version"] == 2


@both
def test_own_layout_of_version_1_stays_as_it_was(architecture: str, tmp_path: Path) -> None:
    write(shaken(architecture), tmp_path, OWN)
    described = json.loads((tmp_path / CONFIG_FILE).read_text())
    assert described["format_version"] == 1
    assert not {"activation", "layer_norm_epsilon"} & described.keys()


@both
def test_own_layout_comes_back(architecture: str, tmp_path: Path) -> None:
    model = shaken(architecture)
    found = read_folder(write(model, tmp_path, OWN))
    assert (found.config, found.vocab_size, found.notices) == (model.config, 50, ())
    assert_same(tmp_path, model)


def test_names_without_prefix_masks_and_a_repeated_head_are_read(tmp_path: Path) -> None:
    """As the first GPT-2 files have it."""
    model = shaken("gpt2")

    def as_openai(tensors):
        bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
        return bare | {"h.0.attn.bias": torch.ones(1, 1, 12, 12), "lm_head.weight": bare["wte.weight"].clone()}

    assert_same(rewrite(write(model, tmp_path), as_openai), model)


def test_a_head_alone_is_the_embedding(tmp_path: Path) -> None:
    model = shaken("gpt2")

    def as_head(tensors):
        return {name.replace("transformer.wte", "lm_head"): tensor for name, tensor in tensors.items()}

    assert_same(rewrite(write(model, tmp_path), as_head), model)
    (tmp_path / CONFIG_FILE).write_text(json.dumps(json.loads((tmp_path / CONFIG_FILE).read_text()) | UNTIED))
    with pytest.raises(UserError, match="tie_word_embeddings = false, but there is no head"):
        read_folder(tmp_path)


def test_a_head_that_is_said_to_be_untied_and_is_the_embedding_is_read(tmp_path: Path) -> None:
    model = shaken("gpt2")
    write(model, tmp_path, **UNTIED)
    rewrite(tmp_path, lambda tensors: tensors | {"lm_head.weight": tensors["transformer.wte.weight"].clone()})
    assert_same(tmp_path, model)


@both
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod."])
def test_the_names_of_wrappers_are_passed_over(prefix: str, architecture: str, tmp_path: Path) -> None:
    model = shaken(architecture)
    write(model, tmp_path)
    assert_same(rewrite(tmp_path, lambda tensors: {prefix + name: part for name, part in tensors.items()}), model)


@pytest.mark.parametrize("bare", ["", "transformer."])
def test_compiled_blocks_of_a_wrapped_model_are_read(bare: str, tmp_path: Path) -> None:
    model = shaken("gpt2")

    def as_compiled(tensors):
        names = {name: re.sub(r"(h\.\d\.)", r"\1_orig_mod.", name).replace("transformer.", bare) for name in tensors}
        return {f"module.{names[name]}": part for name, part in tensors.items()}

    assert_same(rewrite(write(model, tmp_path), as_compiled), model)


def test_a_tensor_under_two_names_is_refused(tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    rewrite(tmp_path, lambda tensors: tensors | {"module.wpe.weight": torch.zeros(12, 16)})
    with pytest.raises(UserError, match=r"module\.wpe\.weight.*are one tensor"):
        read_folder(tmp_path)


def test_a_model_in_several_files_is_read(tmp_path: Path) -> None:
    model = shaken("gpt2")
    write(model, tmp_path)
    tensors = list(load_file(tmp_path / WEIGHTS_FILE).items())
    names = {}
    for number in (0, 1):
        part = dict(tensors[number::2])
        save_file(part, tmp_path / f"model-{number}.safetensors")
        names |= dict.fromkeys(part, f"model-{number}.safetensors")
    (tmp_path / WEIGHTS_FILE).unlink()
    (tmp_path / f"{WEIGHTS_FILE}.index.json").write_text(json.dumps({"weight_map": names}))
    assert_same(tmp_path, model)


def test_narrow_weights_are_widened_and_said(tmp_path: Path) -> None:
    model = shaken("gpt2")
    rewrite(write(model, tmp_path), lambda tensors: {name: part.half() for name, part in tensors.items()})
    found = read_folder(tmp_path)
    assert found.notices == ("weights converted to fp32 from F16",)
    assert {tensor.dtype for tensor in found.weights.values()} == {torch.float32}


def test_an_untied_head_is_refused(tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    rewrite(tmp_path, lambda tensors: tensors | {"lm_head.weight": torch.zeros(50, 16)})
    with pytest.raises(UserError, match="not tied"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "llama"}, "model_type = 'llama': must be gpt2 or nanochat"),
        ({"model_type": ["gpt2"]}, "model_type"),
        ({"activation_function": "silu"}, "activation_function = silu: this network needs"),
        ({"layer_norm_epsilon": 0.0}, "[model] layer_norm_epsilon = 0.0: must be greater than 0"),
        ({"n_inner": 17}, "n_inner = 17: this network needs 64"),
        ({"n_layer": True}, "n_layer"),
        ({"n_layer": 3}, "transformer.h.2.ln_1.weight is missing"),
        ({"n_layer": 1}, "transformer.h.1.ln_1.bias is unknown"),
        ({"n_head": 3}, "does not divide"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"vocab_size": 10**9}, "transformer.wte.weight is [50, 16], not [1000000000, 16]"),
        ({"n_embd": 16_384}, "; and 2"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
    ],
)
def test_another_network_is_refused_by_its_key(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        read_folder(write(shaken("gpt2"), tmp_path, **changes))
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize(
    "changes",
    [
        {"final_logit_softcapping": None},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        {"rope_parameters": {"rope_type": "yarn"}},
        {"num_key_value_heads": 1},
        {"hidden_act": "silu"},
    ],
)
def test_another_nanochat_is_refused(changes: dict, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this network needs"):
        read_folder(write(shaken("modern"), tmp_path, **changes))


def header(content: dict, data: bytes = b"") -> bytes:
    encoded = json.dumps(content).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


FOUR_TERABYTES = {"wte.weight": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}
BROKEN = {
    "empty": b"",
    "a header of 2^60 bytes": struct.pack("<Q", 2**60) + b"{}",
    "a tensor of 4 TB": header(FOUR_TERABYTES),
    "no JSON": struct.pack("<Q", 4) + b"nope",
    "a pickle under another name": pickle.dumps({"weights": [1, 2]}),
}


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    (tmp_path / WEIGHTS_FILE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 548105171\n")
    with pytest.raises(UserError, match=r"a pointer of Git LFS, not the file itself\nfetch it: git lfs pull"):
        read_folder(tmp_path)


def test_weights_under_another_name_are_named(tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    (tmp_path / WEIGHTS_FILE).rename(tmp_path / "gpt2-medium.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is missing\nis it gpt2-medium\.safetensors\?"):
        read_folder(tmp_path)


def test_tensors_under_another_prefix_are_shown_beside_what_is_missing(tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    rewrite(tmp_path, lambda tensors: {f"model.{name}": part for name, part in tensors.items()})
    with pytest.raises(UserError, match=r"wte\.weight is missing; .*; model\.transformer\.\S+ is unknown; .*more"):
        read_folder(tmp_path)


@pytest.mark.parametrize("position", ["max_position_embeddings", "n_ctx"])
def test_the_other_names_of_the_keys_are_read(position: str, tmp_path: Path) -> None:
    model = shaken("gpt2")
    write(model, tmp_path)
    described = json.loads((tmp_path / CONFIG_FILE).read_text())
    del described["n_ctx"]
    names = {"n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "n_embd": "hidden_size"}
    names["n_positions"] = position
    (tmp_path / CONFIG_FILE).write_text(json.dumps({names.get(key, key): value for key, value in described.items()}))
    assert read_folder(tmp_path).config == model.config


def test_where_both_names_are_there_the_own_one_counts(tmp_path: Path) -> None:
    model = shaken("gpt2")
    assert read_folder(write(model, tmp_path, n_ctx=8, hidden_size=999)).config == model.config


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    model = shaken("gpt2")
    write(model, tmp_path)
    (tmp_path / CONFIG_FILE).write_text((tmp_path / CONFIG_FILE).read_text(), encoding="utf-8-sig")
    assert read_folder(tmp_path).config == model.config


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused(content: bytes, tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(UserError, match="damaged or cut off"):
        read_folder(tmp_path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_cut_file_is_refused(share: float, tmp_path: Path) -> None:
    path = write(shaken("gpt2"), tmp_path) / WEIGHTS_FILE
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(UserError, match="damaged or cut off"):
        read_folder(tmp_path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "exploded").touch, ())

    write(shaken("gpt2"), tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match=r"pytorch_model\.bin: a pickle"):
        read_folder(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    (tmp_path / "inner").mkdir()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        (tmp_path / name).rename(tmp_path / (f"inner/{name}" if name == CONFIG_FILE else name))
    index = {"weight_map": {"wte.weight": f"../{WEIGHTS_FILE}"}}
    (tmp_path / "inner" / f"{WEIGHTS_FILE}.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="not a file beside it"):
        read_folder(tmp_path / "inner")


@pytest.mark.parametrize("content", [b"[]", b"{", b"[" * 100_000, b"\xff\xfe", b"{}"])
def test_a_config_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    write(shaken("gpt2"), tmp_path)
    (tmp_path / CONFIG_FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json"):
        read_folder(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_folder(tmp_path / "nowhere")
    write(shaken("gpt2"), tmp_path)
    (tmp_path / CONFIG_FILE).unlink()
    os.mkfifo(tmp_path / CONFIG_FILE)
    with pytest.raises(UserError, match="not a regular file"):
        read_folder(tmp_path)


def test_weights_that_diverged_are_refused(tmp_path: Path) -> None:
    model = shaken("modern")
    with torch.no_grad():
        model.wte.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match=r"wte\.weight holds NaN"):
        read_folder(write(model, tmp_path))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="newer tui-trainer"):
        read_folder(write(shaken("gpt2"), tmp_path, OWN, format_version=3))
