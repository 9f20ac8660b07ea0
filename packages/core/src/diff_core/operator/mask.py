"""Some entries are observed, the others are not: inpainting, missing samples, dropped slices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.operator.base import check_mask

__all__ = ["Mask"]


@dataclass(frozen=True, eq=False)
class Mask:
    """A x = x where mask is 1 (observed), 0 elsewhere; y has the shape of x.

    `mask` holds 0 and 1 or booleans, of a shape that broadcasts to x (B, C, *S). What stands at
    unobserved entries, NaN included, plays no part. Raises ValueError for other values or shapes.
    """

    mask: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", check_mask("mask", self.mask))

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(self._over(x), x, 0.0)

    def adjoint(self, y: Tensor) -> Tensor:
        return self(y)

    def singular_values(self, x: Tensor) -> Tensor:
        return self._over(x).to(x.dtype)

    def analyse(self, x: Tensor) -> Tensor:
        return x

    def synthesise(self, spectrum: Tensor) -> Tensor:
        return spectrum

    def invert(self, y: Tensor) -> Tensor:
        return self(y)

    def _over(self, x: Tensor) -> Tensor:
        mask = self.mask
        fits = mask.ndim <= x.ndim and all(
            m in (1, n) for m, n in zip(reversed(mask.shape), reversed(x.shape), strict=False)
        )
        if not fits:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}; expected one that broadcasts to that of x, "
                f"{tuple(x.shape)}"
            )
        return mask
