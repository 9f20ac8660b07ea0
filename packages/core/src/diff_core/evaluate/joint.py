"""Mixtures of Gaussians over whole signals, and their posterior given a linear measurement.

The yardstick of methods for inverse problems: a prior with correlations and several modes, of
which E[x_0 | x_t], the posterior p(x_0 | y) and draws of both are known in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from diff_core.operator import LinearOperator, Measurement

__all__ = ["JointMixture"]


@dataclass(frozen=True, eq=False)
class JointMixture:
    """A mixture of K Gaussians, each with a mean and a full covariance of the whole signal.

    weights (K,), means (K, *S) and covariances (K, D, D), D being the number of elements of S.
    Its probability flow has no closed form: sample it with many steps of any sampler.
    Raises ValueError if the shapes disagree, the weights do not sum to 1 or a covariance is not
    symmetric with eigenvalues from 0 up.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __post_init__(self) -> None:
        count = len(self.weights) if self.weights.ndim == 1 else -1
        size = math.prod(self.means.shape[1:])
        if len(self.means) != count or self.covariances.shape != (count, size, size):
            raise ValueError(
                f"weights, means, covariances have shapes {tuple(self.weights.shape)}, "
                f"{tuple(self.means.shape)}, {tuple(self.covariances.shape)}; expected (K,), "
                "(K, *S), (K, D, D) with the D elements of S"
            )
        total = self.weights.sum()
        if bool((self.weights < 0).any()) or not torch.allclose(total, torch.ones_like(total)):
            raise ValueError(f"weights sum to {total}; expected non-negative values that sum to 1")
        if not torch.allclose(self.covariances, self.covariances.mT):
            raise ValueError("covariances is not symmetric; expected covariance matrices")
        lowest, highest = (float(end) for end in self._turned[0].aminmax())
        if lowest < -1e-6 * max(highest, 1.0):
            raise ValueError(f"covariances has an eigenvalue of {lowest:.3g}; expected 0 or more")

    @cached_property
    def _turned(self) -> tuple[Tensor, Tensor]:
        """Variances (K, D) and basis (K, D, D) of every component."""
        eigh = torch.linalg.eigh  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return cast("tuple[Tensor, Tensor]", eigh(self.covariances))

    def _variances(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Variances of x_t (B, K, D), in the basis of every component."""
        return alpha * alpha * self._turned[0].clamp(min=0) + sigma * sigma

    def _residual(self, x_t: Tensor, alpha: Tensor) -> Tensor:
        """x_t minus each mean (B, K, D), in the basis of every component."""
        offset = x_t.flatten(1)[:, None] - alpha * self.means.flatten(1)
        return torch.einsum("bkd,kde->bke", offset, self._turned[1])

    def _log_shares(self, residual: Tensor, variances: Tensor) -> Tensor:
        """Logarithm of weight times density of every component (B, K)."""
        terms = residual * residual / variances + (2 * math.pi * variances).log()
        return self.weights.log() - 0.5 * terms.sum(-1)

    def posterior_mean(self, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | alpha x_0 + sigma z = x_t]: each component's filter, weighed by its share."""
        alpha, sigma = (p.reshape(-1, 1, 1) for p in (alpha, sigma))
        residual, variances = self._residual(x_t, alpha), self._variances(alpha, sigma)
        share = self._log_shares(residual, variances).softmax(-1)
        gain = alpha * self._turned[0].clamp(min=0) / variances
        moved = torch.einsum("bk,bke,kde->bd", share, gain * residual, self._turned[1])
        return (share @ self.means.flatten(1) + moved).reshape(x_t.shape)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """`count` independent draws, (count, *S)."""
        variances, basis = self._turned
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, variances.shape[1], generator=generator, dtype=self.means.dtype)
        z = variances.clamp(min=0).sqrt()[chosen] * z
        return self.means[chosen] + (basis[chosen] @ z[..., None]).reshape(
            self.means[chosen].shape
        )

    def log_prob(self, x_t: Tensor, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        """Log-density (B,) of alpha x_0 + sigma z at x_t, in nats; x_0's own by default."""
        scales = (torch.full((1, 1, 1), value, dtype=x_t.dtype) for value in (alpha, sigma))
        alpha_t, sigma_t = scales
        residual = self._residual(x_t, alpha_t)
        return self._log_shares(residual, self._variances(alpha_t, sigma_t)).logsumexp(-1)

    def posterior(self, measurement: Measurement, row: int = 0) -> JointMixture:
        """p(x_0 | y) for one row of y: a mixture of as many Gaussians, in closed form.

        Each component is conditioned on y, and weighed by its density of y. Where y lies outside
        of the range of A it is noise, and plays no part.
        Raises ValueError if the measurement is of signals of another shape, or if it has no noise
        and a component no spread in what A sees: y then has no density.
        """
        if measurement.shape[1:] != self.means.shape[1:]:
            raise ValueError(
                f"measurement is of signals of shape {measurement.shape[1:]}; expected "
                f"{tuple(self.means.shape[1:])}, that of the means"
            )
        matrix, left = _seen(measurement.operator, self.means[0])
        y = left.mT @ measurement.y[row].flatten().to(matrix)
        residual = y - self.means.flatten(1) @ matrix.mT
        cross = self.covariances @ matrix.mT
        spread = matrix @ cross + measurement.sigma**2 * torch.eye(len(matrix)).to(matrix)
        root, bad = torch.linalg.cholesky_ex(spread)
        if bool(bad.any()):
            raise ValueError(
                f"sigma is {measurement.sigma}, and a component has no spread in what the "
                "operator sees; expected noise, or covariances of full rank"
            )
        gain = torch.cholesky_solve(cross.mT, root).mT
        white = torch.linalg.solve_triangular(root, residual[..., None], upper=False)[..., 0]
        diagonal = root.diagonal(dim1=-2, dim2=-1)
        log_weights = self.weights.log() - diagonal.log().sum(-1) - 0.5 * white.square().sum(-1)
        means = self.means.flatten(1) + (gain @ residual[..., None])[..., 0]
        covariances = self.covariances - gain @ cross.mT
        return JointMixture(
            log_weights.softmax(0),
            means.reshape(self.means.shape),
            0.5 * (covariances + covariances.mT),
        )


def _seen(operator: LinearOperator, like: Tensor) -> tuple[Tensor, Tensor]:
    """U_r^T A (r, D) and U_r (M, r), of the r singular vectors that A does not send to 0."""
    size = like.numel()
    rows = torch.eye(size, dtype=like.dtype).reshape(size, *like.shape)
    matrix = operator(rows).flatten(1).mT
    svd = torch.linalg.svd  # pyright: ignore[reportUnknownVariableType]
    left, singular, right = cast("tuple[Tensor, Tensor, Tensor]", svd(matrix, full_matrices=False))
    noise = singular.max() * max(matrix.shape) * torch.finfo(singular.dtype).eps
    rank = int((singular > noise).sum())
    return singular[:rank, None] * right[:rank], left[:, :rank]
