"""Fill in the hidden half of handwritten digits, and measure by how much that beats a guess.

python examples/core/inpaint.py

The model is trained in place on the 8x8 digits that scikit-learn brings along, whole ones, without
any mask: what to hide is decided afterwards. Writes out/core/inpaint.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from diff_core import Ancestral, Cosine, Denoiser, DpmSolverPP2M, Keyed, Preconditioned, uniform
from diff_core.guidance import Mmps, RePaint
from diff_core.nn import UNet
from diff_core.operator import Mask, Measurement
from diff_core.sample import Sampler, sample
from diff_core.train import Denoising, TrainConfig, edm_weight, train

SIGMA_DATA = 0.75
HELD_OUT, DRAWS = 40, 8


# 1. Data in about [-1, 1], the last digits held out.
def digits() -> Tensor:
    """(1797, 1, 8, 8)."""
    return torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32)[:, None]


class Shuffled:
    """Training digits without end; item i is a function of i alone."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        epoch, place = divmod(index, len(self.images))
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(epoch))
        return {"x_0": self.images[order[place]]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, inpaint by two methods, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500, help="optimiser steps")
    parser.add_argument("--grid", type=int, default=40, help="steps of a sampling")
    parser.add_argument("--out", type=Path, default=Path("out/core"), help="folder to write into")
    given = parser.parse_args(arguments)

    torch.manual_seed(0)
    seen, truth = digits()[:-HELD_OUT], digits()[-HELD_OUT:]
    network = UNet(spatial=2, in_channels=1, out_channels=1, channels=(32, 64), blocks=1)
    denoiser = train(
        Preconditioned(network, Cosine(), SIGMA_DATA),
        Denoising(edm_weight(SIGMA_DATA)),
        Shuffled(seen),
        TrainConfig(steps=given.steps, batch_size=64, learning_rate=2e-3, ema=0.995),
        directory=given.out / "inpaint",  # a second run goes on from here
    )

    # 2. What is observed: the upper half. A mask has one meaning everywhere: 1 = observed.
    mask = torch.ones(8, 8)
    mask[4:] = 0
    y = (mask * truth).repeat_interleave(DRAWS, 0)  # several fillings of each digit

    # 3. Two ways to heed it. RePaint is a sampler that puts y back at every step. MMPS makes of
    #    the denoiser of digits one of digits that agree with y up to a little noise, and takes any
    #    sampler. Neither needs training.
    ways: dict[str, tuple[Denoiser, Sampler]] = {
        "RePaint": (denoiser, RePaint(mask, y, resamplings=5)),
        "MMPS": (Mmps(denoiser, Measurement(Mask(mask), y, sigma=0.1), max_steps=1), Ancestral()),
    }
    noise = Keyed(range(len(y)))
    # a grid that starts where alpha is small but above 0: at 0 there is no gradient to follow
    times = uniform(given.grid, start=0.95)
    start = denoiser.schedule.sigma(times[0]).float() * noise(-1, y)
    filled = {
        name: sample(guided, sampler, start, times, noise=noise).unflatten(0, (HELD_OUT, DRAWS))
        for name, (guided, sampler) in ways.items()
    }

    # 4. Beside two guesses that need no model, and samples that never saw y.
    nearest = torch.cdist((mask * truth).flatten(1), (mask * seen).flatten(1)).argmin(1)
    free = sample(denoiser, DpmSolverPP2M(), start, times).unflatten(0, (HELD_OUT, DRAWS))
    guesses = {
        "mean of all digits": seen.mean(0).expand_as(truth),
        "digit with the most similar upper half": seen[nearest],
        "one digit of the model, y not heeded": free[:, 0],
        "RePaint, one filling": filled["RePaint"][:, 0],
        "RePaint, mean of the fillings": filled["RePaint"].mean(1),
        "MMPS, one filling": filled["MMPS"][:, 0],
        "MMPS, mean of the fillings": filled["MMPS"].mean(1),
    }
    print(f"error of the hidden half, {HELD_OUT} held-out digits, white - black = 2")
    for name, guess in guesses.items():
        error = (guess - truth)[..., 4:, :].square().mean().sqrt()
        print(f"  {name:<40} {error.item():.3f}")
    observed = (filled["RePaint"][:, 0] - truth)[..., :4, :].abs().max()
    print(f"the observed half is kept by RePaint to {observed.item():.0e}")
    draw(truth, mask, seen[nearest], filled, given.out / "inpaint.png")


def draw(
    truth: Tensor, mask: Tensor, nearest: Tensor, filled: dict[str, Tensor], path: Path
) -> None:
    """Twelve digits: whole, observed, and filled in."""
    import matplotlib.pyplot as plt

    rows = {
        "whole": truth,
        "observed": torch.where(mask > 0, truth, torch.nan),
        "most similar": torch.where(mask > 0, truth, nearest),
        "RePaint": filled["RePaint"][:, 0],
        "MMPS": filled["MMPS"][:, 0],
        "MMPS again": filled["MMPS"][:, 1],
        "MMPS, mean": filled["MMPS"].mean(1),
    }
    figure, axes = plt.subplots(len(rows), 12, figsize=(9, 5.4), layout="constrained")
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, image in zip(line, images, strict=False):
            axis.imshow(image[0], cmap="gray_r", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[], facecolor="tab:orange")
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
