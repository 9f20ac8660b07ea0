"""Scans as small grids of many channels: Haar's wavelet packet, with subbands of like variance.

Phung, Dao and Tran, Wavelet Diffusion Models are Fast and Scalable Image Generators (2023), and
Friedrich et al., WDM: 3D Wavelet Diffusion Models for High-Resolution Medical Image Synthesis
(2024), diffuse in the subbands of a Haar transform, which loses nothing. Fine subbands of scans
are some tens of times weaker than the coarse one: in their own units the noise would hide them at
every level but the last, and the loss hardly see them. Here each is divided by its standard
deviation to the power `whiten`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Packing", "fit_packing", "haar", "inverse_haar"]


def haar(x: Tensor, spatial: int, levels: int) -> Tensor:
    """Return the orthonormal transform of (B, C, *S): (B, C 2^(spatial levels), *S / 2^levels).

    Every subband is split again at each level; the first channel is the mean of a block times the
    square root of its size. Raises ValueError unless 2^levels divides each of the last `spatial`
    axes.
    """
    if any(n % 2**levels for n in x.shape[-spatial:]):
        raise ValueError(f"x has shape {tuple(x.shape)}; expected multiples of {2**levels}")
    for _ in range(levels):
        for axis in range(2, 2 + spatial):
            pairs = x.unflatten(axis, (-1, 2))
            a, b = pairs.unbind(axis + 1)
            x = torch.stack([a + b, a - b], 1).flatten(1, 2) / math.sqrt(2)
    return x


def inverse_haar(x: Tensor, spatial: int, levels: int) -> Tensor:
    """The transpose of `haar`."""
    for _ in range(levels):
        for axis in reversed(range(2, 2 + spatial)):
            low, high = x.unflatten(1, (2, -1)).unbind(1)
            x = torch.stack([low + high, low - high], axis + 1).flatten(axis, axis + 1)
            x = x / math.sqrt(2)
    return x


@dataclass(frozen=True)
class Packing:
    """A transform of scans to what is diffused, of about zero mean and unit variance.

    spatial: 2 or 3
    levels:  of the Haar transform
    means, scales: of each of the 2^(spatial levels) channels, packed = (subband - mean) / scale

    Raises ValueError for the wrong number of channels or a scale that is not above 0.
    """

    spatial: int
    levels: int
    means: tuple[float, ...]
    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        count = 2 ** (self.spatial * self.levels)
        if len(self.means) != count or len(self.scales) != count or min(self.scales) <= 0:
            raise ValueError(
                f"means and scales have {len(self.means)} and {len(self.scales)} entries; "
                f"expected {count} of each, scales above 0"
            )

    @property
    def channels(self) -> int:
        return len(self.scales)

    def pack(self, images: Tensor) -> Tensor:
        """Return (B, channels, *S / 2^levels) of (B, 1, *S)."""
        subbands = haar(images, self.spatial, self.levels)
        return (subbands - self._beside(self.means, images)) / self._beside(self.scales, images)

    def unpack(self, packed: Tensor) -> Tensor:
        """The inverse of `pack`."""
        subbands = packed * self._beside(self.scales, packed) + self._beside(self.means, packed)
        return inverse_haar(subbands, self.spatial, self.levels)

    def _beside(self, values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(
            -1, *(1,) * self.spatial
        )


def fit_packing(
    images: Tensor, spatial: int, levels: int, whiten: float, *, apart: bool = False
) -> Packing:
    """The packing of images (B, 1, *S): after it the mean square of all channels together is 1.

    whiten: 0 leaves the subbands their proportions, 1 gives all the same variance
    apart:  the coarse subband gets unit variance by itself, and the others together
    """
    if not 0 <= whiten <= 1:
        raise ValueError(f"whiten is {whiten}; expected 0 to 1")
    subbands = haar(images, spatial, levels).transpose(0, 1).flatten(1)
    deviation = subbands.std(1).clamp_min(1e-4)
    groups = deviation.split([1, len(deviation) - 1] if apart else [len(deviation)])
    scales = torch.cat([g**whiten * (g ** (1 - whiten)).square().mean().sqrt() for g in groups])
    means = torch.zeros_like(scales)
    means[0] = subbands[0].mean()
    return Packing(spatial, levels, *(tuple(v.tolist()) for v in (means, scales)))
