from __future__ import annotations

import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.cli import main
from tui_trainer.config import MAX_CONFIG_BYTES, RunConfig, parse_config, read_toml, to_toml
from tui_trainer.errors import UserError

MANY_DIGITS = "9" * 5000
MANY_HEX_DIGITS = "0x" + "f" * 5000


def load(path) -> RunConfig:
    return parse_config(read_toml(path), str(path))


def mistake(path, content: str | bytes) -> str:
    """What a person reads who trains from such a file: it names the file, in at most three short lines."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) <= 3
    assert all(len(line) < len(str(path)) + 220 for line in message.splitlines())
    return message.replace(f"{path}: ", "")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "mine.toml"


@pytest.fixture
def refuse(file):
    return lambda content: mistake(file, content)


def test_the_defaults_are_valid_and_nothing_needs_to_be_written():
    defaults = RunConfig()
    assert parse_config({}, "nothing") == defaults
    assert parse_config(tomllib.loads(to_toml(defaults)), "all written out") == defaults


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[modle]", 'unknown section [modle] (did you mean "model"?)'),
        ("[model]\nn_layers = 3", '[model] unknown key n_layers (did you mean "n_layer"?)'),
        ("[model]\nd_embd = 3", "[model] unknown key d_embd (did you mean"),
        ("[training]\nzzz = 3", "[training] unknown key zzz"),
        ("model = 3", "model must be a table: write [model]"),
        ("[[model]]\nn_layer = 1", "model must be a table"),
        ('[model]\nn_layer = "3"', "[model] n_layer = '3': must be a whole number"),
        ("[model]\nn_layer = 2.0", "[model] n_layer = 2.0: must be a whole number"),
        ("[model]\nn_layer = true", "[model] n_layer = true: must be a whole number"),
        ("[model]\ndropout = true", "[model] dropout = true: must be a number"),
        ("[model]\nn_layer = 1979-05-27", "[model] n_layer = datetime.date(1979, 5, 27): must be a whole number"),
        ("[model.n_layer]\nx = 1", "[model] n_layer = {'x': 1}: must be a whole number"),
        ("[data]\npaths = 'a.txt'", "[data] paths = 'a.txt': must be a list in [brackets]"),
        ("[data]\npaths = [1]", '[data] paths.0 = 1: must be text in "quotes"'),
        ("[data]\ntokenizer = 'word'", "tokenizer = 'word': must be 'bpe', 'gpt2', 'char' or 'bytes'"),
        ("[training]\nbetas = [0.9]", "betas.1 = [0.9]: a value is missing"),
        ("[training]\nbetas = [0.9, 1.0]", "betas.1 = 1.0: must be less than 1"),
        ("[training]\nlearning_rate = nan", "learning_rate = nan: must be a finite number"),
        ("[training]\nlearning_rate = inf", "learning_rate = inf: must be a finite number"),
        ("[sampling]\ntemperature = -inf", "temperature = -inf: must be a finite number"),
        ("[training]\nlearning_rate = 0", "learning_rate = 0: must be greater than 0"),
        ("[model]\nn_layer = 0", "n_layer = 0: must be greater than or equal to 1"),
        ("[model]\ncontext_length = -5", "context_length = -5: must be"),
        ("[model]\nn_embd = 1_000_000_000_000", "n_embd = 1000000000000: must be less than or equal to 16384"),
        ("[training]\nbatch_size = 0", "batch_size = 0: must be"),
        ("[training]\nepochs = 0", "epochs = 0: must be"),
        ("[training]\nmax_steps = -1", "max_steps = -1: must be"),
        ("[training]\nseed = -1", "seed = -1: must be"),
        ("[training]\neval_interval = 0", "eval_interval = 0: must be"),
        ("[data]\nstride = 0", "stride = 0: must be"),
        ("[model]\nn_head = 3", "[model] n_head = 3 does not divide n_embd = 256"),
        ("[model]\narchitecture = 'modern'\nn_embd = 36\nn_head = 4", "an even n_embd / n_head, not 9"),
        ("[model]\nactivation = 'relu'", "activation = 'relu': must be 'gelu_tanh' or 'gelu'"),
        ("[model]\nlayer_norm_epsilon = 0", "layer_norm_epsilon = 0: must be greater than 0"),
        ("[model]\narchitecture = 'modern'\nactivation = 'gelu'", "activation = gelu: only for architecture = gpt2"),
        ("[model]\narchitecture = 'modern'\nlayer_norm_epsilon = 1e-6", "layer_norm_epsilon = 1e-06: only for"),
        ("[training]\nmax_steps = 10\nwarmup_steps = 11", "warmup_steps = 11 is more than max_steps = 10"),
        ("[training]\nmin_learning_rate = 1e-3", "min_learning_rate = 0.001 is above learning_rate = 0.0003"),
        ("[training]\nmicro_batch_size = 9", "micro_batch_size = 9 is more than batch_size = 8"),
        ("[model]\ndropout = 1", "dropout = 1: must be less than 1"),
        ("[model]\ndropout = -0.1", "dropout = -0.1: must be"),
        ("[data]\nval_fraction = 0", "val_fraction = 0: must be greater than 0"),
        ("[data]\nval_fraction = 1", "val_fraction = 1: must be less than 1"),
        ("[sampling]\ntop_p = 0", "top_p = 0: must be greater than 0"),
        ("[sampling]\ntop_p = 1.5", "top_p = 1.5: must be less than or equal to 1"),
        ("[sampling]\ntop_k = -1", "top_k = -1: must be"),
        ("[sampling]\ntemperature = -1", "temperature = -1: must be greater than or equal to 0"),
        ("[sampling]\nmax_new_tokens = 0", "max_new_tokens = 0: must be"),
        ("[model]\nn_layer = [[[1]]]", "n_layer = [[[1]]]: must be a whole number"),
        (f"[model]\nn_layer = {MANY_HEX_DIGITS}", "n_layer = a number of thousands of digits: must be"),
        (f"[training]\nlearning_rate = {MANY_HEX_DIGITS}", "learning_rate = a number of thousands of digits"),
        ('[model]\n"a\\nb\\u001b]0;x\\u0007\\nc\\nd" = 1', "[model] unknown key a?b?]0;x??c?d"),
        (f"[model]\n{'k' * 60_000} = 1", "[model] unknown key kkk"),
        (f'["{"한" * 9_000}"]', "unknown section [한"),
    ],
    ids=lambda text: text[:40].replace("\n", " "),
)
def test_a_wrong_value_is_named_with_its_section_and_key(refuse, content, said):
    assert said in refuse(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[model\n", "Expected ']' at the end of a table declaration (at line 1, column 7)"),
        ("[model]\nn_layer = \n", "Invalid value (at line 2, column 11)"),
        ("[model]\nn_layer = 2\nn_layer = 3\n", "Cannot overwrite a value (at line 3"),
        ("[model]\n[model]\n", "(at line 2"),
        (b"[model]\n\xff\xfe", "not UTF-8 text at byte 8"),
        ("[model]".encode("utf-16"), "not UTF-8 text at byte 0"),
        ("x = " + "[" * 5000, "nested too deeply"),
        ("x = " + "{a=" * 5000, "nested too deeply"),
        (f"[model]\nn_layer = {MANY_DIGITS}", "a number has too many digits"),
        ("#" * (MAX_CONFIG_BYTES + 1), "too large for a configuration (at most 65536 bytes)"),
    ],
    ids=lambda text: str(text[:30]),
)
def test_a_file_that_is_no_toml_says_where(refuse, content, said):
    assert said in refuse(content)


def test_only_the_first_mistakes_of_many_are_listed(refuse):
    lines = refuse("[model]\n" + "\n".join(f"key{number} = 1" for number in range(9))).splitlines()
    assert lines == ["[model] unknown key key0", "[model] unknown key key1", "and 7 more mistakes"]


def test_a_byte_order_mark_is_no_mistake(file):
    file.write_bytes(b"\xef\xbb\xbf[model]\nn_layer = 2\n")
    assert load(file).model.n_layer == 2


def test_the_largest_file_is_read(file):
    file.write_text("#" * MAX_CONFIG_BYTES)
    assert load(file) == RunConfig()


def test_whole_numbers_are_good_enough_for_fractions(file):
    file.write_text("[model]\ndropout = 0\n[sampling]\ntop_p = 1\n")
    assert load(file).model.dropout == 0.0


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "loop", "too long", "null device"])
def test_what_is_no_file_is_refused_without_being_opened(tmp_path, kind):
    path = tmp_path / "it.toml"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "too long":
            path = tmp_path / ("n" * 400)
        case "null device":
            path.symlink_to("/dev/zero")
    expected = "not a regular file" if kind in ("folder", "fifo", "null device") else "no such file"
    with pytest.raises(UserError, match=f"{path}: {expected}"):
        load(path)


def test_the_guides_names_are_accepted(file):
    file.write_text(
        "[model]\nd_embed = 64\nnum_heads = 2\nnum_layers = 3\nmax_seq_len = 32\n[training]\nnum_epochs = 7\n"
    )
    config = load(file)
    model = config.model
    assert (model.n_embd, model.n_head, model.n_layer, model.context_length) == (64, 2, 3, 32)
    assert config.training.epochs == 7


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[model]\nd_embed = 64\nn_embd = 64", "[model] d_embed and n_embd are one key; keep one of the two"),
        ("[training]\nepochs = 2\nnum_epochs = 2", "[training] epochs and num_epochs are one key"),
    ],
)
def test_both_names_of_one_key_are_refused(refuse, content, said):
    assert said in refuse(content)


def test_the_program_prints_the_mistake_alone_and_exits_with_2(file, monkeypatch, capsys):
    file.write_text('[model]\n"n_layers\\u001b[31m" = 3\n')
    monkeypatch.setattr("sys.argv", ["tui-trainer", "presets", "show", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f'{file}: [model] unknown key n_layers?[31m (did you mean "n_layer"?)\n')


def test_what_is_left_out_is_derived():
    config = parse_config({"model": {"context_length": 32}, "training": {"batch_size": 6}}, "x")
    assert (config.stride, config.tokens_per_step) == (32, 192)
    assert parse_config({"data": {"stride": 5}}, "x").stride == 5


def test_a_file_name_that_is_no_utf8_is_refused_since_no_toml_could_repeat_it():
    with pytest.raises(UserError, match=r"--data: .*not UTF-8; rename the file"):
        parse_config({"data": {"paths": ["ok.txt", "caf\udce9.txt"]}}, "--data")


def test_a_configuration_cannot_be_changed_after_its_check():
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().model.n_layer = 3


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.fixed_dictionaries(
            {},
            optional={
                "architecture": st.sampled_from(["gpt2", "modern"]),
                "n_layer": st.integers(1, 256),
                "dropout": st.floats(0, 1, exclude_max=True),
            },
        ),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "paths": st.lists(TEXTS, max_size=3),
                "val_fraction": SHARES,
                "stride": st.integers(1, 10_000),
                "tokenizer": st.sampled_from(["bpe", "gpt2", "char", "bytes"]),
            },
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "epochs": st.integers(1, 1_000_000),
                "max_steps": st.integers(1, 10**9),
                "betas": st.tuples(SHARES, SHARES).map(list),
                "learning_rate": st.floats(0, 10, exclude_min=True),
                "seed": st.integers(0, 2**31 - 1),
            },
        ),
        "sampling": st.fixed_dictionaries(
            {}, optional={"prompts": st.lists(TEXTS, max_size=3), "top_p": st.floats(0, 1, exclude_min=True)}
        ),
    },
)


@given(CONFIGS)
def test_a_written_configuration_reads_back_the_same(tables):
    config = parse_config(tables, "drawn")
    assert parse_config(tomllib.loads(to_toml(config)), "written") == config
