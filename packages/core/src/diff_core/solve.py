"""Linear systems that are known only by what they do to a vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Solution", "conjugate_gradients"]


class Solution(NamedTuple):
    """x (B, ...); residual (B,) = |b - A x| / |b|, 0 for b = 0; steps: products with A."""

    x: Tensor
    residual: Tensor
    steps: int


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    *,
    tolerance: float | None = None,
    max_steps: int = 100,
) -> Solution:
    """Solve A x = b from x = 0, every row of b (B, ...) by itself.

    Methods of Conjugate Gradients for Solving Linear Systems (Hestenes and Stiefel, 1952). `apply`
    is A, symmetric and positive (semi-)definite, with b in its range; it acts on each row alone.
    A row stops when |b - A x| <= tolerance |b|, so that its answer does not depend on the rest of
    the batch, or when a direction has p^T A p <= 0, where A is not what it should be: `residual`
    tells. The default tolerance is eps^(3/4) of the type, 6e-6 in float32 and 2e-12 in float64.
    On an accelerator, whether all rows have stopped is asked every tenth step only.
    Raises ValueError if b is not floating-point, A b has another shape, tolerance is not in (0, 1)
    or max_steps is below 1.
    """
    if not b.is_floating_point():
        raise ValueError(f"b is of type {b.dtype}; expected a real floating-point type")
    if tolerance is None:
        tolerance = math.pow(torch.finfo(b.dtype).eps, 0.75)
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}; expected a number in (0, 1)")
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}; expected at least 1")
    patience = 1 if b.device.type == "cpu" else 10

    x, r, p = torch.zeros_like(b), b, b
    power = _dot(r, r)
    full = power
    # squares of small numbers may underflow to 0: then there is nothing to solve
    running = power > 0
    steps = 0
    while steps < max_steps:
        if (steps + 1) % patience == 0 and not bool(running.any()):
            break
        product = apply(p)
        if product.shape != b.shape:
            raise ValueError(
                f"apply returned shape {tuple(product.shape)}; expected that of b, "
                f"{tuple(b.shape)}"
            )
        steps += 1
        curvature = _dot(p, product)
        running = running & (curvature > 0)
        length = torch.where(running, power / curvature, 0.0)
        x = x + length * p
        r = r - length * product
        after = torch.where(running, _dot(r, r), power)
        running = running & (after > tolerance**2 * full)
        p = torch.where(running, r + (after / power) * p, p)
        power = after
    relative = torch.where(full > 0, (power / full).sqrt(), 0.0)
    return Solution(x, relative.flatten(), steps)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each row, (B, 1, ...)."""
    return (a * b).reshape(len(a), -1).sum(1).reshape(-1, *(1,) * (a.ndim - 1))
