r"""The likeness of two scans, whatever the shift, the mirroring, the gain and the offset.

Two images a, b (or volumes) are compared by the normalised cross-correlation of their detail, at
its best over shifts u of up to `shift` pixels along each axis and over the mirrorings m:

    ncc(a, b) = max_{u, m} <a_m - mean, b_u - mean> / (|a_m - mean| |b_u - mean|)

over the inner window of a and the window of the same size of b that is moved by u, each with its
own mean: exactly what remains where a copy was moved, mirrored, and given another gain and offset.
All shifts are had at once from the product of the spectra (J. Lewis, "Fast normalized
cross-correlation", 1995), of whose inverse transform only the few shifts are computed.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BODY", "COARSE", "FINE", "SHIFT", "detail", "mirrors", "paired"]

Array = NDArray[np.float32]

BODY = 0.05
"""The tone above which a voxel is body: air is 0, lung 0.05 to 0.1."""
SHIFT = 4
"""The largest shift between two images, pixels."""
FINE, COARSE = 0.7, 8.0  # pixels, standard deviations of the two blurs of `detail`


def detail(images: Array) -> Array:
    """Return the part of images (N, *S) that is neither noise nor silhouette nor shading.

    The difference of two Gaussian blurs: all heads have one silhouette, which would hide the
    difference between alike and the same, and white noise would hide a copy.
    """
    from scipy.ndimage import gaussian_filter

    fine, coarse = (
        gaussian_filter(images, (0.0, *(blur,) * (images.ndim - 1)), mode="nearest")
        for blur in (FINE, COARSE)
    )
    return (fine - coarse).astype(np.float32)


def mirrors(axes: int) -> list[tuple[int, ...]]:
    """The axes to be mirrored, of each of the 2^axes mirrorings; the first is none."""
    return [m for n in range(axes + 1) for m in itertools.combinations(range(axes), n)]


def paired(one: Array, others: Array, shift: int = SHIFT, *, signed: bool = True) -> Array:
    """Return (N,), the largest correlation, over shifts, of images (N, *S) with their others (N,
    *S).

    Without mirroring. Where it is not `signed`, the largest absolute value. An image without
    contrast correlates 0 with everything. Raises ValueError for other shapes, or fewer than four
    pixels left of an axis when `shift` is taken off both its ends.
    """
    shape = one.shape[1:]
    if one.shape != others.shape or len(shape) not in (2, 3):
        raise ValueError(
            f"one has shape {one.shape}, others {others.shape}; expected the same (N, *S), of two "
            "or three axes S"
        )
    if shift < 0 or min(shape) - 2 * shift < 4:
        raise ValueError(
            f"shift is {shift}; expected 0 to {(min(shape) - 4) // 2} for images of {shape}"
        )
    first, second = (torch.from_numpy(np.ascontiguousarray(x)) for x in (one, others))
    axes = tuple(range(1, one.ndim))
    inner = tuple(slice(shift, n - shift) for n in shape)
    window = first[:, *inner] - first[:, *inner].mean(axes, keepdim=True)
    template = torch.zeros_like(first)
    template[:, *inner] = window
    second = second - second.mean(axes, keepdim=True)
    product = torch.fft.rfftn(second, dim=axes) * torch.fft.rfftn(template, dim=axes).conj()
    for axis, n in enumerate(shape[:-1], 1):
        # (shifts, n) against one axis
        product = (_inverse(n, shift) @ product.movedim(axis, -2)).movedim(-2, axis)
    sums = (product @ _inverse(shape[-1], shift, half=True).T).real
    size = window.square().sum(axes)
    flat = size <= 1e-10 * window[0].numel() * first.square().amax(axes)
    ncc = sums / _spread(second, shift) / size.sqrt().reshape(-1, *(1,) * len(shape))
    ncc = ncc if signed else ncc.abs()
    return ncc.flatten(1).amax(1).masked_fill(flat, 0.0).numpy()


def _spread(images: Tensor, shift: int) -> Tensor:
    """(N, shifts...): root of the sum of squares of each shifted window less its mean."""
    window = tuple(n - 2 * shift for n in images.shape[1:])
    mean, square = (_means(x.double(), window) for x in (images, images.square()))
    variance = square - mean.square()
    # what is left of a flat window is the rounding of its mean square
    variance = variance.where(variance > 1e-10 * square.amax(), math.inf)
    return (variance * math.prod(window)).sqrt().float()


def _means(images: Tensor, window: tuple[int, ...]) -> Tensor:
    """Return the means over all windows of that size, from running sums along each axis."""
    for axis, size in enumerate(window, 1):
        sums = images.cumsum(axis)
        count = images.shape[axis] - size
        last = sums.narrow(axis, size - 1, count + 1)
        before = sums.narrow(axis, 0, count)
        first = torch.zeros_like(last.narrow(axis, 0, 1))
        images = (last - torch.cat([first, before], axis)) / size
    return images


def _inverse(n: int, shift: int, *, half: bool = False) -> Tensor:
    """(2 shift + 1, n) rows of the inverse transform along an axis, for the shifts alone; along
    the last, of whose spectrum one half is there, the other half counts by doubling.
    """
    lags = torch.arange(-shift, shift + 1)
    k = torch.arange(n // 2 + 1 if half else n)
    weight = torch.ones(len(k)) / n
    if half:
        weight[1 : (n + 1) // 2] *= 2
    angle = 2 * math.pi * (lags[:, None] * k % n) / n
    return torch.polar(weight.expand_as(angle).contiguous(), angle)
