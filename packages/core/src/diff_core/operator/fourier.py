"""Samples of the Fourier transform, through one coil or many: magnetic resonance imaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diff_core.operator.base import check_mask
from diff_core.operator.hartley import hartley, inverted

__all__ = ["Fourier"]


@dataclass(frozen=True, eq=False)
class Fourier:
    """A x = sampling . FFT(coil . x), for every coil; the transform keeps the norm ("ortho").

    SENSE: Sensitivity Encoding for Fast MRI (Pruessmann et al., 1999), on a Cartesian grid.

    x: (B, 2, *S), real and imaginary part; with channels = 1 a real image (B, 1, *S).
    y: (B, K, *S, 2), `torch.view_as_real` of the k-space of K coils (one, if `coils` is None).
    sampling: 0 and 1 (1 = observed), of a shape that broadcasts to (B, K, *S).
    coils: complex sensitivities (K, *S) or (B, K, *S).
    centred: zero frequency in the middle of the array, as scanners and fastMRI store it; by
        default at index 0, as FFTs do.
    Unobserved entries of y play no part. Raises ValueError for shapes that do not fit these.
    """

    sampling: Tensor
    coils: Tensor | None = None
    channels: Literal[1, 2] = 2
    centred: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sampling", check_mask("sampling", self.sampling))
        if self.coils is not None and not self.coils.is_complex():
            raise ValueError(f"coils is of type {self.coils.dtype}; expected a complex type")
        if self.channels not in (1, 2):
            raise ValueError(f"channels is {self.channels}; expected 1 (real) or 2 (complex)")

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim < 3 or x.shape[1] != self.channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (B, {self.channels}, *S), as channels = "
                f"{self.channels} says"
            )
        real = x[:, :1]
        image = torch.complex(real, x[:, 1:] if self.channels == 2 else torch.zeros_like(real))
        if self.coils is not None:
            image = self._fit("coils", self.coils, image, grows=True) * image
        axes = tuple(range(2, image.ndim))
        if self.centred:
            image = torch.fft.ifftshift(image, dim=axes)
        kspace = torch.fft.fftn(image, dim=axes, norm="ortho")
        if self.centred:
            kspace = torch.fft.fftshift(kspace, dim=axes)
        sampling = self._fit("sampling", self.sampling, kspace)
        return torch.view_as_real(torch.where(sampling, kspace, 0.0).contiguous())

    def adjoint(self, y: Tensor) -> Tensor:
        if y.ndim < 4 or y.shape[-1] != 2:
            raise ValueError(f"y has shape {tuple(y.shape)}; expected (B, K, *S, 2)")
        kspace = torch.view_as_complex(y.contiguous())
        kspace = torch.where(self._fit("sampling", self.sampling, kspace), kspace, 0.0)
        axes = tuple(range(2, kspace.ndim))
        if self.centred:
            kspace = torch.fft.ifftshift(kspace, dim=axes)
        image = torch.fft.ifftn(kspace, dim=axes, norm="ortho")
        if self.centred:
            image = torch.fft.fftshift(image, dim=axes)
        if self.coils is not None:
            image = self._fit("coils", self.coils, image).conj() * image
        image = image.sum(1, keepdim=True)
        return image.real if self.channels == 1 else torch.cat([image.real, image.imag], 1)

    def singular_values(self, x: Tensor) -> Tensor:
        """0 and 1 of a complex image; of a real one also sqrt(1/2), for a frequency of which only
        one of the pair k and -k is observed. Raises ValueError if there are coils.

        V is the Fourier transform of a complex image, and the Hartley transform of a real one.
        """
        if self.coils is not None:
            raise ValueError(
                "coils is given; expected None, for a singular value decomposition of the "
                "transform"
            )
        whole = torch.complex(x[:, :1], torch.zeros_like(x[:, :1]))
        seen = self._fit("sampling", self.sampling, whole).expand(whole.shape).to(x.dtype)
        if self.channels == 2:
            return seen.expand(x.shape)
        axes = tuple(range(2, x.ndim))
        if self.centred:
            seen = torch.fft.ifftshift(seen, dim=axes)
        mirrored = seen.flip(axes).roll((1,) * len(axes), axes)
        return (0.5 * (seen + mirrored)).sqrt()

    def analyse(self, x: Tensor) -> Tensor:
        axes = tuple(range(2, x.ndim))
        if self.channels == 1:
            return hartley(torch.fft.ifftshift(x, dim=axes) if self.centred else x, axes)
        image = torch.complex(x[:, :1], x[:, 1:])
        if self.centred:
            image = torch.fft.ifftshift(image, dim=axes)
        kspace = torch.fft.fftn(image, dim=axes, norm="ortho")
        if self.centred:
            kspace = torch.fft.fftshift(kspace, dim=axes)
        return torch.cat([kspace.real, kspace.imag], 1)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        axes = tuple(range(2, spectrum.ndim))
        if self.channels == 1:
            image = hartley(spectrum, axes)
            return torch.fft.fftshift(image, dim=axes) if self.centred else image
        kspace = torch.complex(spectrum[:, :1], spectrum[:, 1:])
        if self.centred:
            kspace = torch.fft.ifftshift(kspace, dim=axes)
        image = torch.fft.ifftn(kspace, dim=axes, norm="ortho")
        if self.centred:
            image = torch.fft.fftshift(image, dim=axes)
        return torch.cat([image.real, image.imag], 1)

    def invert(self, y: Tensor) -> Tensor:
        x = self.adjoint(y)
        return inverted(self.analyse(x), self.singular_values(x))

    def _fit(self, name: str, field: Tensor, image: Tensor, grows: bool = False) -> Tensor:
        """`field` if it broadcasts to `image` (B, K, *S); with `grows`, it may bring its own K."""
        try:
            shape = torch.broadcast_shapes(field.shape, image.shape)
        except RuntimeError:
            shape = torch.Size()
        expected = list(image.shape)
        if grows and len(shape) == len(expected):
            expected[1] = shape[1]
        if list(shape) != expected:
            raise ValueError(
                f"{name} has shape {tuple(field.shape)}; expected one that broadcasts to "
                f"(B, K, *S) = {tuple(image.shape)}"
            )
        return field.to(image.dtype) if field.is_complex() else field
