"""Thick slices or slow samples: a profile and a stride along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Downsample"]


@dataclass(frozen=True, eq=False)
class Downsample:
    """A x: along `axis` of x, of length N, a weighted mean at every `factor`-th entry.

    Output j is centred on entries factor j to factor j + factor - 1 and weighs its surroundings by
    `profile` (n,), non-negative: by default a box of n = factor entries; a scanner's slice profile
    is about `gaussian_kernel((factor,), (3 * factor,))`. Every output is a mean: the weights sum
    to 1, at the ends of the axis too, where a part of the profile is outside.
    n and factor are both even or both odd, so that the centre is the same; N is a multiple of
    factor. Raises ValueError otherwise.
    """

    axis: int
    factor: int
    profile: Tensor | None = None

    def __post_init__(self) -> None:
        if self.axis in (0, 1):
            raise ValueError(f"axis is {self.axis}; expected an axis of S in (B, C, *S)")
        if self.factor < 1:
            raise ValueError(f"factor is {self.factor}; expected at least 1")
        if self.profile is None:
            object.__setattr__(self, "profile", torch.ones(self.factor, dtype=torch.float64))
        profile = self._weights
        if profile.ndim != 1 or (len(profile) - self.factor) % 2:
            raise ValueError(
                f"profile has shape {tuple(profile.shape)}; expected (n,) with n even or odd as "
                f"factor = {self.factor} is"
            )
        if bool((profile < 0).any()) or not bool(profile[self._inner].sum() > 0):
            raise ValueError(
                f"profile is {profile.tolist()}; expected values from 0 up, not all 0 in the "
                "middle"
            )

    @property
    def _weights(self) -> Tensor:
        assert self.profile is not None
        return self.profile

    @property
    def _margin(self) -> int:
        """Entries of the profile beyond the stride, on either side; below 0 for a narrow one."""
        return (len(self._weights) - self.factor) // 2

    @property
    def _inner(self) -> slice:
        margin = max(self._margin, 0)
        return slice(margin, len(self._weights) - margin)

    def __call__(self, x: Tensor) -> Tensor:
        rows = self._rows("x", x)
        if rows.shape[-1] % self.factor:
            raise ValueError(
                f"x has {rows.shape[-1]} entries along axis {self.axis}; expected a multiple of "
                f"factor = {self.factor}"
            )
        return self._back(self._strided(rows) / self._sums(rows), x)

    def adjoint(self, y: Tensor) -> Tensor:
        rows = self._rows("y", y)
        length = rows.shape[-1] * self.factor
        rows = rows / self._sums(rows.new_empty(1, 1, length))
        kernel = self._weights.to(y)[None, None]
        spread = F.conv_transpose1d(rows, kernel, stride=self.factor)
        return self._back(F.pad(spread, (-self._margin, -self._margin)), y)

    def singular_values(self, x: Tensor) -> Tensor:
        """Those of the matrix along the axis, N of them of which N / factor are above 0.

        V turns the signals along the axis: a matrix (N, N), found once for each N.
        """
        shape = [1] * x.ndim
        shape[self.axis] = x.shape[self.axis]
        return self._svd(x.shape[self.axis])[1].to(x).reshape(shape)

    def analyse(self, x: Tensor) -> Tensor:
        return self._turn(x, self._svd(x.shape[self.axis])[2])

    def synthesise(self, spectrum: Tensor) -> Tensor:
        return self._turn(spectrum, self._svd(spectrum.shape[self.axis])[2].mT)

    def invert(self, y: Tensor) -> Tensor:
        left, singular, _ = self._svd(y.shape[self.axis] * self.factor)
        rank = left.shape[1]
        spectrum = self._turn(y, left.mT / singular[:rank, None])
        rest = list(spectrum.shape)
        rest[self.axis] = len(singular) - rank
        return torch.cat([spectrum, spectrum.new_zeros(rest)], self.axis)

    def _svd(self, length: int) -> tuple[Tensor, Tensor, Tensor]:
        return _svd(self.factor, tuple(self._weights.double().tolist()), length)

    def _turn(self, x: Tensor, matrix: Tensor) -> Tensor:
        """`matrix` (N', N) times x along the axis."""
        return (x.movedim(self.axis, -1) @ matrix.to(x).mT).movedim(-1, self.axis)

    def _strided(self, rows: Tensor) -> Tensor:
        padded = F.pad(rows, (self._margin, self._margin))
        return F.conv1d(padded, self._weights.to(rows)[None, None], stride=self.factor)

    def _sums(self, rows: Tensor) -> Tensor:
        """Sum of the weights of every output that fall inside the axis."""
        return self._strided(rows.new_ones(1, 1, rows.shape[-1]))

    def _rows(self, name: str, x: Tensor) -> Tensor:
        if not -x.ndim + 2 <= self.axis < x.ndim:
            raise ValueError(
                f"{name} has shape {tuple(x.shape)}; expected (B, C, *S) with axis {self.axis} "
                "among S"
            )
        moved = x.movedim(self.axis, -1)
        return moved.reshape(-1, 1, moved.shape[-1])

    def _back(self, rows: Tensor, like: Tensor) -> Tensor:
        shape = like.movedim(self.axis, -1).shape[:-1]
        return rows.reshape(*shape, rows.shape[-1]).movedim(-1, self.axis)


@lru_cache(maxsize=16)
def _svd(factor: int, profile: tuple[float, ...], length: int) -> tuple[Tensor, Tensor, Tensor]:
    """U (N / factor, R), s (N,) with zeros after the R that are not, V^T (N, N); float64."""
    operator = Downsample(-1, factor, torch.tensor(profile, dtype=torch.float64))
    matrix = operator(torch.eye(length, dtype=torch.float64)[:, None])[:, 0].mT
    svd = torch.linalg.svd  # pyright: ignore[reportUnknownVariableType]
    u, s, vt = cast("tuple[Tensor, Tensor, Tensor]", svd(matrix, full_matrices=True))
    noise = s.max() * length * torch.finfo(s.dtype).eps
    rank = int((s > noise).sum())
    return u[:, :rank], torch.cat([s[:rank], s.new_zeros(length - rank)]), vt
