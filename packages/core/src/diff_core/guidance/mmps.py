r"""MMPS: moment-matching posterior sampling.

Learning Diffusion Priors from Observations by Expectation Maximization (Rozet et al., 2024):
p(y | x_t) is the Gaussian with the moments that y has given x_t,

    D' = D + V A^T (A V A^T + sigma_y^2 I)^-1 (y - A D) ,   V = (sigma^2 / alpha) J ,

with V = Cov[x_0 | x_t] from the Jacobian J = dD/dx_t of the denoiser itself, and the system solved
by a few conjugate gradients, one backward pass each. Exact for any Gaussian prior.
"""

from __future__ import annotations

from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.guidance.base import GradientGuided
from diff_core.operator import Measurement
from diff_core.solve import conjugate_gradients

__all__ = ["Mmps"]


class Mmps(GradientGuided[Measurement]):
    """D' above, with at most max_steps + 1 backward passes a call.

    The Jacobian of a network is only nearly symmetric and positive: the few steps of the paper (1
    to 5) are also what keeps that from doing harm, and conjugate gradients stop where it is not.
    `tolerance` is that of `conjugate_gradients`. Raises ValueError if max_steps is below 1.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        measurement: Measurement,
        *,
        max_steps: int = 5,
        tolerance: float | None = None,
    ) -> None:
        super().__init__(denoiser, measurement)
        if max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}; expected at least 1")
        self.max_steps = max_steps
        self.tolerance = tolerance

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        estimate, covariance = self.tweedie(x_t, t, cond)
        operator, variance = self.measurement.operator, self.measurement.sigma**2
        weights = conjugate_gradients(
            lambda v: operator(covariance(operator.adjoint(v))) + variance * v,
            self.measurement.residual(estimate),
            tolerance=self.tolerance,
            max_steps=self.max_steps,
        ).x
        return estimate + covariance(operator.adjoint(weights))
