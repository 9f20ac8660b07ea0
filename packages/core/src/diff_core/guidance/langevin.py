r"""Draws of x_0 given y by Langevin dynamics, where x_0 is Gaussian without y.

With U(x) = |x - m|^2 / (2 r^2) + |y - A(x)|^2 / (2 sigma_y^2), a step proposes

    x' = x - h grad U(x) + sqrt(2 h) z

and takes it with probability min(1, exp(U(x) - U(x')) q(x | x') / q(x' | x)): Langevin Diffusions
and Metropolis-Hastings Algorithms (Roberts and Stramer, 2002). The acceptance makes the draw right
for every h; without it h would have to be tuned to each measurement.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diff_core.operator import NonlinearMeasurement

__all__ = ["langevin"]


def langevin(
    measurement: NonlinearMeasurement,
    mean: Tensor,
    variance: float,
    *,
    steps: int,
    rate: float,
    noise: Callable[[int, Tensor], Tensor],
) -> Tensor:
    """Walk from N(mean, variance I), of shape (B, C, *S), towards that given y.

    rate: h in units of 1 / (1 / variance + 1 / sigma_y^2), the scale of an A of slope 1
    noise: standard normal noise like its second argument, for a number that no call repeats
    """
    shape = (-1, *(1,) * (mean.ndim - 1))
    h = rate / (1 / variance + 1 / measurement.sigma**2)

    def energy(x: Tensor) -> tuple[Tensor, Tensor]:
        """U of each row, and its gradient."""
        misfit = measurement.residual(x).square().flatten(1).sum(1) / measurement.sigma**2
        off = (x - mean).square().flatten(1).sum(1) / variance
        slope = (x - mean) / variance - measurement.pull(x) / measurement.sigma**2
        return 0.5 * (misfit + off), slope

    x = mean + variance**0.5 * noise(0, mean)
    here, slope = energy(x)
    for j in range(steps):
        z = noise(2 * j + 1, x)
        proposal = x - h * slope + (2 * h) ** 0.5 * z
        there, other = energy(proposal)
        back = (x - proposal + h * other).square().flatten(1).sum(1)
        forth = 2 * h * z.square().flatten(1).sum(1)
        odds = here - there + (forth - back) / (4 * h)
        chance = torch.special.ndtr(noise(2 * j + 2, x.new_empty(len(x), 1)))[:, 0]
        taken = chance.log() < odds
        x = torch.where(taken.reshape(shape), proposal, x)
        here = torch.where(taken, there, here)
        slope = torch.where(taken.reshape(shape), other, slope)
    return x
