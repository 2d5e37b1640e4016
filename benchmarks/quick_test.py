"""The quick-test promise: how long it trains, how far perplexity falls, and whether it writes words of its corpus.

    python benchmarks/quick_test.py [--run RUN_DIR]

Goals on two CPU cores: at most 60 s, perplexity at most an eighth of the first evaluation, at least 80 % known words.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

from tui_trainer.inference.generator import TextGenerator
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.runs.directory import RunDirectory

SAMPLES, TOKENS = 20, 120
WORD = re.compile(r"[A-Za-z]+")


def train(run_dir: Path) -> None:
    command = [sys.executable, "-m", "tui_trainer", "train", "quick-test", "--headless", "--run-dir", str(run_dir)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def report(run_dir: Path) -> None:
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    evaluations = [event for event in events if event["event"] == "EvaluationCompleted"]
    first, best = evaluations[0]["val_perplexity"], min(event["val_perplexity"] for event in evaluations)
    print(f"trained in {events[-1]['elapsed_seconds']:.1f} s (goal: at most 60)")
    print(f"validation perplexity {first:,.1f} → {best:,.1f}, a factor of {first / best:.1f} (goal: at least 8)")
    share, count = known_words(run_dir)
    print(f"{100 * share:.1f} % of {count} generated words occur in the corpus (goal: at least 80 %)")


def known_words(run_dir: Path) -> tuple[float, int]:
    corpus = {word.lower() for text in topics.values() for word in WORD.findall(text)}
    generator = TextGenerator(RunDirectory(run_dir))
    words = []
    for seed in range(SAMPLES):
        text = "".join(generator.stream("The ", SamplingSettings(max_new_tokens=TOKENS, seed=seed)))
        # The last word may have been cut off by the end of the sample.
        words += WORD.findall(text)[:-1]
    return sum(word.lower() in corpus for word in words) / len(words), len(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    if arguments.run:
        report(arguments.run)
        return
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder) / "run")
        report(Path(folder) / "run")


if __name__ == "__main__":
    main()
