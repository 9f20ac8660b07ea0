r"""CFG-Zero*: guidance of a flow with the unconditional flow brought to the best scale.

CFG-Zero*: Improved Classifier-free Guidance for Flow Matching Models (Fan et al., 2025), algorithm
1, on the flow u = (x_t - (alpha + sigma) D) / sigma, which for rectified flow is eps - D:

    s   = <u_cond, u_null> / <u_null, u_null>   in each row,
    u_w = s u_null + w (u_cond - s u_null),

the s with which s u_null is nearest to u_cond; and u_w = 0 in the first steps, where a network
with little training knows less than nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.guidance.cfg import conditional_pair

__all__ = ["CfgZero"]


class CfgZero(Denoiser):
    """The D of the guided flow. Two calls of `denoiser` each.

    null, weight: as in `Cfg`
    still: the flow is 0 where sigma / alpha is above this, for zero-init; infinite for nowhere

    Raises ValueError for a weight that is not finite or a `still` that is not positive; when
    called, as `Cfg` does.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        null: Condition | None,
        weight: float,
        still: float = math.inf,
    ) -> None:
        super().__init__(denoiser.schedule)
        if not math.isfinite(weight):
            raise ValueError(f"weight is {weight}; expected a finite number")
        if not still > 0:
            raise ValueError(f"still is {still}; expected a positive noise level")
        self.denoiser = denoiser
        self.null = null
        self.weight = weight
        self.still = still

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        cond, null = conditional_pair(cond, self.null, len(x_t))
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        scale = broadcast(alpha + sigma, x_t)
        # sigma u, which is finite at sigma = 0
        towards = x_t - scale * self.denoiser(x_t, t, cond)
        away = x_t - scale * self.denoiser(x_t, t, null)
        rows = tuple(range(1, x_t.ndim))
        tiny = torch.finfo(x_t.dtype).tiny
        power = away.square().sum(rows, keepdim=True).clamp(min=tiny)
        away = away * ((towards * away).sum(rows, keepdim=True) / power)
        flow = torch.lerp(away, towards, self.weight)
        moving = broadcast((sigma <= self.still * alpha) | (self.still == math.inf), x_t)
        return (x_t - moving * flow) / scale

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)
