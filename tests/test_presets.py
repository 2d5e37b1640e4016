from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer import estimates
from tui_trainer.config import RunConfig, parse_config, to_toml
from tui_trainer.data.batches import TrainingWindows
from tui_trainer.errors import UserError
from tui_trainer.presets import (
    ORDER,
    apply_overrides,
    apply_resume_overrides,
    change_presets,
    estimate_steps,
    estimate_tokens,
    list_presets,
    load_preset,
    presets_folder,
    safe_name,
    with_data,
)


def config_of(name: str) -> RunConfig:
    return load_preset(name).config


def test_each_file_is_in_the_order_and_loads():
    assert sorted(ORDER) == sorted(path.stem for path in presets_folder().glob("*.toml"))
    assert [preset.name for preset in list_presets()] == list(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_each_says_what_it_is_for_and_how_long_it_takes(name):
    preset = load_preset(name)
    first, second, third = preset.path.read_text().splitlines()[:3]
    assert first == f"# {preset.purpose}"
    assert second == f"# {preset.duration}"
    assert third == ""
    assert len(preset.purpose) > 20
    assert any(unit in preset.duration for unit in ("minute", "Hours", "hour", "day"))


def test_quick_test_is_the_guides_quick_experiment():
    config = config_of("quick-test")
    assert (config.model.n_embd, config.model.n_layer, config.model.architecture) == (128, 2, "gpt2")
    assert (config.training.batch_size, config.training.epochs, config.training.precision) == (4, 2, "fp32")
    assert config.data.paths == ()


def test_the_verdict_is_the_guides_default():
    config = config_of("the-verdict")
    assert (config.model.n_embd, config.model.n_head, config.model.n_layer) == (256, 4, 4)
    assert (config.training.batch_size, config.training.epochs, config.training.learning_rate) == (8, 10, 3e-4)
    assert (config.model.dropout, config.training.weight_decay, config.data.tokenizer) == (0.1, 0.1, "gpt2")
    assert config.data.paths == ("the-verdict.txt",)
    assert config.stride < config.model.context_length


def test_shakespeare_char_is_nano_gpts_cpu_experiment():
    model, data, training = (lambda c: (c.model, c.data, c.training))(config_of("shakespeare-char"))
    assert (model.n_layer, model.n_head, model.n_embd, model.context_length, model.dropout) == (4, 4, 128, 64, 0.0)
    assert (data.tokenizer, data.val_fraction, len(data.paths)) == ("char", 0.1, 1)
    assert (training.batch_size, training.max_steps, training.warmup_steps) == (12, 2000, 100)
    assert (training.learning_rate, training.min_learning_rate, training.betas) == (1e-3, 1e-4, (0.9, 0.99))
    assert (training.weight_decay, training.grad_clip, training.schedule) == (0.1, 1.0, "cosine")


@pytest.mark.parametrize(("name", "width"), [("small", 128), ("medium", 256), ("large", 512), ("xlarge", 768)])
def test_the_guides_sizes_run_without_any_text_of_ones_own(name, width):
    config = config_of(name)
    assert (config.model.n_embd, config.data.paths) == (width, ())


def test_gpt2_124m_has_the_published_parameters():
    preset = load_preset("gpt2-124m")
    assert estimates.parameter_count(preset.config.model, preset.expected_vocab_size) == 124_439_808
    assert preset.config.tokens_per_step == 491_520


def test_a_copy_with_changes_is_a_preset_too(tmp_path):
    copy = tmp_path / "내 것.toml"
    copy.write_text((presets_folder() / "quick-test.toml").read_text().replace("n_layer = 2", "num_layers = 3"))
    preset = load_preset(str(copy))
    assert preset.config.model.n_layer == 3
    assert preset.purpose.startswith("Does the code work?")
    assert preset.name == "run"
    bare = tmp_path / "bare.toml"
    bare.write_text("")
    assert load_preset(str(bare)).purpose == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quick-tst", 'no such preset (did you mean "quick-test"?)'),
        ("zzz", "no such preset\npresets: quick-test, "),
        ("zzz.toml", "no such file"),
        ("../presets/small", "no such preset"),
        (".", "not a regular file"),
        ("", "not a regular file"),
        ("n" * 400, "no such preset"),
        ("n" * 400 + ".toml", "no such file"),
        ("a\0b", "no such preset"),
    ],
    ids=lambda text: text[:20],
)
def test_an_unknown_preset_is_refused(name, said):
    with pytest.raises(UserError) as caught:
        load_preset(name)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.max_steps=500", "training", "max_steps", 500),
        ("training.learning_rate=1e-3", "training", "learning_rate", 1e-3),
        (" model.n_layer = 3 ", "model", "n_layer", 3),
        ("model.d_embed=64", "model", "n_embd", 64),
        ("training.num_epochs=3", "training", "epochs", 3),
        ("data.tokenizer=char", "data", "tokenizer", "char"),
        ('data.tokenizer="char"', "data", "tokenizer", "char"),
        ('data.paths=["a b.txt", "한.txt"]', "data", "paths", ("a b.txt", "한.txt")),
        ("training.betas=[0.8, 0.9]", "training", "betas", (0.8, 0.9)),
        ("model.dropout=0", "model", "dropout", 0.0),
        ('sampling.prompts=["a=b"]', "sampling", "prompts", ("a=b",)),
    ],
)
def test_an_override_changes_its_key_alone(override, section, key, value):
    before = config_of("quick-test")
    after = apply_overrides(before, [override])
    assert getattr(getattr(after, section), key) == value
    changed = getattr(before, section).model_copy(update={key: value})
    assert after == before.model_copy(update={section: changed})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("max_steps=5", "write it as section.key=value"),
        ("training.max_steps", "write it as section.key=value"),
        ("training.=5", "write it as section.key=value"),
        (".max_steps=5", "write it as section.key=value"),
        ("", "write it as section.key=value"),
        ("modle.n_layer=5", 'unknown section (did you mean "model"?)'),
        ("model.n_layers=5", '[model] unknown key n_layers (did you mean "n_layer"?)'),
        ("model.n_layer.x=5", "unknown key n_layer.x"),
        ("model.n_layer=", "n_layer = '': must be a whole number"),
        ("model.n_layer=three", "n_layer = 'three': must be a whole number"),
        ("model.n_layer=true", "n_layer = true: must be a whole number"),
        ("model.n_layer=2\nn_head = 1", "must be a whole number"),
        ("model.n_layer=" + "9" * 5000, "must be a whole number"),
        ("model.n_layer=" + "[" * 5000, "must be a whole number"),
        ("training.learning_rate=nan", "must be a finite number"),
        ("model.n_head=3", "n_head = 3 does not divide n_embd = 128"),
        ("data.paths=a.txt", "must be a list in [brackets]"),
        ("data.paths=['\udcff']", "not UTF-8; rename the file"),
        ("x\n\n\n\n.y=1", "unknown section"),
    ],
    ids=lambda text: text[:30].encode("ascii", "backslashreplace").decode(),
)
def test_a_wrong_override_is_named_in_at_most_three_lines(override, said):
    with pytest.raises(UserError) as caught:
        apply_overrides(config_of("quick-test"), [override])
    message = str(caught.value)
    assert message.startswith("--set")
    assert said in message
    assert len(message.splitlines()) <= 3
    assert len(message) < 300


def test_overrides_are_checked_together_so_their_order_does_not_matter():
    fitting = ["model.n_head=6", "model.n_embd=384"]
    assert apply_overrides(RunConfig(), fitting) == apply_overrides(RunConfig(), fitting[::-1])
    assert apply_overrides(RunConfig(), ["model.n_layer=1", "model.num_layers=2"]).model.n_layer == 2
    with pytest.raises(UserError, match=r"--set model\.n_head=6 --set model\.n_layer=2: .*does not divide"):
        apply_overrides(RunConfig(), ["model.n_head=6", "model.n_layer=2"])


def test_an_override_does_not_freeze_what_was_left_out():
    """The floor of the schedule is derived from the peak that is decided last."""
    config = apply_overrides(config_of("quick-test"), ["training.learning_rate=1e-5"])
    assert config.training.min_learning_rate is None


def test_a_resume_changes_only_what_a_run_can_change():
    before = config_of("quick-test")
    changes = ["training.epochs=9", "training.num_epochs=10", "sampling.temperature=0"]
    after = apply_resume_overrides(before, changes)
    assert (after.training.epochs, after.sampling.temperature, after.model) == (10, 0, before.model)
    for override in (
        "model.n_layer=3",
        "model.num_layers=3",
        "data.stride=3",
        "training.seed=1",
        "training.betas=[0,0]",
    ):
        with pytest.raises(UserError, match="cannot change while a run goes on") as caught:
            apply_resume_overrides(before, [override])
        assert len(str(caught.value).splitlines()) <= 3
    with pytest.raises(UserError, match="must be a whole number"):
        apply_resume_overrides(before, ["training.max_steps=soon"])


def test_other_text_replaces_that_of_the_preset():
    before = config_of("the-verdict")
    assert with_data(before, []) is before
    assert with_data(before, ["a.txt", "b"]).data.paths == ("a.txt", "b")
    assert with_data(before, ["a.txt"]).data.stride == before.data.stride
    with pytest.raises(UserError, match="--data: "):
        with_data(before, ["\udcff.txt"])


def test_the_prompts_and_the_duration_of_a_preset_are_those_of_its_own_text():
    small = load_preset("small")
    other = small.changed(["model.dropout=0.2"], ["a.txt"])
    assert "prompts" not in other.config.sampling.model_fields_set and not other.duration
    assert "prompts" not in small.changed(['data.paths=["a.txt"]'], []).config.sampling.model_fields_set
    chosen = small.changed(['sampling.prompts=["Mine "]'], ["a.txt"])
    assert chosen.config.sampling.prompts == ("Mine ",)
    same = small.changed(["model.dropout=0.2"], [])
    assert same.config.sampling.prompts == small.config.sampling.prompts and same.duration == small.duration


@pytest.mark.parametrize(("tokenizer", "tokens"), [("bytes", 3000), ("char", 1000), ("gpt2", 2250)])
def test_characters_of_several_bytes_are_counted_as_such(tokenizer, tokens):
    config = apply_overrides(config_of("quick-test"), [f"data.tokenizer={tokenizer}"])
    assert estimate_tokens(config, 3000, 3.0) == tokens


def test_a_change_that_fits_only_some_presets_is_a_problem_of_the_others():
    changed = {preset.name: preset for preset in change_presets(list_presets(), ["model.n_head=12"], ["a.txt"])}
    assert changed["xlarge"].config.model.n_head == 12
    assert changed["xlarge"].config.data.paths == ("a.txt",)
    assert changed["xlarge"].problem is None
    assert "n_head = 12 does not divide n_embd = 128" in (changed["quick-test"].problem or "")
    with pytest.raises(UserError, match="unknown key"):
        change_presets(list_presets(), ["model.x=8"], [])


@given(st.text())
def test_a_name_becomes_a_harmless_part_of_a_path(stem):
    name = safe_name(stem)
    assert name
    assert all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in name)
    assert not name.startswith((".", "-"))


def test_a_good_name_stays():
    assert safe_name("gpt2-124m_v1.0") == "gpt2-124m_v1.0"


@given(st.integers(70, 3000), st.integers(1, 64), st.integers(1, 70), st.integers(1, 9), st.integers(1, 5))
def test_the_steps_are_those_that_the_windows_give(tokens, context, stride, batch, epochs):
    import numpy as np

    config = parse_config(
        {
            "model": {"context_length": context},
            "data": {"stride": stride, "val_fraction": 1e-9},
            "training": {"batch_size": batch, "epochs": epochs},
        },
        "x",
    )
    windows = TrainingWindows(np.zeros(tokens - 1, np.uint16), context, stride, batch, 1)
    assert estimate_steps(config, int(tokens * (1 - config.data.val_fraction))) == windows.steps_for(epochs)


def test_a_text_shorter_than_a_window_still_counts_as_one():
    assert estimate_steps(parse_config({"data": {"stride": 50}}, "x"), 10) > 0


def test_epochs_that_are_asked_for_win_over_the_steps_of_the_preset():
    config = config_of("shakespeare-char")
    assert config.training.max_steps == 2000
    asked = apply_overrides(config, ["training.epochs=3"])
    assert (asked.training.epochs, asked.training.max_steps) == (3, None)
    both = apply_overrides(config, ["training.num_epochs=3", "training.max_steps=900"])
    assert (both.training.epochs, both.training.max_steps) == (3, 900)
    assert apply_overrides(config, ["training.num_epochs=3"]).training.max_steps is None


def test_shakespeare_fast_is_as_wide_and_deep_and_has_a_quarter_of_the_tokens():
    slow, fast = config_of("shakespeare-char"), config_of("shakespeare-fast")
    for name in ("n_layer", "n_embd", "context_length"):
        assert getattr(slow.model, name) == getattr(fast.model, name)
    assert fast.tokens_per_step * fast.training.max_steps <= slow.tokens_per_step * slow.training.max_steps / 4
    assert (fast.model.architecture, fast.training.optimizer) == ("modern", "muon")


def test_a_run_that_is_shortened_to_within_its_warm_up_is_no_mistake():
    config = apply_overrides(config_of("shakespeare-char"), ["training.warmup_steps=100"])
    shorter = apply_resume_overrides(config, ["training.max_steps=60"])
    assert (shorter.training.max_steps, shorter.training.warmup_steps) == (60, 60)
    assert apply_resume_overrides(config, ["training.max_steps=600"]).training.warmup_steps == 100


def test_fine_tuning_wants_a_base_and_says_what_to_type():
    preset = load_preset("finetune")
    assert "tui-trainer train finetune --from RUN --data FILE" in (preset.problem or "")
    assert preset.changed([], []).problem == preset.problem
    based = preset.changed(["model.dropout=0.2", "training.max_steps=5"], ["a.txt"], "a run")
    assert based.problem is None
    assert (based.config.base.path, based.config.model.dropout, based.config.data.paths) == ("a run", 0.2, ("a.txt",))
    assert (based.config.training.learning_rate, based.config.training.warmup_steps) == (1e-5, 5)
    assert preset.changed(["base.path=a run"], []).config.base == based.config.base


def test_what_the_base_decides_cannot_be_set():
    for override in ("model.n_layer=3", "model.d_embed=8", "data.tokenizer=char", "data.vocab_size=300"):
        with pytest.raises(UserError, match="the base decides that") as caught:
            load_preset("small").changed([override], [], "x")
        assert str(caught.value).startswith(f"--set {override}")
        load_preset("small").changed([override], [])


def test_a_base_belongs_to_the_configuration_and_none_leaves_no_trace():
    assert "[base]" not in to_toml(RunConfig())
    config = load_preset("small").changed(["base.step=7"], [], "/runs/한").config
    assert parse_config(tomllib.loads(to_toml(config)), "x").base == config.base
    with pytest.raises(UserError, match="cannot change while a run goes on"):
        apply_resume_overrides(config, ["base.path=other"])
    with pytest.raises(UserError, match="not UTF-8"):
        load_preset("small").changed([], [], "\udcff")
