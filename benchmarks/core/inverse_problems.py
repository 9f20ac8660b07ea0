"""Inverse problems whose posterior is known: priors of several modes, measured in part.

The prior on 16 entries has eight modes, a L + b H + c R with signs a, b, c: L one wave, H a fast
wave, R a bump at one place. Each measurement is blind to one of the three, so that two modes or
more are left in the posterior, of unequal weights. The prior on 6 x 6 pixels has four modes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.exact import JointMixture
from diff_core.operator import (
    Blur,
    Clip,
    Downsample,
    FanBeam,
    Fourier,
    LinearOperator,
    Magnitude,
    Mask,
    Measurement,
    NonlinearMeasurement,
    gaussian_kernel,
)

SIZE, SIDE, SMALL = 16, 6, 3


@dataclass(frozen=True)
class Problem:
    """A prior, and what is measured of draws of it."""

    prior: JointMixture
    operator: Callable[[Tensor], Tensor]
    sigma: float

    def measure(self, seeds: int, rows: int) -> Measurement | NonlinearMeasurement:
        """Return one measurement for each seed, `rows` times in a row."""
        found: list[Tensor] = []
        for seed in range(seeds):
            generator = torch.Generator().manual_seed(seed)
            y = self.operator(self.prior.sample(1, generator))
            z = torch.randn(y.shape, generator=generator, dtype=y.dtype)
            found.append((y + self.sigma * z).expand(rows, *y.shape[1:]))
        y = torch.cat(found)
        if hasattr(self.operator, "adjoint"):
            return Measurement(self.operator, y, self.sigma)  # type: ignore[arg-type]
        shape = (len(y), *self.prior.means.shape[1:])
        return NonlinearMeasurement(self.operator, y, shape, self.sigma)

    @property
    def deviation(self) -> float:
        """Root mean square of the signal about its mean."""
        prior, mean = self.prior, torch.einsum("k,k...->...", self.prior.weights, self.prior.means)
        within = prior.weights @ prior.covariances.diagonal(dim1=1, dim2=2).mean(1)
        between = prior.weights @ (prior.means - mean).flatten(1).square().mean(1)
        return math.sqrt(float(within + between))


def posterior_draws(
    problem: Problem, measurement: Measurement | NonlinearMeasurement, row: int, counts: list[int]
) -> list[Tensor]:
    """Return sets of draws of the posterior of one row.

    Exact for a linear measurement; for another one, two million draws of the prior drawn again by
    their likelihood, of which many more than are asked for must bear weight.
    """
    generator = torch.Generator().manual_seed(row)
    if isinstance(measurement, Measurement):
        posterior = problem.prior.posterior(measurement, row)
        return [posterior.sample(count, generator) for count in counts]
    drawn = torch.cat([problem.prior.sample(500_000, generator) for _ in range(4)])
    misfit = (measurement.y[row] - measurement.operator(drawn)).flatten(1).square().sum(1)
    weights = (-0.5 * misfit / measurement.sigma**2).softmax(0)
    effective = 1 / float(weights.square().sum())
    assert effective > 20 * sum(counts), f"{effective:.0f} draws bear weight"
    chosen = torch.multinomial(weights, sum(counts), replacement=True, generator=generator)
    return list(drawn[chosen].split(counts))


def signals() -> JointMixture:
    """Return the prior on (1, 16)."""
    place = torch.arange(SIZE, dtype=torch.float64)
    waves = torch.stack(
        [
            torch.cos(2 * math.pi * place / SIZE),
            0.8 * torch.cos(math.pi * place),
            1.6 * torch.exp(-0.5 * ((place - 11.5) / 1.2) ** 2),
        ]
    )
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)), dtype=torch.float64)
    likely = torch.tensor([0.5, 0.7, 0.3], dtype=torch.float64)
    weights = torch.where(signs > 0, likely, 1 - likely).prod(1)
    return _mixture(weights, (signs @ waves)[:, None], [place])


def images() -> JointMixture:
    """Return the prior on (1, 6, 6): two bright or dark spots on one of the two diagonals."""
    place = torch.arange(SIDE, dtype=torch.float64)

    def spot(column: float, row: float) -> Tensor:
        return torch.exp(-0.4 * ((place - column) ** 2 + (place[:, None] - row) ** 2))

    diagonals = (spot(1, 1) + spot(4, 4), spot(1, 4) + spot(4, 1))
    means = torch.stack([sign * pair for pair in diagonals for sign in (1.5, -1.5)])
    weights = torch.tensor([0.35, 0.15, 0.2, 0.3], dtype=torch.float64)
    return _mixture(weights, means[:, None], [place, place])


def points() -> JointMixture:
    """Return the prior on (1, 3), small enough to know any posterior of it by brute force."""
    means = torch.tensor(
        [[1.0, 0.2, -0.8], [-1.0, 0.6, 0.8], [0.3, -1.1, 0.2], [1.4, 1.0, 1.2]],
        dtype=torch.float64,
    )
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    return _mixture(weights, means[:, None], [torch.arange(SMALL, dtype=torch.float64)])


def _mixture(weights: Tensor, means: Tensor, axes: list[Tensor]) -> JointMixture:
    """Smooth variations about the means, of a size that differs between the modes."""
    grids = torch.meshgrid(*axes, indexing="ij")
    where = torch.stack([grid.flatten() for grid in grids], -1)
    smooth = torch.exp(-0.5 * torch.cdist(where, where).square() / 1.5**2)
    base = 0.25**2 * smooth + 0.1**2 * torch.eye(len(where), dtype=torch.float64)
    sizes = torch.linspace(0.7, 1.4, len(means), dtype=torch.float64)
    return JointMixture(weights, means, sizes[:, None, None] ** 2 * base)


def _low_half() -> LinearOperator:
    frequencies = torch.fft.fftfreq(SIZE, 1 / SIZE).abs()
    return Fourier((frequencies < 4).double(), channels=1)


_HIDDEN = ((torch.arange(SIZE) < 8) | (torch.arange(SIZE) > 14)).double()
_ANGLES = torch.tensor([0.0, 0.5 * math.pi], dtype=torch.float64)

LINEAR: dict[str, Callable[[], Problem]] = {
    "hidden entries": lambda: Problem(signals(), Mask(_HIDDEN), 0.1),
    "blur": lambda: Problem(signals(), Blur(gaussian_kernel((4.0,), (9,)), "periodic"), 0.2),
    "thick slices": lambda: Problem(signals(), Downsample(-1, 4), 0.2),
    "low frequencies": lambda: Problem(signals(), _low_half(), 0.2),
    "fan beam, 2 views": lambda: Problem(
        images(), FanBeam(_ANGLES, SIDE, source=10.0 * SIDE), 0.4
    ),
}
NONLINEAR: dict[str, Callable[[], Problem]] = {
    "clipping": lambda: Problem(points(), Clip(-0.5, 0.5), 0.2),
    "phase retrieval": lambda: Problem(points(), Magnitude(2.0), 0.2),
}
