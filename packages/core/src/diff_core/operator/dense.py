"""A matrix, for signals small enough to write it down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

__all__ = ["Dense"]


@dataclass(frozen=True, eq=False)
class Dense:
    """A x = matrix @ x.flatten(): matrix (M, D), x (B, *shape) with D elements, y (B, M).

    Raises ValueError unless the shapes agree.
    """

    matrix: Tensor
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        size = math.prod(self.shape)
        if self.matrix.ndim != 2 or self.matrix.shape[1] != size:
            raise ValueError(
                f"matrix has shape {tuple(self.matrix.shape)}; expected (M, {size}) for signals "
                f"of shape {self.shape}"
            )

    def __call__(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, *{self.shape})")
        return x.flatten(1) @ self.matrix.mT

    def adjoint(self, y: Tensor) -> Tensor:
        if y.ndim != 2 or y.shape[1] != self.matrix.shape[0]:
            raise ValueError(f"y has shape {tuple(y.shape)}; expected (B, {self.matrix.shape[0]})")
        return (y @ self.matrix).reshape(-1, *self.shape)

    @cached_property
    def _svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """U (M, R), s (D,) with zeros after the R that are not, V^T (D, D)."""
        svd = torch.linalg.svd  # pyright: ignore[reportUnknownVariableType]
        u, s, vt = cast("tuple[Tensor, Tensor, Tensor]", svd(self.matrix, full_matrices=True))
        # the threshold of numpy.linalg.matrix_rank
        noise = s.max() * max(self.matrix.shape) * torch.finfo(s.dtype).eps
        rank = int((s > noise).sum())
        return u[:, :rank], torch.cat([s[:rank], s.new_zeros(len(vt) - rank)]), vt

    def singular_values(self, x: Tensor) -> Tensor:
        return self._svd[1].reshape(self.shape)

    def analyse(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self._svd[2].mT).reshape(x.shape)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        return (spectrum.flatten(1) @ self._svd[2]).reshape(spectrum.shape)

    def invert(self, y: Tensor) -> Tensor:
        u, s, _ = self._svd
        rank = u.shape[1]
        spectrum = y.new_zeros(y.shape[0], len(s))
        spectrum[:, :rank] = y @ u / s[:rank]
        return spectrum.reshape(-1, *self.shape)
