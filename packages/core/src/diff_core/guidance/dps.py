r"""DPS: diffusion posterior sampling.

Diffusion Posterior Sampling for General Noisy Inverse Problems (Chung et al., 2023). Theorem 1
takes p(y | x_t) = N(A D, sigma_y^2 I), as if D were certain; equation 16 is then, in x_0,

    D' = D - (sigma^2 / alpha) zeta grad_{x_t} |y - A D|^2 ,    zeta = 1 / (2 sigma_y^2) .

For lack of the uncertainty of D this pulls far too hard early on. The step that the paper uses is
zeta = scale / |y - A D| (section 4), per row here (published code takes the norm of the batch). It
stands in the score, as in equation 16; the paper's algorithm 1 adds the same gradient to the state
after each DDPM step, so that its scale is not on our axis.

Bias: on a Gaussian prior N(0, c I) observed as y = x_0 + sigma_y n, with k = c / sigma_y^2, the
probability flow of the first form ends with variance c exp(-k), where c / (1 + k) is right, and
with mean sqrt(2 k) F(sqrt(k / 2)) y, F Dawson's integral, where y k / (1 + k) is right: at k = 2.8
a quarter of the variance and 1.6 times the mean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.guidance.base import AnyMeasurement, GradientGuided

__all__ = ["Dps"]


class Dps(GradientGuided[AnyMeasurement]):
    """D' above, with one backward pass a call.

    scale: a number above 0 for the normalised step; or None for theorem 1, which needs
        measurement.sigma > 0, and more steps the smaller that is: with too few it diverges. No
        value suits all measurements. Begin with 10 to 30: the paper's 0.3 to 1, which are of
        another axis, hardly heed y here
    The measurement may be nonlinear: A'(D)^T then takes the place of A^T in the gradient.
    Raises ValueError if scale is None without noise, or not above 0.
    """

    linear = False

    def __init__(
        self, denoiser: Denoiser, measurement: AnyMeasurement, *, scale: float | None
    ) -> None:
        super().__init__(denoiser, measurement)
        if scale is None and measurement.sigma == 0:
            raise ValueError(
                "measurement.sigma is 0 and scale is None; expected one of them above 0"
            )
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"scale is {scale}; expected a number above 0, or None")
        self.scale = scale

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        estimate, covariance = self.tweedie(x_t, t, cond)
        # minus half the gradient of |y - A D|^2 by x_t is J^T A^T (y - A D)
        pull = covariance(self.measurement.pull(estimate))
        if self.scale is None:
            return estimate + pull / self.measurement.sigma**2
        residual = self.measurement.residual(estimate)
        norm = residual.flatten(1).norm(dim=1).reshape(-1, *(1,) * (x_t.ndim - 1))
        return estimate + torch.where(norm > 0, 2 * self.scale * pull / norm, 0.0)
