"""Covariances of few rows."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["shrunken_covariance"]


def shrunken_covariance(x: Tensor) -> Tensor:
    """Return the covariance (D, D) of rows x (N, D), moved towards a multiple of the identity.

    a m I + (1 - a) S, with the sample covariance S over N and m = tr(S) / D. The share a, 0 to 1,
    is the estimate of that with the least mean squared error: A Well-Conditioned Estimator for
    Large-Dimensional Covariance Matrices (Ledoit and Wolf, 2004), equation 14. It has a full rank
    unless all rows are equal, is S for many rows, and needs no choice. Raises ValueError for fewer
    than 2 rows.
    """
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (N, D) with at least 2 rows")
    count, size = x.shape
    centred = x.double() - x.double().mean(0)
    plain = centred.T @ centred / count
    mean = plain.trace() / size
    target = mean * torch.eye(size, dtype=plain.dtype, device=plain.device)
    # of squares over D: from S to the target, and the error of S
    gap = (plain - target).square().sum() / size
    fourth = centred.square().sum(1).square().mean()
    error = (fourth - plain.square().sum()) / (count * size)
    share = (error / gap).clamp(0, 1) if gap > 0 else torch.zeros_like(gap)
    return share * target + (1 - share) * plain
