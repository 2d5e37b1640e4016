from __future__ import annotations

import re

import pytest

from tui_trainer.console.lines import LINES_A_RUN, LineFormatter
from tui_trainer.event_codec import encode
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    MicroBatchReduced,
    PhaseStarted,
    Record,
    RolledBack,
    RunFailed,
    RunFinished,
    RunMoving,
    RunPaused,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepCompleted,
    StepSkipped,
    TerminalLost,
)
from tui_trainer.monitor import numbers
from tui_trainer.monitor.follower import RunFollower

HOSTILE = "a\x1b]0;x\x07\x9b31m\u202e\nb"


def lines_of(run) -> list[str]:
    """What `--headless` prints of a run."""
    follower = RunFollower(run)
    formatter, lines = LineFormatter(follower), []

    def show(record: Record) -> None:
        if line := formatter.line(record):
            lines.extend(line.split("\n"))

    follower.drain(show)
    return lines


def step_lines(run) -> list[str]:
    return [line for line in lines_of(run) if line[10:].startswith("step ")]


@pytest.mark.parametrize("name", ["quick-test", "overfitting"])
def test_a_recorded_run_as_lines(make_run, snapshot, name):
    assert "\n".join(lines_of(make_run(recording=name))) == snapshot


@pytest.mark.parametrize("name", ["quick-test", "overfitting"])
def test_a_run_is_about_fifty_step_lines_that_end_with_its_last(make_run, name):
    steps = step_lines(make_run(recording=name))
    assert LINES_A_RUN / 2 <= len(steps) <= 1.2 * LINES_A_RUN + 2
    assert "100 %" in steps[-1]


def test_advice_is_printed_once_a_level(make_run):
    advice = [line for line in lines_of(make_run(recording="overfitting")) if "overfitting:" in line]
    assert [line.split()[1] for line in advice] == ["warning", "wrong"]
    assert "val 4.755 is 0.39 above its best 4.366 (step 216)" in advice[0]
    assert "More dropout" in advice[0]


def test_every_figure_of_the_screen_is_in_the_lines(make_run):
    run = make_run(recording="quick-test")
    text = re.sub(" +", " ", "\n".join(lines_of(run)))
    follower = RunFollower(run)
    follower.drain()
    start, step, evaluation = follower.state.started, follower.state.step, follower.state.evaluation
    figures = {
        "parameters": numbers.short(start.parameter_count),
        "vocabulary": f"vocabulary {start.vocab_size:,}",
        "steps": f"{start.max_steps:,} steps",
        "device": f"{start.device} {start.precision}, {start.threads} threads",
        "epoch": f"epoch {step.epoch}/{follower.state.epochs}",
        "train loss": f"loss {numbers.loss(step.train_loss)}",
        "train perplexity": f"ppl {numbers.perplexity(step.train_perplexity)}",
        "train accuracy": f"acc {numbers.percent(step.train_accuracy)}",
        "learning rate": f"lr {numbers.rate(step.learning_rate)}",
        "gradient": f"grad {numbers.loss(step.grad_norm)}",
        "tokens seen": f"{numbers.short(step.tokens_seen)} tokens seen",
        "speed": f"{numbers.short(follower.state.tokens_per_second)} tok/s",
        "memory": numbers.size(step.peak_memory_bytes),
        "time": f"{numbers.duration(step.elapsed_seconds)} elapsed",
        "train eval": f"train loss {numbers.loss(evaluation.train_eval_loss)}",
        "train eval perplexity": f"ppl {numbers.perplexity(evaluation.train_eval_perplexity)}",
        "train eval accuracy": f"acc {numbers.percent(evaluation.train_eval_accuracy)}",
        "val loss": f"val loss {numbers.loss(evaluation.val_loss)}",
        "val perplexity": f"ppl {numbers.perplexity(evaluation.val_perplexity)}",
        "val accuracy": f"acc {numbers.percent(evaluation.val_accuracy)}",
        "bits a byte": f"bits/byte {numbers.loss(evaluation.val_bpb)}",
    }
    assert [name for name, figure in figures.items() if figure not in text] == []
    assert re.search(r"\d+ s left", text)


@pytest.mark.parametrize("name", ["quick-test", "overfitting"])
@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("step", ["epoch", "loss", "ppl", "acc", "lr", "grad", "tokens seen", "tok/s", "MB"]),
        ("eval", ["train loss", "ppl", "acc", "val loss", "bits/byte"]),
    ],
)
def test_figures_stand_below_each_other(make_run, name, kind, labels):
    lines = [line for line in lines_of(make_run(recording=name)) if line[10:].startswith(f"{kind}  ")]
    for label in labels:
        assert len({line.index(f" {label}") for line in lines}) == 1, label


def test_a_clipped_step_says_so(make_run):
    steps = step_lines(make_run(recording="overfitting"))
    assert {" clipped " in line for line in steps} == {True, False}


def test_a_sparse_log_shows_as_many_steps_as_it_has(make_run):
    run, step = make_run(), {"epoch": 1, "tokens_seen": 8, "elapsed_seconds": 0.0, "learning_rate": 0.1}
    step |= dict.fromkeys(("train_loss", "train_perplexity", "train_accuracy", "grad_norm"))
    step |= {"is_clipped": False, "tokens_per_second": 1.0, "peak_memory_bytes": 0}
    write(run, start(max_steps=2400), *(StepCompleted(step=number, **step) for number in range(100, 2401, 100)))
    assert len(step_lines(run)) == 24


def write(run, *events) -> None:
    run.event_log.write_bytes(b"".join(encode(Record(3600.0 + n, 0, event)) for n, event in enumerate(events)))


def start(**changes) -> RunStarted:
    values = {
        "run_id": "r",
        "parameter_count": 1,
        "max_steps": 5,
        "tokens_per_step": 1,
        "steps_per_epoch": 1.0,
        "train_tokens": 1,
        "val_tokens": 1,
        "vocab_size": 1,
        "world_size": 1,
        "threads": 1,
        "device": "cpu",
        "precision": "fp32",
    }
    return RunStarted(**(values | changes))


def test_each_kind_of_event_has_its_line(make_run):
    run = make_run()
    write(
        run,
        PhaseStarted("preparing_data", 10),
        PhaseStarted("training", 10),
        CheckpointSaved(1200, "x", is_best=True, seconds=0.1),
        SampleGenerated(3, "p", "t", {}),
        AdviceRaised("overfitting", "warning", "val rose", "Rest.", 3, {}),
        AdviceCleared("overfitting", 4),
        ControlApplied("1", "save", None, "me", 4),
        ControlDiscarded("2", "dance", None, "me"),
        ControlApplied("3", "set", {"key": "training.learning_rate", "value": 0.0005}, "me", 4),
        StepSkipped(5, "overflow", None, None, 32768.0),
        StepSkipped(5, "overflow", None, None, 16384.0),
        StepSkipped(6, "non_finite", None, 3.25),
        RolledBack(3, 6, "loss 9.1 after 2.0", 0.5),
        MicroBatchReduced(4, 2, "out of memory"),
        RunPaused(4),
        RunResumed(4, 90.0),
        TerminalLost(),
        RunMoving(4, 1.0),
        RunFailed("the disk is full\nfree some space", 4, 1.0),
        start(resumed_from_step=3),
        RunFinished("early_stopped", 1200, 75.0),
    )
    assert lines_of(run) == [
        "01:00:00  phase   preparing data",
        "01:00:02  saved   step 1,200   best",
        "01:00:03  sample  step 3  p → t",
        "01:00:04  warning overfitting: val rose. Rest.",
        "01:00:05  cleared overfitting",
        "01:00:06  control save, asked for by me",
        "01:00:07  control dance had no effect, asked for by me",
        "01:00:08  control training.learning_rate = 0.0005, asked for by me",
        "01:00:09  skipped step 5   fp16 overflow, which is normal: again with loss scale 32768",
        "01:00:11  skipped step 6   not finite, grad norm 3.250: on with the next batch",
        "01:00:12  back    from step 6 to step 3   planned learning rate × 0.5   loss 9.1 after 2.0",
        "01:00:13  memory  2 sequences at once from step 4 on   out of memory",
        "01:00:14  paused  at step 4, saved",
        "01:00:15  resumed after 1 min 30 s",
        "01:00:16  hung up the terminal is gone; the training goes on without a screen",
        "01:00:17  moving  at step 4 to a process of its own",
        "01:00:18  failed  the disk is full⏎free some space",
        "01:00:19  started r   1 parameters   1 + 1 tokens   vocabulary 1   5 steps   cpu fp32, 1 threads"
        "   resumed from step 3",
        "01:00:20  ended   early stopped at step 1,200 after 1 min 15 s   2 fp16 overflows on the way, which is normal",
    ]


def test_a_start_tells_how_the_run_was_set_up(make_run):
    run = make_run()
    groups = [
        {"name": "matrices", "optimizer": "adamw", "tensors": 16, "parameters": 393_216, "weight_decay": 0.1},
        {"name": "vectors", "optimizer": "adamw", "tensors": 34, "parameters": 4_352, "weight_decay": 0},
        {"name": "이상한", "tensors": "many"},
    ]
    write(
        run,
        start(
            tokens_per_step=8 * 256, micro_batch_size=3, precision="bf16", precision_reason="this GPU computes it",
            parameter_groups=groups, base={"name": "a\x1brun", "step": 1200, "val_loss": 3.5, "path": "/runs/a"},
        ),
    )  # fmt: skip
    assert lines_of(run)[1:] == [
        "01:00:00  setup   from a␛run, step 1,200, val 3.500 on its own text",
        "01:00:00  setup   precision bf16: this GPU computes it",
        "01:00:00  setup   micro-batch 3 of 8 sequences, 3 a step",
        "01:00:00  setup   group     optimizer  tensors  parameters  weight decay",
        "01:00:00  setup   matrices  adamw           16     393,216           0.1",
        "01:00:00  setup   vectors   adamw           34       4,352             0",
        "01:00:00  setup   이상한    –                –           –             –",
    ]


def test_a_whole_batch_in_memory_is_not_worth_a_line(make_run):
    run = make_run()
    write(run, start(tokens_per_step=8 * 256, micro_batch_size=8), start(tokens_per_step=8 * 256))
    assert [line for line in lines_of(run) if "setup" in line] == []


def test_a_sample_is_one_line_whatever_it_holds(make_run):
    run = make_run()
    write(run, start(max_steps=2400), SampleGenerated(1200, "The\n" * 50, "one\ntwo\t" + "x" * 5000, {}))
    line = lines_of(run)[1]
    assert line.startswith("01:00:01  sample  step 1,200  The⏎The⏎") and " → one⏎two x" in line
    assert line.endswith("x…") and len(line) < 210


def test_no_text_of_a_log_reaches_the_terminal_raw(make_run):
    run = make_run()
    write(
        run,
        start(
            run_id=HOSTILE,
            device=HOSTILE,
            precision=HOSTILE,
            precision_reason=HOSTILE,
            parameter_groups=[{"name": HOSTILE, "optimizer": HOSTILE}],
        ),
        PhaseStarted(HOSTILE),
        AdviceRaised(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, {}),
        AdviceCleared(HOSTILE, 1),
        ControlApplied(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1),
        ControlDiscarded(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        ControlApplied("3", "set", {"key": HOSTILE, "value": HOSTILE}, HOSTILE, 1),
        SampleGenerated(1, HOSTILE, HOSTILE, {}),
        StepSkipped(1, HOSTILE, None, None),
        RolledBack(1, 2, HOSTILE, 0.5),
        MicroBatchReduced(1, 2, HOSTILE),
        RunFinished(HOSTILE, 1, 1.0),
        RunFailed(HOSTILE, 1, 1.0),
    )
    lines = lines_of(run)
    assert len(lines) == 16
    assert all(line.isprintable() for line in lines)


def test_what_is_not_known_is_a_dash(make_run):
    run = make_run()
    unknown = {"train_loss": None, "train_perplexity": None, "train_accuracy": None, "grad_norm": None}
    step = {"step": 1, "epoch": 1, "tokens_seen": 8, "elapsed_seconds": 0.0, "learning_rate": 0.1, "is_clipped": False}
    evaluation = dict.fromkeys(EvaluationCompleted.__dataclass_fields__) | {
        "step": 1, "epoch": 1, "elapsed_seconds": 0.0, "is_best": False, "seconds": 0.0, "is_noise": False,
    }  # fmt: skip
    write(
        run,
        StepCompleted(**step, **unknown, tokens_per_second=1.0, peak_memory_bytes=0),
        EvaluationCompleted(**evaluation),
    )
    lines = lines_of(run)
    assert "loss      –  ppl      –  acc      –  lr 1.0e-1  grad      –" in lines[0]
    assert "val loss      –  ppl      –  acc      –  bits/byte     –" in lines[1]


def test_a_pause_is_said_to_be_saved_only_when_it_is(make_run):
    """While the text is prepared there is no step yet, and of a resumed run not this one."""
    run = make_run()
    resumed = start(resumed_from_step=3)
    write(run, PhaseStarted("preparing_data"), RunPaused(0), resumed, PhaseStarted("paused"), RunPaused(3))
    lines = [line.partition("  ")[2] for line in lines_of(run)]
    assert [line for line in lines if line.startswith("paused")] == [
        "paused  while the text is prepared",
        "paused  at step 3, saved",
    ]
