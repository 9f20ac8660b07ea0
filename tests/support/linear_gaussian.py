"""Gaussian priors and linear measurements, whose posterior is known, and exact propagation.

A method that is linear in its input is propagated exactly: unit vectors as the start and as each
noise give the mean and the covariance of what comes out. No Monte Carlo.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diff_core import RectifiedFlow, Schedule, VarianceExploding, VariancePreserving
from diff_core.exact import Gaussian
from diff_core.operator import (
    Blur,
    Compose,
    Dense,
    Downsample,
    LinearOperator,
    Mask,
    Measurement,
    gaussian_kernel,
)

F64 = torch.float64
SIZE = 4
SCHEDULES = [VariancePreserving(), VarianceExploding(), RectifiedFlow()]


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=F64)


def covariance() -> Tensor:
    """Correlated, with eigenvalues from 0.1 to 2.3."""
    root = tensor([[1.2, 0, 0, 0], [0.9, 0.6, 0, 0], [0.2, -0.5, 0.7, 0], [0.1, 0.3, -0.4, 0.5]])
    return root @ root.mT


MEAN = tensor([[0.5, -1.0, 0.0, 2.0]])
CORRELATED = Gaussian.from_covariance(MEAN, covariance())
ISOTROPIC = Gaussian(MEAN, torch.full_like(MEAN, 0.7))

OPERATORS: dict[str, LinearOperator] = {
    "mask": Mask(tensor([1, 0, 0, 1])),
    "dense": Dense(tensor([[[1.0, 0.5, -0.2, 0.1], [0.0, 1.0, 2.0, -1.0]]])[0], (1, SIZE)),
    "thick slices": Downsample(-1, 2, gaussian_kernel((2.0,), (4,))),
    "blur, some missing": Compose((Blur(tensor([0.2, 0.5, 0.3])), Mask(tensor([1, 1, 0, 1])))),
}


def matrix(operator: LinearOperator) -> Tensor:
    """(M, SIZE), column by column."""
    return operator(torch.eye(SIZE, dtype=F64)[:, None]).flatten(1).mT


def posterior(prior: Gaussian, measurement: Measurement) -> Gaussian:
    """p(x_0 | y) of the first row, by the textbook formula."""
    a, y = matrix(measurement.operator), measurement.y[0].flatten()
    basis = torch.eye(SIZE, dtype=F64) if prior.basis is None else prior.basis
    spread = basis @ torch.diag(prior.variances.flatten()) @ basis.mT
    noise = measurement.sigma**2 * torch.eye(len(a), dtype=F64)
    gain = spread @ a.mT @ torch.linalg.pinv(a @ spread @ a.mT + noise, hermitian=True)
    mean = prior.mean.flatten() + gain @ (y - a @ prior.mean.flatten())
    left = spread - gain @ a @ spread
    return Gaussian.from_covariance(mean.reshape(1, SIZE), (left + left.mT) / 2)


def measure(operator: LinearOperator, sigma: float, rows: int = 1) -> Measurement:
    truth = tensor([[[1.0, -0.4, 0.8, 1.5]]]).expand(rows, 1, SIZE)
    y = operator(truth)
    noise = torch.sin(3 * torch.arange(y[0].numel(), dtype=F64)).reshape(y[:1].shape)
    return Measurement(operator, y + sigma * noise, sigma)


class Impulses:
    """A source of noise that is 0 but for one entry of one key in each of its rows.

    Rows: the base, SIZE for the start, then SIZE for each of `keys`.
    """

    def __init__(self, keys: list[int]) -> None:
        self.keys = keys
        self.asked: list[int] = []

    def __call__(self, k: int, like: Tensor) -> Tensor:
        self.asked.append(k)
        noise = torch.zeros_like(like)
        if k in self.keys:
            row = 1 + SIZE * (1 + self.keys.index(k))
            noise[row : row + SIZE, 0] = torch.eye(SIZE, dtype=F64)
        return noise


Solve = Callable[[int, Tensor, Impulses], Tensor]
"""solve(rows, x, noise): the result for the rows x, with as many rows of measurement."""


def propagate(solve: Solve, mean: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the result, for a start mean + root z and standard normal noise."""
    scout = Impulses([])
    solve(1, mean[None], scout)
    keys = scout.asked
    assert len(set(keys)) == len(keys), "a key was asked for twice: the noises are not independent"
    rows = 1 + SIZE * (1 + len(keys))
    x = mean.expand(rows, 1, SIZE).clone()
    x[1 : 1 + SIZE, 0] += root.mT
    out = solve(rows, x, Impulses(keys))[:, 0]
    columns = (out[1:] - out[0]).mT
    return out[0], columns @ columns.mT


def moments(gaussian: Gaussian) -> tuple[Tensor, Tensor]:
    assert gaussian.basis is not None
    spread = gaussian.basis @ torch.diag(gaussian.variances.flatten()) @ gaussian.basis.mT
    return gaussian.mean.flatten(), spread


def start(gaussian: Gaussian, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and root of the covariance of x_t."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    assert gaussian.basis is not None
    scale = (alpha**2 * gaussian.variances.flatten() + sigma**2).sqrt()
    return alpha * gaussian.mean, gaussian.basis * scale


OFFSET = tensor([[1.5, -2.0, 1.0, 0.0]])
"""A start for the mean: from the mean of the marginal every sampler would be exact."""


def levels(times: Tensor) -> list[tuple[float, float]]:
    """alpha and sigma of the variance-preserving schedule."""
    schedule = VariancePreserving()
    return [(schedule.alpha(t).item(), schedule.sigma(t).item()) for t in times]


def wiener(a: float, s: float) -> tuple[Tensor, Tensor]:
    """Gain and offset of D = gain x + offset for `CORRELATED`, at alpha = a and sigma = s."""
    spread = covariance()
    gain = a * spread @ torch.linalg.inv(a * a * spread + s * s * torch.eye(SIZE, dtype=F64))
    return gain, MEAN[0] - gain @ (a * MEAN[0])
