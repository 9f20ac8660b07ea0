"""The first stage: fractions of tissue in cells of 12 mm, of a whole head at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.nn import UNet
from diff_core.noise import Keyed
from diff_core.schedule import Edm
from diff_medical.brain.grid import TISSUES, Grid
from diff_medical.brain.places import START, WAVES, waves
from diff_medical.brain.stage import Guidance, Near, Progress, Stage
from diff_medical.generator.packing import haar, inverse_haar

__all__ = ["Anatomy"]

START_NOISE, WORDS, SIZE = -1, -2, -3  # streams of a seed
VENTRICLES = ((1 / 3, 2 / 3), (9 / 28, 3 / 4), (3 / 8, 2 / 3))  # the box that they are in
FARTHEST = 3.0  # deviations of the words that a network sees


class Anatomy(Stage):
    """Diffuses the Haar subbands of fractions (B, 5, *cells of 8 voxels) of a head.

    Its words are three numbers: the logarithms of the shares of the grid that are ventricles, all
    cerebrospinal fluid and tissue, in deviations from the mean of the training people. All 0
    stands for a head of which nothing is said.

    Buffers: `mean` and `scale` (40, *S) of the subbands; where the scale is 0 all people are the
    same, and nothing is learned. `words_mean`, `words_scale` (3,)
    and `words_covariance` (3, 3) of the words, `sizes` (2,): mean and deviation of the sizes of
    heads in units of the mean head.
    """

    count, given, words = 8 * TISSUES, WAVES, 3
    factor = 8  # voxels along a side of a cell

    def __init__(self, network: UNet, grid: Grid, schedule: Edm) -> None:
        super().__init__(network, grid, schedule)
        self.whole = grid.cells(2 * self.factor)
        self.register_buffer("mean", torch.zeros(self.count, *self.whole))
        self.register_buffer("scale", torch.ones(self.count, *self.whole))
        self.register_buffer("words_mean", torch.zeros(self.words))
        self.register_buffer("words_scale", torch.ones(self.words))
        self.register_buffer("words_covariance", torch.eye(self.words))
        self.register_buffer("sizes", torch.tensor([1.0, 0.0]))

    def encode(self, shares: Tensor) -> Tensor:
        """Return what is diffused, (B, 40, *S / 2), of fractions (B, 5, *S)."""
        mean, scale = self.get_buffer("mean").to(shares), self.get_buffer("scale").to(shares)
        return torch.where(scale > 0, (haar(shares, 3, 1) - mean) / scale.clamp_min(1e-6), 0)

    def decode(self, x: Tensor) -> Tensor:
        """The inverse of `encode`."""
        mean, scale = self.get_buffer("mean").to(x), self.get_buffer("scale").to(x)
        return inverse_haar(x * scale + mean, 3, 1)

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """E[x_0 | x_t] (B, 40, *S), 0 where all people are the same."""
        free = self.get_buffer("scale") > 0
        return super().forward(x_t, t, cond) * free.to(x_t)

    def measured(self, shares: Tensor) -> Tensor:
        """Return the words (B, 3) of fractions (B, 5, *S)."""
        deviations = measures(shares) - self.get_buffer("words_mean")
        return (deviations / self.get_buffer("words_scale")).clamp(-FARTHEST, FARTHEST)

    def asked(self, seeds: Sequence[int], ventricles: float | None = None) -> Tensor:
        """Draw words (B, 3) as they are distributed over the training people, as a Gaussian.

        ventricles: their word, in deviations of the logarithm of their volume; the others are
                    then drawn given it

        Raises ValueError for a number beyond -3 to 3.
        """
        if ventricles is not None and not -FARTHEST <= ventricles <= FARTHEST:
            raise ValueError(f"ventricles is {ventricles}; expected -3 to 3 deviations")
        covariance = self.get_buffer("words_covariance").double()
        z = Keyed(seeds)(WORDS, covariance.new_empty(len(seeds), self.words))
        factor = torch.linalg.cholesky(covariance + 1e-6 * torch.eye(3).to(covariance))
        if ventricles is not None:  # the first row of the factor holds the ventricles alone
            z[:, 0] = ventricles / factor[0, 0]
        words = (z @ factor.T).clamp(-FARTHEST, FARTHEST).float()
        if ventricles is not None:
            words[:, 0] = ventricles
        return words

    def head_size(self, seed: int) -> float:
        """Draw the size of a head in units of the mean one, within two deviations."""
        mean, deviation = self.get_buffer("sizes").tolist()
        z = float(Keyed([seed])(SIZE, torch.empty(1, 1)).clamp(-2, 2))
        return mean + deviation * z

    def sample(
        self,
        seeds: Sequence[int],
        steps: int,
        words: Tensor | None = None,
        *,
        guidance: Guidance = Guidance(),  # noqa: B008
        temperature: float = 1.0,
        near: Tensor | None = None,
        strength: float = 1.0,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw fractions (B, 5, *cells of 8 voxels); they may leave 0 to 1 a little.

        near:     fractions whose relatives are drawn, and `strength` as for `Near`
        """
        device = self.get_buffer("mean").device
        words = torch.zeros(len(seeds), self.words) if words is None else words
        cond = Condition(vector=words.to(device), channels=self.position(len(seeds)))
        x = self.drawn(
            self.whole, seeds, steps, cond,
            stream=START_NOISE, temperature=temperature, guidance=guidance, progress=progress,
            near=None if near is None else Near(self.encode(near.to(device)), strength),
        )  # fmt: skip
        return self.decode(x)

    def position(self, count: int) -> Tensor:
        """`Condition.channels` (count, 12, *S)."""
        place = waves(self.whole, START, self.whole).to(self.get_buffer("mean"))
        return place.expand(count, -1, -1, -1, -1)


def measures(shares: Tensor) -> Tensor:
    """The logarithms (B, 3) of the shares of the ventricles, of all fluid and of tissue.

    shares: fractions (B, 5, *S); the ventricles are the fluid in the middle of the head
    """
    middle = tuple(
        slice(math.floor(low * n), math.ceil(high * n))
        for (low, high), n in zip(VENTRICLES, shares.shape[2:], strict=True)
    )
    inner = shares[(slice(None), 0, *middle)].mean((1, 2, 3))
    fluid, tissue = shares[:, 0].mean((1, 2, 3)), shares[:, 1:].sum(1).mean((1, 2, 3))
    return torch.stack([inner, fluid, tissue], 1).clamp_min(1e-4).log()
