r"""Distributions whose diffusion is known in closed form: the yardstick of samplers and networks.

`Gaussian` and `Mixture` give E[x_0 | x_t], the exact probability-flow map between two times,
samples and log-densities; `JointMixture` has correlations and several modes, and no such map. All
are meant for float64; signals are x (B, *S).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from diff_core.coefficients import broadcast, check_time
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.evaluate.joint import JointMixture
from diff_core.schedule import Schedule

__all__ = ["ExactDenoiser", "Gaussian", "Mixture"]


class ExactDenoiser(Denoiser):
    """E[x_0 | x_t] of a known distribution, on any schedule; conditions are ignored."""

    def __init__(
        self, distribution: Gaussian | Mixture | JointMixture, schedule: Schedule
    ) -> None:
        super().__init__(schedule)
        self.distribution = distribution
        self.config = {"distribution": distribution, "schedule": schedule}

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        check_time("t", t, x_t)
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return self.distribution.posterior_mean(x_t, broadcast(alpha, x_t), broadcast(sigma, x_t))


@dataclass(frozen=True)
class Gaussian:
    """N(mean, Q diag(variances) Q^T): mean (*S), variances (*S) >= 0, basis Q orthogonal or None.

    Q is (D, D) with D the number of elements of S, acting on the flattened signal; None is the
    identity. `from_covariance` finds it. Raises ValueError if the shapes disagree.
    """

    mean: Tensor
    variances: Tensor
    basis: Tensor | None = None

    def __post_init__(self) -> None:
        size = self.mean.numel()
        if self.variances.shape != self.mean.shape:
            raise ValueError(
                f"variances has shape {tuple(self.variances.shape)}; expected that of the mean, "
                f"{tuple(self.mean.shape)}"
            )
        if self.basis is not None and self.basis.shape != (size, size):
            raise ValueError(f"basis has shape {tuple(self.basis.shape)}; expected {(size, size)}")

    @staticmethod
    def from_covariance(mean: Tensor, covariance: Tensor) -> Gaussian:
        """N(mean, covariance): mean (*S) with D elements, covariance (D, D)."""
        eigh = torch.linalg.eigh  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        variances, basis = cast("tuple[Tensor, Tensor]", eigh(covariance))
        return Gaussian(mean, variances.clamp(min=0).reshape(mean.shape), basis)

    def _turn(self, x: Tensor, back: bool = False) -> Tensor:
        if self.basis is None:
            return x
        return (x.flatten(1) @ (self.basis.mT if back else self.basis)).reshape(x.shape)

    def posterior_mean(self, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | alpha x_0 + sigma z = x_t], the Wiener filter; undefined for a certain x_t."""
        c = self.variances
        gain = alpha * c / (alpha * alpha * c + sigma * sigma)
        return self.mean + self._turn(gain * self._turn(x_t - alpha * self.mean), back=True)

    def flow(self, schedule: Schedule, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """The probability-flow ODE's state at time s from x_t at time t; t and s have shape ()."""
        before = schedule.alpha(t) ** 2 * self.variances + schedule.sigma(t) ** 2
        after = schedule.alpha(s) ** 2 * self.variances + schedule.sigma(s) ** 2
        ratio = (after / before).sqrt()
        moved = self._turn(ratio * self._turn(x_t - schedule.alpha(t) * self.mean), back=True)
        return schedule.alpha(s) * self.mean + moved

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """`count` independent draws, (count, *S)."""
        z = torch.randn(count, *self.mean.shape, generator=generator, dtype=self.mean.dtype)
        return self.mean + self._turn(self.variances.sqrt() * z, back=True)

    def log_prob(self, x_t: Tensor, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        """Log-density (B,) of alpha x_0 + sigma z at x_t, in nats; x_0's own by default."""
        variance = alpha * alpha * self.variances + sigma * sigma
        residual = self._turn(x_t - alpha * self.mean)
        terms = residual * residual / variance + (2 * math.pi * variance).log()
        return -0.5 * terms.flatten(1).sum(1)


@dataclass(frozen=True)
class Mixture:
    """Independent entries, each a 1-D mixture of K Gaussians: a non-Gaussian with a known flow.

    weights, means and deviations are (*S, K), or (K,) for the same mixture at every entry. The
    flow of a 1-D distribution keeps order, so that it maps quantile to quantile; the product of
    such flows is the flow of the product. Raises ValueError if the shapes differ, a deviation is
    negative or the weights do not sum to 1.
    """

    weights: Tensor
    means: Tensor
    deviations: Tensor

    def __post_init__(self) -> None:
        shapes = {tuple(p.shape) for p in (self.weights, self.means, self.deviations)}
        if len(shapes) != 1:
            raise ValueError(f"weights, means, deviations have shapes {shapes}; expected equal")
        total = self.weights.sum(-1)
        if bool((self.weights < 0).any()) or not torch.allclose(total, torch.ones_like(total)):
            raise ValueError(f"weights sum to {total}; expected non-negative values that sum to 1")
        if bool((self.deviations < 0).any()):
            raise ValueError(f"deviations is {self.deviations}; expected values from 0 up")

    def _spread(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of every component of x_t, (..., K)."""
        alpha, sigma = alpha.unsqueeze(-1), sigma.unsqueeze(-1)
        return alpha * self.means, torch.hypot(alpha * self.deviations, sigma)

    def posterior_mean(self, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | alpha x_0 + sigma z = x_t]: each component's filter, weighed by its share."""
        mean, deviation = self._spread(alpha, sigma)
        score = (x_t.unsqueeze(-1) - mean) / deviation
        share = (self.weights.log() - deviation.log() - 0.5 * score * score).softmax(-1)
        gain = alpha.unsqueeze(-1) * self.deviations * self.deviations / deviation
        return (share * (self.means + gain * score)).sum(-1)

    def flow(self, schedule: Schedule, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """The probability-flow ODE's state at time s from x_t at time t; t and s have shape ().

        x_s has the quantile at s that x_t has at t, found by bisection to the last bit. Tails
        shorter than 1e-300 are out of reach.
        """
        lower = self._tail(x_t, *self._spread(schedule.alpha(t), schedule.sigma(t)))
        # the smaller tail carries the digits
        upper = self._tail(x_t, *self._spread(schedule.alpha(t), schedule.sigma(t)), sign=-1.0)
        mean, deviation = self._spread(schedule.alpha(s), schedule.sigma(s))
        left = lower < upper
        low = (mean - 40 * deviation).amin(-1).expand(x_t.shape)
        high = (mean + 40 * deviation).amax(-1).expand(x_t.shape)
        for _ in range(120):
            middle = 0.5 * (low + high)
            below = torch.where(
                left,
                self._tail(middle, mean, deviation) < lower,
                self._tail(middle, mean, deviation, sign=-1.0) > upper,
            )
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def _tail(self, x: Tensor, mean: Tensor, deviation: Tensor, sign: float = 1.0) -> Tensor:
        """Probability below x, or above it for sign = -1."""
        score = sign * (x.unsqueeze(-1) - mean) / deviation
        return (self.weights * 0.5 * torch.erfc(-score / math.sqrt(2))).sum(-1)

    def sample(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
        """Independent draws of shape (B, *S)."""
        parameters = [
            p.expand(*shape, p.shape[-1]) for p in (self.weights, self.means, self.deviations)
        ]
        weights, means, deviations = parameters
        flat = weights.reshape(-1, weights.shape[-1])
        choice = torch.multinomial(flat, 1, generator=generator).reshape(*shape, 1)
        z = torch.randn(shape, generator=generator, dtype=means.dtype)
        return means.gather(-1, choice)[..., 0] + deviations.gather(-1, choice)[..., 0] * z

    def log_prob(self, x_t: Tensor, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        """Log-density (B,) of alpha x_0 + sigma z at x_t, in nats; x_0's own by default."""
        scales = (torch.tensor(value, dtype=x_t.dtype) for value in (alpha, sigma))
        mean, deviation = self._spread(*scales)
        score = (x_t.unsqueeze(-1) - mean) / deviation
        terms = self.weights.log() - (math.sqrt(2 * math.pi) * deviation).log() - 0.5 * score**2
        return terms.logsumexp(-1).flatten(1).sum(1)
