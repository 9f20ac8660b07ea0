"""The slice network as a denoiser of whole volumes, for samplers and guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_medical.slices.mean import mean_over

if TYPE_CHECKING:
    from diff_core.progress import Progress
    from diff_medical.slices.passes import Passes

__all__ = ["VolumeDenoiser"]


class VolumeDenoiser(Denoiser):
    """A slab denoiser as a denoiser of volumes (B, 1, X, Y, Z), for samplers and guidance.

    passes:   in which planes, see `diff_medical.slices.passes`
    progress: called with the finished share of each pass
    """

    def __init__(self, denoiser: Denoiser, passes: Passes, progress: Progress) -> None:
        super().__init__(denoiser.schedule)
        self.denoiser, self.passes, self.progress = denoiser, passes, progress

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        sigma = float(self.schedule.sigma(t))
        rows = [
            mean_over(self.denoiser, row[0], sigma, self.passes, progress=self.progress)
            for row in x_t
        ]  # fmt: skip
        return torch.stack(rows)[:, None].to(x_t.device)
