r"""The base of denoisers that a measurement guides.

With x_t = alpha x_0 + sigma z, Tweedie's formula and its derivative are

    E[x_0 | x_t] = (x_t + sigma^2 grad log p(x_t)) / alpha = D ,
    Cov[x_0 | x_t] = (sigma^2 / alpha) dD/dx_t ,

so that one product with the transposed Jacobian of D, a backward pass, is a product with the
covariance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.operator import Measurement, NonlinearMeasurement
from diff_core.schedule import Schedule

__all__ = ["AnyMeasurement", "GradientGuided", "MeasurementGuided", "estimate_variance"]

AnyMeasurement = Measurement | NonlinearMeasurement
"""A measurement, linear or not."""
_Kind = TypeVar("_Kind", bound=AnyMeasurement)


class MeasurementGuided(Denoiser, Generic[_Kind]):
    """Base: `denoiser` and the `measurement` that it is to agree with.

    It exists for the length of one sampling, with the y of that batch, and is not saved.
    Raises ValueError for a nonlinear measurement, unless the class says linear = False.
    """

    linear: ClassVar[bool] = True
    measurement: _Kind

    def __init__(self, denoiser: Denoiser, measurement: _Kind) -> None:
        super().__init__(denoiser.schedule)
        if self.linear and isinstance(measurement, NonlinearMeasurement):
            raise ValueError(
                f"measurement is a NonlinearMeasurement; {type(self).__name__} solves a linear "
                "system and expects a Measurement (Dps and Daps take both)"
            )
        self.denoiser = denoiser
        self.measurement = measurement

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)


class GradientGuided(MeasurementGuided[_Kind]):
    """Base of those that differentiate the denoiser; defined where alpha and sigma are above 0."""

    def check(self, times: Tensor) -> None:
        """Raise ValueError where alpha is 0: there x_t, and so the gradient, has no x_0 in it."""
        vanishing = times[self.schedule.alpha(times) == 0]
        if vanishing.numel():
            raise ValueError(
                f"t = {vanishing.flatten()[0].item():g} has alpha = 0, where "
                f"{type(self).__name__} has no gradient to follow; expected times with alpha > 0: "
                "start the grid below it, as at t = 0.999"
            )
        super().check(times)

    def tweedie(
        self, x_t: Tensor, t: Tensor, cond: Condition | None
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """D, and the map v -> (sigma^2 / alpha) (dD/dx_t)^T v; neither carries a gradient."""
        self.measurement.check(x_t)
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_()
            estimate = self.denoiser(x_t, t, cond)
        if not estimate.requires_grad:
            raise ValueError(
                f"denoiser {type(self.denoiser).__name__} returned an answer without a gradient; "
                f"expected one that can be differentiated by x_t, as {type(self).__name__} must"
            )
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        scale = broadcast(sigma * sigma / alpha, x_t)

        def covariance(v: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(estimate, x_t, v, retain_graph=True)
            return scale * product

        return estimate.detach(), covariance


def estimate_variance(schedule: Schedule, t: Tensor, sigma_data: float) -> Tensor:
    """r_t^2 = sigma^2 s^2 / (sigma^2 + alpha^2 s^2): variance of x_0 given x_t, if x_0 has s^2."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return (sigma * sigma_data / torch.hypot(sigma, alpha * sigma_data)) ** 2
