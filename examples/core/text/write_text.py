"""Write and infill with a model of `train_text.py`.

python examples/core/text/write_text.py out/text/text.safetensors
python examples/core/text/write_text.py out/text/text.safetensors --sampler remasking --steps 256
python examples/core/text/write_text.py out/text/text.safetensors \
    --infill 'I found Sherlock Holmes ____________________ when I entered his room.'

Each `_` of --infill is one character to be found; what is given stays as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from text_model import Alphabet
from torch import Tensor

from diff_core import Keyed, uniform
from diff_core.discrete import (
    Ancestral,
    ConfidenceOrdered,
    FirstHitting,
    FromLogits,
    PredictorCorrector,
    Remasking,
    Sampler,
)
from diff_core.discrete.sample import sample
from diff_core.io import load

SAMPLERS = ("ancestral", "first-hitting", "confidence", "remasking", "corrector")


def sampler_of(name: str, temperature: float) -> Sampler:
    """The sampler of a name in SAMPLERS."""
    return {
        "ancestral": Ancestral(temperature),
        "first-hitting": FirstHitting(temperature),
        "confidence": ConfidenceOrdered(temperature),
        "remasking": Remasking(2.0, temperature=temperature),
        "corrector": PredictorCorrector(Ancestral(temperature)),
    }[name]


def write(
    denoiser: FromLogits, sampler: Sampler, template: Tensor, steps: int, seeds: Sequence[int]
) -> Tensor:
    """(B, L) texts, one a seed, that agree with `template` (L,) wherever it is not masked."""
    x = template.repeat(len(seeds), 1)
    fixed = x != template.new_tensor(denoiser.chain.categories)
    return sample(denoiser, sampler, x, uniform(steps), noise=Keyed(seeds), fixed=fixed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the texts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--sampler", choices=SAMPLERS, default="ancestral")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--length", type=int, help="characters; default: the model's window")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--infill", help="text with a _ for every character to be found")
    given = parser.parse_args(arguments)

    denoiser, card = load(given.model)
    alphabet = Alphabet(str(card.signal["alphabet"]))
    mask = denoiser.chain.mask
    if given.infill is None:
        length = given.length or int(card.signal["window"])
        template = torch.full((length,), mask)
    else:
        known = alphabet.encode(given.infill.replace("_", alphabet.characters[0]))
        gaps = torch.tensor([character == "_" for character in given.infill])
        template = known.masked_fill(gaps, mask)
    seeds = range(given.seed, given.seed + given.samples)
    chosen = sampler_of(given.sampler, given.temperature)
    for row in write(denoiser, chosen, template, given.steps, seeds):
        print(alphabet.decode(row) + "\n")


if __name__ == "__main__":
    main()
