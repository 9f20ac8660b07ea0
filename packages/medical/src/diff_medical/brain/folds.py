"""The second stage: fractions of tissue in cells of 3 mm, given those in cells of 6 mm."""

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
from diff_medical.brain.stage import Near, Progress, Stage, shares_given
from diff_medical.generator.packing import haar, inverse_haar

__all__ = ["FACTOR", "Folds"]

FACTOR = 2
"""Voxels along a side of a cell of the result."""

BLUR = 0.04
BLURRING, START_NOISE = -11, -12  # streams of a seed
LOW = 8**0.5  # of the transform of a constant 1


class Folds(Stage):
    """Diffuses the fine Haar subbands of fractions, given the coarse one.

    The buffer `scale` (35,) holds their standard deviations.
    """

    count, given, words = 7 * TISSUES, TISSUES + WAVES, 0

    def __init__(self, network: UNet, grid: Grid, schedule: Edm) -> None:
        super().__init__(network, grid, schedule)
        self.whole = grid.cells(2 * FACTOR)
        self.register_buffer("scale", torch.ones(self.count))

    def encode(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse fractions (B, 5, *S / 2) of (B, 5, *S), and what is diffused."""
        bands = haar(shares, 3, 1)
        return bands[:, :TISSUES] / LOW, bands[:, TISSUES:] / self._beside(shares)

    def decode(self, coarse: Tensor, x: Tensor) -> Tensor:
        """The inverse of `encode`."""
        return inverse_haar(torch.cat([coarse * LOW, x * self._beside(x)], 1), 3, 1)

    def channels(self, coarse: Tensor, noise: Tensor, start: Shape = START) -> Tensor:
        """`Condition.channels` for coarse fractions of a crop from cell `start`."""
        return shares_given(coarse, noise, BLUR, start, self.whole)

    def sample(
        self,
        coarse: Tensor,
        seeds: Sequence[int],
        steps: int,
        *,
        near: Tensor | None = None,
        strength: float = 1.0,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw fractions (B, 5, *cells of 2 voxels), given those of 4 voxels.

        near: fractions whose relatives are drawn, and `strength` as for `Near`
        """
        coarse = simplex(coarse)
        cond = Condition(channels=self.channels(coarse, Keyed(seeds)(BLURRING, coarse)))
        shape = coarse.shape[2:]
        x = self.drawn(
            shape, seeds, steps, cond, stream=START_NOISE, progress=progress,
            near=None if near is None else Near(self.encode(near.to(coarse))[1], strength),
        )  # fmt: skip
        return simplex(self.decode(coarse, x))

    def _beside(self, like: Tensor) -> Tensor:
        return self.get_buffer("scale").to(like)[:, None, None, None]
