"""A nonlinear measurement of an unknown signal: y = A(x_0) + sigma n with any differentiable A."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.operator.base import check_signal

__all__ = ["NonlinearMeasurement"]


@dataclass(frozen=True, eq=False)
class NonlinearMeasurement:
    """y = A(x_0) + sigma n, with n standard normal and A differentiable by autograd.

    operator: A, a function of x (B, C, *S) row by row, such as `Clip`, `Magnitude`, or `Compose`
        of these with linear operators
    y: (B, ...), of the shape of A(x)
    shape: (B, C, *S) of the signal, which y alone does not tell
    sigma: standard deviation of the noise of y

    `Dps` and `Daps` take it; methods that solve a linear system refuse it.
    Raises ValueError if A(x) has another shape than y, does not depend on x by autograd, y is not
    a finite real floating-point tensor, or sigma is negative or not finite.
    """

    operator: Callable[[Tensor], Tensor]
    y: Tensor
    shape: tuple[int, ...]
    sigma: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        y = self.y
        if not y.is_floating_point() or not bool(y.isfinite().all()):
            raise ValueError(
                f"y is of type {y.dtype} with {int((~y.isfinite()).sum())} entries that are NaN "
                "or infinite; expected finite numbers of a real floating-point type"
            )
        if not 0 <= self.sigma < math.inf:
            raise ValueError(f"sigma is {self.sigma}; expected a finite number from 0 up")
        with torch.enable_grad():
            seen = self.operator(torch.ones(self.shape).to(y).requires_grad_())
        if seen.shape != y.shape:
            raise ValueError(
                f"y has shape {tuple(y.shape)}; expected that of the operator's output for x of "
                f"shape {self.shape}, {tuple(seen.shape)}"
            )
        if not seen.requires_grad:
            raise ValueError(
                f"operator {type(self.operator).__name__} returned an answer without a gradient; "
                "expected one that autograd can differentiate by x"
            )

    def check(self, x: Tensor) -> None:
        """Raise ValueError unless x has the shape of the signals that were measured."""
        check_signal(x, self.shape)

    def residual(self, x: Tensor) -> Tensor:
        """y - A(x)."""
        return self.y - self.operator(x)

    def pull(self, x: Tensor) -> Tensor:
        """A'(x)^T (y - A(x)): minus half the gradient of |y - A(x)|^2."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            residual = self.residual(x)
        (gradient,) = torch.autograd.grad(residual, x, residual.detach())
        return -gradient
