"""A measurement of an unknown signal: y = A x_0 + sigma n."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.operator.base import LinearOperator, check_signal
from diff_core.solve import conjugate_gradients

__all__ = ["Measurement"]


@dataclass(frozen=True, eq=False)
class Measurement:
    """y = A x_0 + sigma n, with n standard normal: what guidance is to agree with.

    operator: A
    y: (B, ...), of the shape of A x
    sigma: standard deviation of the noise of y

    Entries of y that A does not observe (0 for every x: outside a mask, rays that miss) are set to
    0: what stands there, NaN included, plays no part.
    Raises ValueError if the operator is not linear, if y does not have its shape, is not a real
    floating-point tensor or is not finite where it is observed, or if sigma is negative or not
    finite.
    """

    operator: LinearOperator
    y: Tensor
    sigma: float = 0.0

    def __post_init__(self) -> None:
        y = self.y
        if not y.is_floating_point():
            raise ValueError(
                f"y is of type {y.dtype}; expected a real floating-point type (complex values as "
                "torch.view_as_real gives them)"
            )
        if not 0 <= self.sigma < math.inf:
            raise ValueError(f"sigma is {self.sigma}; expected a finite number from 0 up")
        if not hasattr(self.operator, "adjoint"):
            raise ValueError(
                f"operator is {type(self.operator).__name__}, which has no adjoint; expected a "
                "linear operator, or NonlinearMeasurement"
            )
        # a row of A that is not 0 gives exactly 0 for a random x with probability 0
        generator = torch.Generator().manual_seed(0)
        probe = torch.randn(self.shape, generator=generator, dtype=torch.float64).to(y)
        seen = self.operator(probe)
        if seen.shape == y.shape:
            self._check_linear(probe, seen, generator)
        if seen.shape != y.shape:
            raise ValueError(
                f"y has shape {tuple(y.shape)}; expected that of the operator's output, "
                f"{tuple(seen.shape)}"
            )
        y = torch.where(seen != 0, y, 0.0)
        if not bool(y.isfinite().all()):
            bad = int((~y.isfinite()).sum())
            raise ValueError(
                f"y has {bad} observed entries that are NaN or infinite; expected finite values"
            )
        object.__setattr__(self, "y", y)

    def _check_linear(self, probe: Tensor, seen: Tensor, generator: torch.Generator) -> None:
        """Raise ValueError unless A (u - 2 v) = A u - 2 A v."""
        other = torch.randn(self.shape, generator=generator, dtype=torch.float64).to(probe)
        both = self.operator(probe - 2 * other)
        expected = seen - 2 * self.operator(other)
        # of rounding: some thousand terms in the precision of y
        within = 1e4 * torch.finfo(seen.dtype).eps * float(expected.abs().max())
        if not bool(((both - expected).abs() <= within).all()):
            raise ValueError(
                f"operator is {type(self.operator).__name__}, which is not linear: A (u - 2 v) "
                f"differs from A u - 2 A v by up to {float((both - expected).abs().max()):.3g}; "
                "expected a linear one, or NonlinearMeasurement"
            )

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape (B, C, *S) of the signal."""
        return tuple(self.operator.adjoint(torch.zeros_like(self.y)).shape)

    def check(self, x: Tensor) -> None:
        """Raise ValueError unless x has the shape of the signals that were measured."""
        check_signal(x, self.shape)

    def residual(self, x: Tensor) -> Tensor:
        """y - A x."""
        return self.y - self.operator(x)

    def pull(self, x: Tensor) -> Tensor:
        """A^T (y - A x): minus half the gradient of |y - A x|^2."""
        return self.operator.adjoint(self.residual(x))

    def correction(self, x: Tensor, ratio: Tensor) -> Tensor:
        """A^T (A A^T + ratio I)^-1 (y - A x): add it to x, and x agrees with y.

        ratio, () or (B,), is the variance of the noise of y over that of x about the truth; 0
        makes A x = y as nearly as A can. By conjugate gradients on (A^T A + ratio I) d = A^T (y -
        A x), the same d: this system is consistent even where A A^T is singular.
        """
        return self._solve(self.residual(x), ratio)

    def draw(self, x: Tensor, variance: Tensor, z: Tensor, n: Tensor) -> Tensor:
        """A draw of x_0 given y, if x_0 is N(x, variance I) without it.

        variance: () or (B,); z and n: standard normal noise of the shapes of x and of y. A draw
        without y, corrected towards y with noise of its own, is exact: Gaussian Sampling by Local
        Perturbations (Papandreou and Yuille, 2010).
        """
        x = x + broadcast(variance, x).sqrt() * z
        residual = self.residual(x) + self.sigma * n
        return x + self._solve(residual, self.sigma**2 / variance)

    def _solve(self, residual: Tensor, ratio: Tensor) -> Tensor:
        """A^T (A A^T + ratio I)^-1 residual."""
        operator, right = self.operator, self.operator.adjoint(residual)
        ratio = broadcast(ratio, right)
        return conjugate_gradients(lambda d: operator.adjoint(operator(d)) + ratio * d, right).x
