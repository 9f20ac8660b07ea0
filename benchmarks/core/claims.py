"""Claims that introductions to diffusion repeat, each with a number and a verdict.

    python benchmarks/core/claims.py [--seeds 3] [--only WORD]

A perceptron learns scikit-learn's digits in some seconds, again and again, with one thing changed.
Scores are energy distances between 400 samples and 500 digits that were not learned from, unless
a claim names another. Each seed has a split, a start of the weights and noise of its own. A claim
compares two settings or more, seed by seed: the printed change is the mean of the differences,
with half of its 95 % interval. A verdict is given only where the interval excludes 0.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import claim_sampling
import claim_training
import torch
from claim_parts import Digits

from diff_core.evaluate import mean_interval

Measure = Callable[[Digits, int], dict[str, float]]


@dataclass(frozen=True)
class Claim:
    """A claim, how it is measured, and the comparison that decides.

    measure: digits and a seed to one number for each setting
    compare: (worse, better): the claim holds if the number of `worse` is the higher one
    least:   by how much it must be higher
    """

    words: str
    measure: Measure
    compare: tuple[str, str]
    unit: str = "energy distance"
    least: float = 0.0


CLAIMS = (
    Claim(
        "The schedule matters most, in sampling",
        claim_sampling.grids,
        ("spread between grids", "spread between samplers"),
    ),
    Claim(
        "Some modes are lost",
        claim_sampling.modes,
        ("samples", "other real digits"),
        "groups missed of 20",
    ),
    Claim(
        "Rare patterns are missed",
        claim_sampling.rare,
        ("share in the data", "share in the samples"),
        "per cent of inverted digits",
    ),
    Claim(
        "More sampling steps are better",
        claim_sampling.steps,
        ("5 steps", "20 steps"),
    ),
    Claim(
        "A lower temperature narrows the variety",
        claim_sampling.temperature,
        ("temperature 1", "temperature 0.7"),
        "mean distance of two samples",
    ),
    Claim(
        "A lower temperature makes better samples",
        claim_sampling.qualities,
        ("temperature 1", "temperature 0.7"),
        "distance to the nearest real digit",
    ),
    Claim(
        "Twenty times the steps take twice the memory",
        claim_sampling.memory,
        ("200 steps", "10 steps"),
        "kB of tensors alive",
        least=50.0,
    ),
    Claim(
        "Many sampling steps overfit",
        claim_sampling.copies,
        ("320 steps", "20 steps"),
        "per cent of copies",
    ),
    Claim(
        "The schedule matters most, in training",
        claim_training.schedules,
        ("spread between schedules", "spread between network widths"),
    ),
    Claim(
        "Larger batches learn faster (equal CPU time)",
        claim_training.batches,
        ("batch 16", "batch 256"),
    ),
    Claim(
        "High learning rates are unstable",
        claim_training.rates,
        ("rate 0.05, no clipping", "rate 0.002, no clipping"),
    ),
    Claim(
        "Clipping makes high rates stable",
        claim_training.rates,
        ("rate 0.05, no clipping", "rate 0.05, clipped"),
    ),
    Claim(
        "A U-Net is better than a transformer (equal CPU time)",
        claim_training.networks,
        ("transformer", "U-Net"),
    ),
    Claim(
        "More layers are better (equal updates)",
        claim_training.depths,
        ("1 layer", "4 layers"),
    ),
    Claim(
        "Long training on few data overfits",
        claim_training.memory,
        ("100 digits, 4000 updates", "100 digits, 500 updates"),
        "per cent of copies",
    ),
    Claim(
        "Augmentation helps where data are few",
        claim_training.augmentation,
        ("100 digits", "100 digits, moved by a pixel"),
    ),
    Claim(
        "Outliers spoil the training",
        claim_training.outliers,
        ("5 % of bright noise", "clean"),
    ),
    Claim(
        "Missing values spoil the training",
        claim_training.missing,
        ("20 % of the pixels set to 0", "complete"),
    ),
    Claim(
        "Data must be normalised",
        claim_training.scales,
        ("levels 0 to 16", "-1 to 1"),
    ),
)


def verdict(claim: Claim, rows: Sequence[dict[str, float]]) -> tuple[str, str]:
    """Return the change between the two settings with its interval, and what it says."""
    worse, better = claim.compare
    change = mean_interval([row[worse] - row[better] for row in rows])
    if change.low > claim.least:
        said = "holds"
    elif change.high < 0:
        said = "the reverse holds"
    elif change.high < claim.least or change.low == change.high == 0:
        said = "does not hold"
    else:
        said = "not seen"
    return f"{change.mean:.3g} ± {change.half:.2g}", said


def main() -> None:
    """Parse the options, measure every claim, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="claims whose words contain this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.process_time()
    known: dict[Measure, list[dict[str, float]]] = {}
    print("| claim | measured | change | verdict |\n|---|---|--:|---|")
    for claim in CLAIMS:
        if options.only.lower() not in claim.words.lower():
            continue
        if claim.measure not in known:
            known[claim.measure] = [
                claim.measure(Digits.split(seed), seed) for seed in range(options.seeds)
            ]
        rows = known[claim.measure]
        parts: list[str] = []
        for name in rows[0]:
            found = mean_interval([row[name] for row in rows])
            half = found.half if found.half > 1e-9 * abs(found.mean) else 0.0  # of rounding
            parts.append(f"{name}: {found.mean:.3g} ± {half:.1g}")
        change, said = verdict(claim, rows)
        print(
            f"| {claim.words} | {claim.unit}; {'; '.join(parts)} | {change} | {said} |", flush=True
        )
    print(f"\n{options.seeds} seeds, {time.process_time() - begin:.0f} s of CPU time")


if __name__ == "__main__":
    main()
