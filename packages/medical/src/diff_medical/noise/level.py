"""The noise level of a scan: blind estimates of the standard deviation, robust to anatomy, padding
and zero filling.

MR: the median absolute second difference along every finely sampled axis (a stencil blind to
linear trends), taken over the flattest part of the foreground. J. Immerkaer, "Fast noise variance
estimation", CVIU 1996, with the robust median of D. Donoho and I. Johnstone, "Ideal spatial
adaptation by wavelet shrinkage", 1994. For Rician noise the same estimate is made self-consistent
in the stabilised domain: sigma is the value for which f(M / sigma) has unit noise (A. Foi, "Noise
estimation and removal in MR imaging: the variance-stabilization approach", ISBI 2011).

CT: the mode of the local standard deviation in soft tissue, see `diff_medical.noise.ct`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diff_medical.noise.ct import MAD_TO_SD, soft_tissue
from diff_medical.noise.model import Distribution, Noise, Region
from diff_medical.noise.stabilise import stabiliser
from diff_medical.scan.background import background_values
from diff_medical.scan.spacing import THICK, Spacing

__all__ = [
    "Noise",
    "background",
    "clear_of_padding",
    "detail_sigma",
    "estimate",
    "fine_axes",
    "fine_detail",
    "probed",
    "steepness",
]

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

_SECOND_DIFFERENCE = np.array([1.0, -2.0, 1.0]) / np.sqrt(6)
_PROBE_VOXELS = 1 << 24
_WHITE = 0.4  # correlation of neighbours below which a background counts as white
_LOW = 6.0  # times the noise: the 99th percentile of a scan of low signal
_TOO_SMOOTH = 0.75  # correlation of neighbours above which a "background" is anatomy


def estimate(
    volume: Array,
    spacing: Spacing,
    *,
    modality: Literal["mr", "ct"] = "mr",
    distribution: Distribution | Literal["auto"] = "auto",
    coils: int = 1,
) -> Noise:
    """Return the noise of `volume` (X, Y, Z), finite, any unit; `spacing` in mm decides which axes
    count as finely sampled.

    With "auto" the distribution is Rician if the volume has no negative value and a Rayleigh
    background, else Gaussian; "ncchi" needs the number of `coils`. CT is Gaussian, even or (
    "poisson-ct") not; its sigma is that of soft tissue. A volume without texture (constant, or of
    a handful of voxels) has sigma 0. Raises ValueError for "poisson-ct" of MR.
    """
    volume = _probe(np.asarray(volume))
    axes = fine_axes(volume.shape, spacing)
    if modality == "ct":
        kind = "poisson-ct" if distribution == "poisson-ct" else "gaussian"
        tissue = soft_tissue(volume, axes)
        if tissue is not None:
            return Noise(tissue.sigma, kind, "soft tissue", tissue.correlation)
        return Noise(detail_sigma(volume, axes), kind, "fine detail")
    if distribution == "poisson-ct":
        raise ValueError(
            "poisson-ct is noise of CT, and this scan is taken for MR; expected modality=ct or "
            "other noise"
        )

    sigma = detail_sigma(volume, axes)
    if distribution == "gaussian":
        return Noise(sigma, "gaussian", "fine detail")
    if distribution != "auto":
        found = _self_consistent(volume, axes, sigma, coils)
        return Noise(found, distribution, "fine detail", coils=coils)
    empty = background(volume) if volume.min() >= 0 else None
    if empty is not None:
        rician = _self_consistent(volume, axes, sigma)
        # anatomy at the edge of a mask can look like Rayleigh noise, but not at the level of the
        # noise elsewhere
        if empty.correlation < _TOO_SMOOTH and 0.5 * rician < empty.sigma < 2 * rician:
            if empty.correlation < _WHITE and 0.85 * rician < empty.sigma < 1.15 * rician:
                # two independent measurements: fine anatomy raises the one, masking or parallel
                # imaging lower the other; where signal is low there is little fine anatomy, and
                # what there is looks like noise
                both = float(np.sqrt(rician * empty.sigma))
                if float(np.quantile(volume[::3, ::3], 0.99)) < _LOW * empty.sigma:
                    both = min(both, empty.sigma)
                return Noise(both, "rician", "fine detail and background", empty.correlation)
            return Noise(rician, "rician", "fine detail", empty.correlation)
    return Noise(sigma, "gaussian", "fine detail")


def fine_axes(shape: tuple[int, ...], spacing: Spacing) -> tuple[int, ...]:
    """The axes along which neighbours show the same anatomy: at least 3 samples, spacing at most
    twice the finest.
    """
    finest = min((s for s, n in zip(spacing, shape, strict=True) if n >= 3), default=0.0)
    return tuple(a for a in range(3) if shape[a] >= 3 and spacing[a] <= THICK * finest)


def detail_sigma(volume: Array, axes: tuple[int, ...]) -> float:
    """Return the noise standard deviation from second differences along `axes`, over the flattest
    30 % of the foreground.
    """
    if not axes:
        return 0.0
    values = volume.astype(np.float32, copy=False)
    usable = _foreground(values, axes)
    if usable.sum() < 64:
        return 0.0
    steep = steepness(values, axes)[usable]
    detail = np.abs(fine_detail(values, axes)[usable])
    if usable.sum() > 4096:
        detail = detail[steep <= np.quantile(steep, 0.3)]
    return float(np.median(detail) * MAD_TO_SD)


def fine_detail(values: Array, axes: tuple[int, ...]) -> Array:
    """Return the second differences along all of `axes`; of white noise they have its level."""
    from scipy.ndimage import convolve1d

    for axis in axes:
        values = convolve1d(values, _SECOND_DIFFERENCE, axis=axis, mode="nearest")
    return values


def steepness(values: Array, axes: tuple[int, ...]) -> Array:
    """Return the squared slope of the smoothed values around each voxel."""
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d

    smooth = values
    for axis in axes:
        smooth = gaussian_filter1d(smooth, 1.5, axis=axis)
    steep = np.zeros_like(values)
    for axis in axes:
        steep += np.square(np.gradient(smooth, axis=axis))
    for axis in axes:  # thin sheets have no slope at their middle, but all around it
        steep = uniform_filter1d(steep, 5, axis=axis)
    return steep


def background(volume: Array) -> Region | None:
    """The Rayleigh background of a magnitude image; None if it has none (cropped, masked or zeroed
    images).

    Blocks of 6 by 6 in-plane voxels whose mean / sd is that of Rayleigh (1.91) are gathered around
    their lowest level.
    """
    size = 6
    counts = [volume.shape[0] // size, volume.shape[1] // size]
    if min(counts) == 0:
        return None
    blocks = volume[: counts[0] * size, : counts[1] * size].astype(np.float32)
    blocks = blocks.reshape(counts[0], size, counts[1], size, -1).transpose(0, 2, 4, 1, 3)
    grid = blocks.shape[:3]
    blocks = blocks.reshape(-1, size, size)
    usable = (blocks == 0).mean(axis=(1, 2)) < 0.15
    blocks = blocks[usable]
    if len(blocks) < 30:
        return None
    mean, sd = blocks.mean(axis=(1, 2)), blocks.std(axis=(1, 2))
    rayleigh = (sd > 0) & (np.abs(mean - 1.913 * sd) < 0.5 * sd)
    levels = np.sqrt(np.square(blocks).mean(axis=(1, 2)) / 2)
    found = levels[rayleigh]
    if len(found) < max(30, 0.01 * len(blocks)):
        return None
    sigma = float(np.quantile(found, 0.1))
    for _ in range(10):
        near = found[(found > 0.6 * sigma) & (found < 1.4 * sigma)]
        sigma = float(np.median(near))
    chosen = rayleigh & (levels > 0.6 * sigma) & (levels < 1.4 * sigma)
    if chosen.sum() < max(30, 0.01 * len(blocks)):
        return None
    inside = np.zeros(usable.size, bool)
    inside[usable] = chosen
    power = np.zeros(usable.size)
    power[inside] = np.square(levels[chosen])
    around = _average(power.reshape(grid), inside.reshape(grid)).ravel()[usable]
    sigma, chosen = _darkest(around, chosen, sigma)
    # |rho|^2 of the complex noise is the autocorrelation of the power M^2
    power = np.square(blocks[chosen])
    power -= power.mean()
    total = np.square(power).mean()
    lag_one = (
        max((power[:, 1:] * power[:, :-1]).mean(), (power[:, :, 1:] * power[:, :, :-1]).mean())
        / total
    )
    return Region(sigma, float(np.sqrt(max(lag_one, 0.0))), float(chosen.mean()))


def _average(values: Array, inside: Mask) -> Array:
    """Return the average of the values inside over about two blocks in each direction: an
    amplitude of half the noise raises the root of the power by 6 %, and chance by 1 %.
    """
    from scipy.ndimage import gaussian_filter

    widths = [w if n > 1 else 0.0 for w, n in zip((0.7, 0.7, 1.0), values.shape, strict=True)]
    weight = gaussian_filter(inside.astype(float), widths)
    return gaussian_filter(values, widths) / np.maximum(weight, 1e-12)


def _darkest(around: Array, chosen: Mask, sigma: float) -> tuple[float, Mask]:
    """Return level and blocks of the darkest even part of a background, in which there is no
    faint anatomy; all of it where that part is small.
    """
    level = np.sqrt(around)
    least = float(np.quantile(level[chosen], 0.05))
    near = chosen
    for _ in range(20):
        near = chosen & (np.abs(level - least) < 0.05 * least)
        least = float(np.sqrt(around[near].mean()))
    if near.sum() < max(30, 0.2 * chosen.sum()):
        return sigma, chosen
    return least, near


def _self_consistent(volume: Array, axes: tuple[int, ...], sigma: float, coils: int = 1) -> float:
    table = stabiliser(coils)
    for _ in range(6):
        if not sigma > 0:
            return 0.0
        ratio = detail_sigma(table.forward(volume, sigma), axes)
        sigma *= ratio
        if abs(ratio - 1) < 0.005:
            break
    return float(sigma)


def _probe(volume: Array) -> Array:
    """The middle slices, where a volume is too large for whole-volume statistics in bounded
    memory.
    """
    return volume[:, :, probed(volume.shape)]


def probed(shape: tuple[int, ...]) -> slice:
    """The planes along Z from which the noise of a volume (X, Y, Z) is estimated."""
    depth = shape[2]
    keep = min(depth, max(8, _PROBE_VOXELS // max(1, shape[0] * shape[1])))
    start = (depth - keep) // 2
    return slice(start, start + keep)


def _foreground(values: Array, axes: tuple[int, ...]) -> Mask:
    """Voxels above a fifth of the bright level whose stencil lies inside the volume and outside
    any padding.
    """
    from scipy.ndimage import uniform_filter1d

    usable = clear_of_padding(values, axes)
    if not usable.any():
        return usable
    smooth = values
    for axis in axes:
        smooth = uniform_filter1d(smooth, 5, axis=axis)
    dark, bright = np.quantile(smooth[usable][::7], [0.01, 0.99])
    bright_enough = usable & (smooth > dark + 0.2 * (bright - dark))
    return bright_enough if bright_enough.sum() >= 64 else usable


def clear_of_padding(
    values: Array, axes: tuple[int, ...], *, ends: tuple[bool, bool] = (True, True)
) -> Mask:
    """Return the voxels whose stencil along `axes` lies inside the volume and outside any padding
    and clipping.

    ends: whether the first and the last plane along Z are the ends of the volume
    """
    from scipy.ndimage import binary_dilation

    usable = np.ones(values.shape, dtype=bool)
    reach = np.zeros((3, 3, 3), dtype=bool)
    reach[tuple(slice(None) if a in axes else 1 for a in range(3))] = True
    zeros = background_values(values, 0.0, "ct")  # 0 that noise does not make
    for extreme in {float(values.min()), float(values.max()), *zeros}:  # also clipping
        padding = values == np.float32(extreme)
        if padding.mean() > 0.001:
            usable &= np.logical_not(binary_dilation(padding, reach))
    for axis in axes:
        sides = [end for end, is_end in zip((0, -1), ends, strict=True) if is_end or axis != 2]
        np.moveaxis(usable, axis, 0)[sides] = False
    return usable
