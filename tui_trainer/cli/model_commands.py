"""The commands that use a model: what can be typed once something is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

RunName = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, or its directory.")]
TextPlace = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--data", metavar="PATH", help="Where the run's text is now; may be given again."),
]
Model = Annotated[
    str, typer.Argument(metavar="RUN|MODEL_DIR", help="The id of a run, its directory, or a folder with a model.")
]


def generate(
    model: Model,
    prompt: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[PROMPT]", help="What the text goes on from; left out: the preset's own."),
    ] = None,
    temperature: Annotated[
        Optional[float], typer.Option(help="0: always the likeliest token; higher: more daring.")  # noqa: UP045
    ] = None,
    top_k: Annotated[Optional[int], typer.Option(help="Only so many likeliest tokens; 0: all.")] = None,  # noqa: UP045
    top_p: Annotated[
        Optional[float], typer.Option(help="Only the likeliest tokens that together reach this probability.")  # noqa: UP045
    ] = None,
    min_p: Annotated[
        Optional[float], typer.Option(help="Only tokens so many times as likely as the likeliest.")  # noqa: UP045
    ] = None,
    repetition_penalty: Annotated[
        Optional[float], typer.Option(help="Above 1: less of what is there already.")  # noqa: UP045
    ] = None,
    stop: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="End before this text; may be given several times."),
    ] = None,
    max_new_tokens: Annotated[Optional[int], typer.Option(help="Tokens to generate.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="The same seed gives the same text.")] = None,  # noqa: UP045
    samples: Annotated[int, typer.Option(help="So many texts, written at once, each below a line === 1 of N ===.")] = 1,
    checkpoint: Annotated[str, typer.Option(metavar="best|last", help="Which checkpoint of a run speaks.")] = "best",
    is_unpaced: Annotated[
        bool, typer.Option("--unpaced", help="At full speed also while something trains here, which slows it down.")
    ] = False,
) -> None:
    """Write text with a run, or with a folder that holds a model."""
    from tui_trainer.cli.generating import print_text

    changes = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "stop": tuple(stop) if stop else None,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
    }
    chosen = {name: value for name, value in changes.items() if value is not None}
    print_text(model, prompt, chosen, checkpoint, samples, is_paced=not is_unpaced)


def export(
    run: RunName,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to; must be empty or not there yet.")],
    form: Annotated[
        str, typer.Option("--format", metavar="hf|safetensors|onnx|gguf", help="Which programs shall load it.")
    ] = "hf",
    quantize: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--quantize", metavar="int8", help="Smaller and faster; for onnx."),
    ] = None,
    checkpoint: Annotated[str, typer.Option(metavar="best|last", help="Which checkpoint is exported.")] = "best",
    data: TextPlace = None,
) -> None:
    """Write a model for other programs, and check it there.

    Each form is loaded by the program it is for and compared with the network that was trained; EXPORT.md tells the
    figures. A form that differs is not written.
    """
    from tui_trainer.cli import exporting

    exporting.export(run, form, out, quantize, checkpoint, tuple(data or ()))


def compare(
    run: Model,
    words: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="RUN|MODEL_DIR|PROMPT",
            help="What to compare it with, left out: its base; and what both go on from, left out: the run's own.",
        ),
    ] = None,
    prompts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--prompt", metavar="TEXT", help="A prompt, also if it names a run; may be given again."),
    ] = None,
    other: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--with", metavar="RUN|MODEL_DIR", help="The same as a second RUN|MODEL_DIR."),
    ] = None,
    temperature: Annotated[Optional[float], typer.Option(help="0: always the likeliest token.")] = None,  # noqa: UP045
    max_new_tokens: Annotated[Optional[int], typer.Option(help="Tokens to generate.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Of both; left out: the run's.")] = None,  # noqa: UP045
    checkpoint: Annotated[str, typer.Option(metavar="best|last", help="Which checkpoint of RUN speaks.")] = "best",
    data: TextPlace = None,
) -> None:
    """Show a fine-tuned run and its base, or any two models, side by side.

    Perplexity on the run's validation text, how far the weights moved, and what both make of the same prompts.
    """
    from tui_trainer.cli import comparing

    changes = {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
    chosen = {name: value for name, value in changes.items() if value is not None}
    comparing.compare([run, *(words or [])], prompts or [], other, checkpoint, chosen, data or [])


def serve(
    source: Annotated[str, typer.Argument(metavar="RUN|EXPORT", help="A run, or the folder of an exported model.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; anything but this machine alone needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8000,
    api_key_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--api-key-file", metavar="FILE", help="The key; else $TUI_TRAINER_API_KEY, else none."),
    ] = None,
    allowed_hosts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--allow-host", metavar="NAME", help="A host name clients may use; may be given again."),
    ] = None,
    names: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--name", metavar="NAME", help="What clients call the model; may be given again."),
    ] = None,
) -> None:
    """Answer over HTTP as OpenAI's API does.

    Also while the run still trains: a new best checkpoint is taken up between two requests.
    """
    from tui_trainer.cli import serving

    raise typer.Exit(serving.serve(source, host, port, api_key_file, allowed_hosts or [], names or []))
