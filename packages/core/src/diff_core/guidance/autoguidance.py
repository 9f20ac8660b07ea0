r"""Autoguidance: away from a worse version of the same model.

Guiding a Diffusion Model with a Bad Version of Itself (Karras et al., 2024):

    D_w = D_weak(x_t, cond) + w (D(x_t, cond) - D_weak(x_t, cond)) ,

with the same condition in both, so that it sharpens without the loss of variety of classifier-free
guidance, and works without any condition. The weak model is smaller or less trained (an early
checkpoint), and of the same data.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser

__all__ = ["Autoguidance"]


class Autoguidance(Denoiser):
    """The guided D_w from `denoiser` and `weak`; weight = 1 is `denoiser` alone.

    The two may have different parametrisations, but the schedule must be the same.
    Raises ValueError if it is not, or for a weight that is not finite.
    """

    def __init__(self, denoiser: Denoiser, *, weak: Denoiser, weight: float) -> None:
        super().__init__(denoiser.schedule)
        if weak.schedule != denoiser.schedule:
            raise ValueError(
                f"weak has schedule {weak.schedule}; expected that of denoiser, "
                f"{denoiser.schedule}"
            )
        if not math.isfinite(weight):
            raise ValueError(f"weight is {weight}; expected a finite number")
        self.denoiser = denoiser
        self.weak = weak
        self.weight = weight

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        strong = self.denoiser(x_t, t, cond)
        if self.weight == 1:
            return strong
        return torch.lerp(self.weak(x_t, t, cond), strong, self.weight)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)
        self.weak.check(times)
