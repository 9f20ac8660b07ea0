r"""PiGDM: pseudoinverse-guided diffusion models.

Pseudoinverse-Guided Diffusion Models for Inverse Problems (Song et al., 2023). The uncertainty of
D is taken to be isotropic, p(x_0 | x_t) = N(D, r_t^2 I), and so

    D' = D + (sigma^2 / alpha) J^T A^T (r_t^2 A A^T + sigma_y^2 I)^-1 (y - A D) ,   J = dD/dx_t ,

with r_t^2 = sigma^2 s^2 / (sigma^2 + alpha^2 s^2) for data of variance s^2 (the paper
has s = 1). Exact where Cov[x_0 | x_t] is r_t^2 I: a Gaussian prior of covariance s^2 I.
"""

from __future__ import annotations

from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.guidance.base import GradientGuided, estimate_variance
from diff_core.operator import Measurement

__all__ = ["PiGdm"]


class PiGdm(GradientGuided[Measurement]):
    """D' above, with one backward pass a call and a linear solve with A only.

    sigma_data: s, the standard deviation of x_0. Raises ValueError unless it is above 0.
    """

    def __init__(self, denoiser: Denoiser, measurement: Measurement, *, sigma_data: float) -> None:
        super().__init__(denoiser, measurement)
        if not sigma_data > 0:
            raise ValueError(f"sigma_data is {sigma_data}; expected a number above 0")
        self.sigma_data = sigma_data

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        estimate, covariance = self.tweedie(x_t, t, cond)
        variance = estimate_variance(self.schedule, t, self.sigma_data)
        ratio = self.measurement.sigma**2 / variance
        correction = self.measurement.correction(estimate, ratio)
        return estimate + covariance(correction) / broadcast(variance, x_t)
