r"""The sharpness of the stages of the brain generator, by the weight of their autoguidance.

    python benchmarks/medical/autoguidance.py --brains PREPARED --brain-weights DIR

PREPARED is a folder of `diff_medical.train brain-prepare`, DIR one with the stages and their weak
versions. `lobes` and `folds` complete the coarse fractions of held-out people; `anatomy` draws
heads, beside the people of the training. A table for each stage: the power of the samples' grey
and white matter over that of people, log10, in the lowest and the highest of eight bands of
frequency; the steps of grey matter between neighbours, in units of its amount; the entropy of the
fractions, which is 0 where each cell is of one tissue; and for completions the root mean square
error, for heads the distance to the nearest person of the training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diff_medical.brain.fractions import fractions
from diff_medical.brain.model import BrainGenerator
from diff_medical.brain.people import People, read_grid, read_people
from diff_medical.brain.sampling import Autoguided, BrainSampling, Steps
from diff_medical.brain.training.augment import mirrored
from diff_medical.brain.training.preview import nearest, power_gap

WEIGHTS = (1.0, 1.5, 2.0, 2.5, 3.0)


def main() -> None:
    """Parse the options and print a table for each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--brains", type=Path, required=True)
    parser.add_argument("--brain-weights", type=Path)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = BrainGenerator.from_pretrained(given.brain_weights, device="cpu")
    grid = read_grid(given.brains)
    people, held = (read_people(given.brains, grid, split) for split in ("train", "val"))
    with torch.no_grad():
        _anatomy(model, people, held, given.heads)
        for name in ("lobes", "folds"):
            _finer(model, name, held)


def _anatomy(model: BrainGenerator, people: People, held: People, heads: int) -> None:
    stage = model.stage("anatomy")
    known = _heads(people, stage.factor)
    both = torch.cat([known, mirrored(known)])

    _header("anatomy", "nearest")
    real = _heads(held, stage.factor)
    _row("people", real, known, f"{nearest(real, both):.4f}")
    seeds = list(range(100, 100 + heads))
    for weight in WEIGHTS:
        made = stage.sample(
            seeds,
            Steps().anatomy,
            stage.asked(seeds),
            guidance=_guidance(model, "anatomy", weight),
        )
        _row(f"{weight:g}", made, known, f"{nearest(made, both):.4f}")


def _finer(model: BrainGenerator, name: str, held: People) -> None:
    stage = model.stage(name)
    real, coarse = _heads(held, stage.factor), _heads(held, 2 * stage.factor)
    _header(name, "error")
    _row("people", real, real, "")
    for weight in WEIGHTS:
        made = stage.sample(
            coarse,
            list(range(len(held))),
            getattr(Steps(), name),
            guidance=_guidance(model, name, weight),
        )
        _row(f"{weight:g}", made, real, f"{float((made - real).square().mean().sqrt()):.4f}")


def _guidance(model: BrainGenerator, name: str, weight: float) -> Any:
    return model.guidance(name, BrainSampling(autoguided=Autoguided(**{name: weight})))


def _heads(people: People, factor: int) -> Tensor:
    return torch.cat([fractions(labels[None], factor) for labels in people.labels])


def _header(name: str, last: str) -> None:
    print(f"\n| {name}: weight | power low | high | steps of grey matter | entropy | {last} |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)


def _row(name: str, made: Tensor, real: Tensor, last: str) -> None:
    gap = power_gap(made[:, 1:3].flatten(0, 1), real[:, 1:3].flatten(0, 1))
    grey = made[:, 1]
    steps = float((grey[:, 1:] - grey[:, :-1]).abs().sum() / grey.sum())
    all_ = torch.cat([made, 1 - made.sum(1, keepdim=True)], 1).clamp(1e-9, 1)
    entropy = -(all_ * all_.log()).sum(1)[made.sum(1) > 0.5].mean()
    print(
        f"| {name} | {gap['spectrum low']:+.2f} | {gap['spectrum high']:+.2f} | {steps:.3f} | "
        f"{float(entropy):.3f} | {last} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
