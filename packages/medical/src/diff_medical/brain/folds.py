"""The stages that make fractions of tissue finer: in cells of 6 mm, and of 3 mm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.nn import UNet
from diff_core.noise import Keyed
from diff_core.schedule import Edm
from diff_medical.brain.fractions import simplex
from diff_medical.brain.grid import TISSUES, Grid
from diff_medical.brain.places import START, WAVES, Shape
from diff_medical.brain.stage import Guidance, Near, Progress, Stage, shares_given
from diff_medical.generator.packing import haar, inverse_haar

__all__ = ["Finer", "Folds", "Lobes", "freedom"]

BLUR = 0.04
LOW = 8**0.5  # of the transform of a constant 1
FREE = 0.5  # voxels of another class in a cell, from which on it has detail


class Finer(Stage):
    """Diffuses the fine Haar subbands of fractions, given the coarse one.

    `factor` is the number of voxels along a side of a fine cell; a coarse one has twice as many.

    The deviation of a subband goes with the root of p (1 - p), p the fraction in the coarse cell:
    a cell that is all of one tissue, or all air, has no detail. The subbands are divided by it, so
    that noise does not fall where nothing can be; where p (1 - p) is less than half a voxel they
    are 0 and nothing is learned.

    The buffer `scale` (35,) holds the deviations of what is left.
    """

    count, given, words = 7 * TISSUES, 2 * TISSUES + WAVES, 0
    factor: int
    streams: tuple[int, int]  # of a seed: of what is added to the coarse cells, of the start

    def __init__(self, network: UNet, grid: Grid, schedule: Edm) -> None:
        super().__init__(network, grid, schedule)
        self.whole = grid.cells(2 * self.factor)
        self.register_buffer("scale", torch.ones(self.count))

    def encode(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse fractions (B, 5, *S / 2) of (B, 5, *S), and what is diffused."""
        bands = haar(shares, 3, 1)
        coarse, fine = bands[:, :TISSUES] / LOW, bands[:, TISSUES:]
        deviation = self._deviation(coarse)
        return coarse, torch.where(deviation > 0, fine / deviation.clamp_min(1e-6), 0)

    def decode(self, coarse: Tensor, x: Tensor) -> Tensor:
        """The inverse of `encode`."""
        return inverse_haar(torch.cat([coarse * LOW, x * self._deviation(coarse)], 1), 3, 1)

    def channels(self, coarse: Tensor, noise: Tensor, start: Shape = START) -> Tensor:
        """`Condition.channels` for coarse fractions of a crop from cell `start`."""
        given = shares_given(coarse, noise, BLUR, start, self.whole)
        return torch.cat([given, (self._free(coarse) > 0).to(given)], 1)

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """E[x_0 | x_t] (B, 35, *S), 0 where nothing is free."""
        assert cond is not None and cond.channels is not None
        free = cond.channels[:, -TISSUES:].repeat(1, 7, 1, 1, 1)
        return super().forward(x_t, t, cond) * free

    def sample(
        self,
        coarse: Tensor,
        seeds: Sequence[int],
        steps: int,
        *,
        guidance: Guidance = Guidance(),  # noqa: B008
        near: Tensor | None = None,
        strength: float = 1.0,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw fractions (B, 5, *cells of `factor` voxels), given those of twice as many.

        near: fractions whose relatives are drawn, and `strength` as for `Near`
        """
        coarse = simplex(coarse)
        cond = Condition(channels=self.channels(coarse, Keyed(seeds)(self.streams[0], coarse)))
        shape = coarse.shape[2:]
        x = self.drawn(
            shape, seeds, steps, cond,
            stream=self.streams[1], guidance=guidance, progress=progress,
            near=None if near is None else Near(self.encode(near.to(coarse))[1], strength),
        )  # fmt: skip
        return simplex(self.decode(coarse, x))

    def _deviation(self, coarse: Tensor) -> Tensor:
        """The deviation (B, 35, *S) of the subbands of coarse fractions (B, 5, *S)."""
        scale = self.get_buffer("scale").to(coarse)[:, None, None, None]
        return scale * self._free(coarse).repeat(1, 7, 1, 1, 1)

    def _free(self, coarse: Tensor) -> Tensor:
        return freedom(coarse, (2 * self.factor) ** 3)


class Lobes(Finer):
    """The second stage: fractions in cells of 4 voxels (6 mm), given those of 8 voxels.

    The buffer `mean` (5, *cells of 4 voxels) holds the mean fractions of the training people, by
    which a scan is aligned (`preparation.mean_head`).
    """

    factor, streams = 4, (-51, -52)

    def __init__(self, network: UNet, grid: Grid, schedule: Edm) -> None:
        super().__init__(network, grid, schedule)
        self.register_buffer("mean", torch.zeros(TISSUES, *grid.cells(self.factor)))


class Folds(Finer):
    """The third stage: fractions in cells of 2 voxels (3 mm), given those of 4 voxels."""

    factor, streams = 2, (-11, -12)


def freedom(coarse: Tensor, voxels: int) -> Tensor:
    """Return the deviation (B, 5, *S) of the detail in cells of fractions (B, 5, *S).

    That of the mean of seven subbands if every part of a cell were of one tissue: eight parts of
    variance p (1 - p) are the sum of the seven. It is 0 where a cell of so many `voxels` has less
    than half a voxel of its own.
    """
    variance = coarse * (1 - coarse)
    return torch.where(variance > FREE / voxels, (8 / 7 * variance.clamp_min(0)).sqrt(), 0)
