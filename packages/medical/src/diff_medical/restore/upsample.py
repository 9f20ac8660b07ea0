"""Thin slices from thick ones: super-resolution across slices, true to what was measured.

A thick slice is a weighted mean of thin ones. `slice_profile` is that mean as a matrix A; what is
looked for is the volume x that gives the scan, A x = y within its noise, and that the denoiser
takes for anatomy (`diff_medical.slices.volume`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.operator import Measurement
from diff_core.progress import Progress
from diff_core.progress import passes as parts
from diff_medical.enhancer.bounds import TISSUE_HU
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.model import Noise
from diff_medical.restore.outcome import Profile
from diff_medical.restore.plug_and_play import falling, plug_and_play
from diff_medical.scan.intensity import Modality, recognise, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes
from diff_medical.slices.slabs import slab_axes
from diff_medical.slices.volume import VolumeDenoiser

__all__ = ["Along", "SliceMeasurement", "Upsampled", "finer_spacing",
           "slice_profile", "thick_axis", "upsample"]  # fmt: skip

Array = NDArray[np.float32]
LEVELS = falling(0.3, 0.02, 8)
"""Noise levels of the prior, from what interpolation leaves open to what a scan's noise is."""
LEAST_NOISE = 0.002  # of the bright level: noise below it is that of rounding and of the model
ISOTROPIC = 1.2  # ratio to the finer voxel sizes below which slices are not thick
FEWEST = 4  # slices
MOST = 8.0  # times as many slices


def slice_profile(count: int, slices: int, profile: Profile = "gaussian") -> Tensor:
    """A (slices, count), float64: row j is what slice j sees of `count` thin slices.

    "gaussian": of full width at half maximum = the distance of slices, cut off at 1.5 distances on
    either side. "box": everything within half a distance. Rows sum to 1. Both stacks fill the same
    length: thin slices do not begin at the centre of the first thick one but at its edge.

    Raises ValueError for less than 1 slice, fewer thin slices than thick ones, or another profile.
    """
    if not 1 <= slices <= count:
        raise ValueError(f"given {slices} slices of {count}; expected 1 <= slices <= count")
    width = count / slices
    places = torch.arange(count, dtype=torch.float64)
    centres = (torch.arange(slices, dtype=torch.float64) + 0.5) * width - 0.5
    distance = (places - centres[:, None]).abs()
    if profile == "gaussian":
        weights = torch.exp2(-4 * (distance / width) ** 2) * (distance < 1.5 * width)
    elif profile == "box":
        weights = (width / 2 + 0.5 - distance).clamp(0, 1)
    else:
        raise ValueError(f"profile is {profile!r}; expected gaussian or box")
    return weights / weights.sum(1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Along:
    """A x: `matrix` (M, N) along one axis of x (B, C, *S), of length N; `axis` counts from B."""

    matrix: Tensor
    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        return _along(self.matrix, x, self.axis)

    def adjoint(self, y: Tensor) -> Tensor:
        return _along(self.matrix.mT, y, self.axis)


@dataclass(frozen=True, eq=False)
class SliceMeasurement(Measurement):
    """A `Measurement` by `Along`, whose A A^T is factored once: A A^T = Q diag(l) Q^T."""

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor]:
        """l (M,) and Q (M, M), float64."""
        operator = self.operator
        if not isinstance(operator, Along):
            raise ValueError(f"operator is {type(operator).__name__}; expected Along")
        matrix = operator.matrix.double()
        squares, turned = torch.linalg.eigh(matrix @ matrix.mT)
        return squares.clamp_min(0), turned

    def correction(self, x: Tensor, ratio: Tensor) -> Tensor:
        """A^T (A A^T + ratio I)^-1 (y - A x); the ratio is one number, above 0."""
        squares, turned = self._factors
        operator = self.operator
        assert isinstance(operator, Along)
        solved = (turned / (squares + float(broadcast(ratio, x).max()))) @ turned.mT
        return _along(operator.matrix.double().mT @ solved, self.residual(x), operator.axis)


@dataclass(frozen=True)
class Upsampled:
    """A volume of thinner slices and how it came about.

    volume:   float32, in the units of the scan
    noise:    of the scan
    modality: "mr" or "ct"
    misfit:   |A x - y| / (sigma sqrt(n)): how far thick slices of the result are from the scan, in
              standard deviations of its noise; about 1 or less is within the noise
    passes:   in which planes the prior saw the volume
    """

    volume: Array
    noise: Noise
    modality: Modality
    misfit: float
    passes: Passes


def thick_axis(shape: tuple[int, ...], spacing: Spacing) -> int:
    """The axis along which slices are thick.

    Raises ValueError if the voxels are near-isotropic, or for a stack of less than four slices.
    """
    axis = max(range(3), key=lambda a: spacing[a])
    others = max(spacing[a] for a in range(3) if a != axis)
    sizes = " x ".join(f"{s:.3g}" for s in spacing)
    if spacing[axis] < ISOTROPIC * others:
        raise ValueError(f"its voxels are {sizes} mm; expected slices thicker than pixels")
    if shape[axis] < FEWEST:
        raise ValueError(
            f"it has {shape[axis]} slices of {spacing[axis]:.3g} mm; expected at least {FEWEST}"
        )
    return axis


def finer_spacing(spacing: Spacing, axis: int, ratio: float) -> Spacing:
    """Voxel size, of which that along `axis` is `ratio` times what it was."""
    x, y, z = (s * ratio if a == axis else s for a, s in enumerate(spacing))
    return x, y, z


def upsample(
    enhancer: Enhancer,
    volume: Array,
    spacing: Spacing,
    count: int,
    *,
    axis: int | None = None,
    profile: Profile = "gaussian",
    settings: Settings | None = None,
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Upsampled:
    """`volume` (X, Y, Z), finite, with `count` slices in place of those along `axis`.

    spacing:  voxel size in mm
    axis:     by default that of the thick slices, which must be thick then
    profile:  of the slices, see `slice_profile`
    settings: modality, and the noise level
    noise:    of the scan; by default as the settings say, or estimated
    progress: called with the finished share, 0 to 1

    The result holds less noise than the scan. Noise of magnitudes is taken as Gaussian: a Rician
    floor stays. Nothing random is in it. Raises ValueError for a volume or count that do not fit.
    """
    settings = settings or Settings()
    if volume.ndim != 3 or not np.isfinite(volume).all():
        raise ValueError(f"volume is {volume.shape}; expected (X, Y, Z), finite")
    axis = thick_axis(volume.shape, spacing) if axis is None else axis
    slices = volume.shape[axis]
    if not slices < count <= MOST * slices:
        raise ValueError(
            f"count is {count}; expected more than the {slices} slices, at most {MOST:g} times"
        )
    modality = recognise(volume) if settings.modality == "auto" else settings.modality
    noise = noise or enhancer.noise_of(volume, spacing, settings)
    low, high = float(volume.min()), float(volume.max())
    seen = np.clip(volume, *TISSUE_HU) if modality == "ct" else volume
    to = scale(seen, modality)
    y = torch.from_numpy(to.normalise(seen))[None, None]
    sigma = max(noise.sigma / to.scale, LEAST_NOISE)
    fine = finer_spacing(spacing, axis, slices / count)
    # planes that hold the thick axis: the others show one slice at a time
    axes = tuple(a for a in slab_axes(fine) if a != axis)
    seen_at_once = network_of(enhancer.denoiser).slices
    axes = axes or tuple(a for a in range(3) if a != axis)
    passes = Passes(axes, seen_at_once - 2, slices=seen_at_once)
    operator = Along(slice_profile(count, slices, profile), axis + 2)
    measurement = SliceMeasurement(operator, y, sigma)
    prior = VolumeDenoiser(enhancer.denoiser, passes, parts(progress, len(LEVELS)))
    start = torch.from_numpy(_cubic(y[0, 0].numpy(), axis, count))[None, None]
    x = plug_and_play(prior, measurement, start, LEVELS)
    # magnitudes are not negative
    bounded = x.clamp_min(-to.offset / to.scale) if low >= 0 else x
    misfit = float(measurement.residual(bounded).square().mean().sqrt()) / sigma
    result = to.restore(bounded[0, 0].numpy())
    if modality == "ct":
        result = np.clip(result, low, max(high, TISSUE_HU[1]))
    return Upsampled(result, noise, modality, misfit, passes)


def _along(matrix: Tensor, x: Tensor, axis: int) -> Tensor:
    moved = torch.tensordot(matrix.to(x), x.movedim(axis, 0), 1)
    return moved.movedim(0, axis).contiguous()


def _cubic(values: Array, axis: int, count: int) -> Array:
    """Cubic splines through the slices, level beyond the centres of the first and the last."""
    from scipy.interpolate import CubicSpline

    slices = values.shape[axis]
    width = count / slices
    centres = (np.arange(slices) + 0.5) * width - 0.5
    places = np.clip(np.arange(count), centres[0], centres[-1])
    return CubicSpline(centres, values, axis=axis)(places).astype(np.float32)
