"""Convolution with a known kernel: a point-spread function, a motion blur, a room's response."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from diff_core.operator.hartley import hartley, inverted

__all__ = ["Blur", "gaussian_kernel"]

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def gaussian_kernel(fwhm: Sequence[float], size: Sequence[int]) -> Tensor:
    """A Gaussian of sum 1 and shape `size`, with its full width at half maximum per axis.

    Widths are in entries of the signal. float64. Raises ValueError unless `fwhm` and `size` are of
    equal length and above 0.
    """
    if len(fwhm) != len(size) or not size or min(fwhm) <= 0 or min(size) < 1:
        raise ValueError(
            f"given fwhm={tuple(fwhm)}, size={tuple(size)}; expected one width above 0 and one "
            "size from 1 for each axis"
        )
    kernel = torch.ones((), dtype=torch.float64)
    for width, count in zip(fwhm, size, strict=True):
        place = torch.arange(count, dtype=torch.float64) - (count - 1) / 2
        bell = torch.exp(-4 * math.log(2) * (place / width) ** 2)
        kernel = kernel.unsqueeze(-1) * (bell / bell.sum())
    return kernel


@dataclass(frozen=True, eq=False)
class Blur:
    """A x = kernel * x, of the size of x: kernel (k_1, ..., k_n) of odd sizes, x (B, C, *S).

    n is the number of axes of S, 1 to 3. Beyond its ends the signal is 0 (boundary="zeros") or
    begins again ("periodic"). Raises ValueError for an even size, another boundary or another n.
    """

    kernel: Tensor
    boundary: Literal["zeros", "periodic"] = "zeros"

    def __post_init__(self) -> None:
        shape = tuple(self.kernel.shape)
        if len(shape) not in _CONVOLVE or any(n % 2 == 0 for n in shape):
            raise ValueError(f"kernel has shape {shape}; expected 1 to 3 axes of odd size")
        if self.boundary not in ("zeros", "periodic"):
            raise ValueError(f"boundary is {self.boundary!r}; expected 'zeros' or 'periodic'")

    def __call__(self, x: Tensor) -> Tensor:
        # torch's convolution is a correlation
        return self._correlate(x, self.kernel.flip(tuple(range(self.kernel.ndim))))

    def adjoint(self, y: Tensor) -> Tensor:
        return self._correlate(y, self.kernel)

    def singular_values(self, x: Tensor) -> Tensor:
        """The size of the kernel's Fourier transform, shape S. Raises ValueError if not periodic.

        With V the Hartley transform A = U diag(s) V^T: U turns the phase of each frequency.
        """
        if self.boundary != "periodic":
            raise ValueError(
                f"boundary is {self.boundary!r}; expected 'periodic', for a singular value "
                "decomposition of the blur"
            )
        pulse = torch.zeros(1, 1, *x.shape[2:], dtype=torch.float64)
        pulse.view(-1)[0] = 1
        response = torch.fft.fftn(self(pulse), dim=self._axes(x))[0, 0].abs()
        noise = response.max() * response.numel() * torch.finfo(x.dtype).eps
        return torch.where(response > noise, response, 0.0).to(x)

    def analyse(self, x: Tensor) -> Tensor:
        return hartley(x, self._axes(x))

    def synthesise(self, spectrum: Tensor) -> Tensor:
        return hartley(spectrum, self._axes(spectrum))

    def invert(self, y: Tensor) -> Tensor:
        return inverted(self.analyse(self.adjoint(y)), self.singular_values(y))

    def _axes(self, x: Tensor) -> tuple[int, ...]:
        return tuple(range(2, x.ndim))

    def _correlate(self, x: Tensor, kernel: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        fits = len(size) == kernel.ndim and (
            self.boundary == "zeros"
            or all(k // 2 <= n for k, n in zip(kernel.shape, size, strict=True))
        )
        if not fits:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (B, C, *S) with S of {kernel.ndim} axes, "
                f"not much smaller than the kernel {tuple(kernel.shape)}"
            )
        margin = [k // 2 for k in reversed(kernel.shape) for _ in range(2)]
        mode = "constant" if self.boundary == "zeros" else "circular"
        padded = F.pad(x.reshape(-1, 1, *size), margin, mode=mode)
        return _CONVOLVE[kernel.ndim](padded, kernel.to(x)[None, None]).reshape(x.shape)
