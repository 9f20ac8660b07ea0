r"""CFG++: guidance that renoises with the unconditional noise.

CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models (Chung et al., 2024),
algorithm 2. With D_0 = D(x_t, null), D_l = D_0 + l (D(x_t, cond) - D_0) and 0 <= l <= 1, a DDIM
step is

    x_s = alpha_s D_l + sigma_s (x_t - alpha_t D_0) / sigma_t .

Solved for the D with which DDIM itself makes this step, it is classifier-free guidance with a
weight that depends on the step, w = l / (1 - rho_s / rho_t), rho = sigma / alpha. Hence a denoiser
that knows the grid, to be sampled with `Ddim()` or `Euler()` on that grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.grid import check_times
from diff_core.guidance.cfg import conditional_pair
from diff_core.schedule import log_snr

__all__ = ["CfgPP"]


class CfgPP(Denoiser):
    """The D with which DDIM makes CFG++'s steps on the grid `times` (K + 1,).

    null: as in `Cfg`
    weight: lambda, from 0 (unconditional) to 1

    Raises ValueError for a weight outside [0, 1] or a grid that does not fall; before a sampling,
    if it is on another grid.
    """

    times: Tensor
    weights: Tensor

    def __init__(
        self, denoiser: Denoiser, *, null: Condition | None, weight: float, times: Tensor
    ) -> None:
        super().__init__(denoiser.schedule)
        if not 0 <= weight <= 1:
            raise ValueError(f"weight is {weight}; expected 0 (unconditional) to 1")
        times = check_times(times)
        level = log_snr(denoiser.schedule, times)
        # a step from alpha = 0, or to sigma = 0, has rho_s / rho_t = 0
        weights = weight / -torch.expm1(level[:-1] - level[1:])
        self.denoiser = denoiser
        self.null = null
        self.register_buffer("times", times, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        cond, null = conditional_pair(cond, self.null, len(x_t))
        times = self.times.to(t.device)
        # the nearest grid point: t itself may have been rounded to float32
        middle = (times[1:-1] + times[:-2]) / 2
        step = (middle > t.unsqueeze(-1)).sum(-1)
        # an index by a single number would be read back from the device
        weight = broadcast(self.weights.to(t.device).take(step), x_t)
        unconditional = self.denoiser(x_t, t, null)
        return unconditional + weight * (self.denoiser(x_t, t, cond) - unconditional)

    def check(self, times: Tensor) -> None:
        if times.shape != self.times.shape or not torch.allclose(
            times.to(self.times), self.times, rtol=0, atol=1e-6
        ):
            raise ValueError(
                f"times is {times.tolist()}; expected the grid that CfgPP was given, "
                f"{self.times.tolist()}"
            )
        self.denoiser.check(times)
