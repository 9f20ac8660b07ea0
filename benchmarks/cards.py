"""Do the shipped weights have the scores of their cards? Each is scored again from its recipe.

    python benchmarks/cards.py [enhance ...] --data DIR [--cache DIR]
    python benchmarks/cards.py --logs FIRST/log.jsonl AGAIN/log.jsonl

The recipe in the card is read, and the training engine builds from it and from the data the job
that `python -m diff_audio.train` or `diff_medical.train` would run: the network must be that of
the weights, and the job's own validation scores them. Beside the card's score and the one found
now stands the 95 % interval of the mean over the validation's cases (mixtures, recordings, scans,
slices), a bootstrap: what another choice of as many cases would give. Two runs of one training
should differ by less. Exit code 1 if a card's score is outside.

Without --cache the data are decoded anew, for minutes. The second form compares two runs of one
recipe, as far as the shorter goes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

import diff_audio.train as audio
import diff_audio.weights as heard
import diff_medical.train as medical
import diff_medical.weights as seen
from diff_core.io import read_card
from diff_core.train import make_recipe
from diff_core.train.run import start_from


@dataclass(frozen=True)
class Shipped:
    """Weights, and the module and data that they were trained by."""

    weights: Path
    module: str
    inputs: object


def shipped(data: Path) -> dict[str, Shipped]:
    """By name, all that come with the packages; `data` is the folder of audio/ and medical/."""
    sound, scans = data / "audio", medical.StrictScans(data / "medical")
    listed = sound / "manifest.jsonl"
    sounds = audio.Sounds(sound / "speech", sound / "noise", listed)
    speech = audio.Speech(sound / "speech", listed)
    texts = audio.Texts(listed, "kathleen_en")
    return {
        name: Shipped(package.path_of(name), module, inputs)
        for name, package, module, inputs in (
            ("denoise", heard, "diff_audio.denoiser.training.job", sounds),
            ("vocoder", heard, "diff_audio.vocoder.training.job", speech),
            ("voice", heard, "diff_audio.voice.training.job", texts),
            ("enhance", seen, "diff_medical.enhancer.training.job", scans),
            ("generate", seen, "diff_medical.generator.training.job", scans),
            ("generate_volume", seen, "diff_medical.generator.training.job", scans),
        )
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean, 95 %, by bootstrap over the cases."""
    known = np.array([value for value in values if np.isfinite(value)])
    drawn = np.random.default_rng(0).choice(known, (10_000, len(known))).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def check(name: str, one: Shipped, out: Path) -> bool:
    """Prints the table of one model; whether all scores of its card are inside."""
    card = read_card(one.weights)
    module: Any = import_module(one.module)
    own = {key: value for key, value in card.recipe.items() if key != "start"}
    recipe = make_recipe(module.Recipe, own, f"{one.weights}: ")
    torch.manual_seed(recipe.train.seed)
    job = module.build(recipe, one.inputs, out)
    start_from(one.weights, job.model)
    with torch.no_grad():
        cases = job.cases(job.model.eval(), recipe.train.steps)
    print(f"\n| {name}, step {card.steps} | card | now | interval | cases | |")
    print("|---|---|---|---|---|---|")
    inside = True
    for score, values in cases.items():
        low, high = interval(values)
        said, now = card.scores.get(score, float("nan")), float(np.nanmean(values))
        is_in = low <= said <= high
        inside &= is_in
        print(
            f"| {score} | {said:.4f} | {now:.4f} | {low:.4f} to {high:.4f} | {len(values)} "
            f"| {'inside' if is_in else 'OUTSIDE'} |"
        )
    if rest := len(set(card.scores) - set(cases)):
        print(f"\n({rest} further scores of the card are not of the training's validation)")
    return inside


def compare(first: Path, again: Path) -> None:
    """Prints how far the losses of two runs are apart, and their validations at the same steps."""
    runs = [
        [json.loads(line) for line in path.read_text().splitlines()] for path in (first, again)
    ]
    losses, scores = (
        [{row["step"]: row[name] for row in rows if name in row} for rows in runs]
        for name in ("loss", "validation")
    )
    both = sorted(set(losses[0]) & set(losses[1]))
    apart = max(abs(losses[1][step] / losses[0][step] - 1) for step in both)
    print(f"loss at {len(both)} steps, {both[0]} to {both[-1]}: at most {100 * apart:.2f} % apart")
    print("\n| step | | first | again |")
    print("|---|---|---|---|")
    for step in (both[0], *sorted(set(scores[0]) & set(scores[1]))):
        rows = [
            ({"training loss": loss[step]} if step in loss else {}) | score.get(step, {})
            for loss, score in zip(losses, scores, strict=True)
        ]
        for name in rows[0]:
            print(f"| {step} | {name} | {rows[0][name]:.4f} | {rows[1][name]:.4f} |")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", help="default: all")
    parser.add_argument("--data", type=Path, required="--logs" not in sys.argv)
    parser.add_argument("--cache", type=Path, help="folder that keeps the decoded data")
    parser.add_argument("--logs", type=Path, nargs=2, help="compare two runs instead")
    given = parser.parse_args()
    if given.logs:
        compare(*given.logs)
        return 0
    known = shipped(given.data)
    if unknown := set(given.models) - set(known):
        parser.error(f"{', '.join(sorted(unknown))} unknown; expected {', '.join(known)}")
    good = True
    with nullcontext(given.cache) if given.cache else tempfile.TemporaryDirectory() as cache:
        for name in given.models or known:
            try:
                good &= check(name, known[name], Path(cache) / name)
            except ValueError as error:  # a recipe that is not of this version's, another network
                print(f"{name}: {error}", file=sys.stderr)
                good = False
            sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
