"""Inverse problems of whole volumes, with a denoiser as the prior of anatomy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diff_core.denoiser import Denoiser
from diff_core.guidance import DiffPir
from diff_core.operator import Measurement

__all__ = ["falling", "plug_and_play"]


def falling(first: float, last: float, count: int) -> tuple[float, ...]:
    """`count` noise levels from `first` to `last`, each the same share of the one before."""
    return tuple(first * (last / first) ** (k / max(1, count - 1)) for k in range(count))


@torch.no_grad()
def plug_and_play(
    denoiser: Denoiser, measurement: Measurement, start: Tensor, levels: Sequence[float]
) -> Tensor:
    """The volume that fits both a measurement y = A x + sigma_y n and the prior of a denoiser.

    Half-quadratic splitting: for each sigma of `levels`, falling,

        x <- argmin_x |y - A x|^2 / sigma_y^2 + |x - D(x; sigma)|^2 / sigma^2 .

    Plug-and-Play Image Restoration with Deep Denoiser Prior (Zhang et al., 2021), algorithm 1 with
    lambda = 1; the second step is that of DiffPIR (`diff_core.guidance`). No randomness.

    For a Gaussian prior N(m, s^2) and one level, repeated, it ends at the posterior mean of the
    prior N(m, s^2 + sigma^2).

    denoiser: D of (B, 1, X, Y, Z); start: the same shape
    """
    guided = DiffPir(denoiser, measurement)
    x = start
    for sigma in levels:
        x = guided(x, denoiser.schedule.time(torch.tensor(-math.log(sigma))))
    return x
