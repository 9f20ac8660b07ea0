"""The values that the network is given for a scan, and the way back to the units of the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_core.denoiser import Denoiser
from diff_medical.enhancer.bounds import TISSUE_HU
from diff_medical.enhancer.settings import Floor
from diff_medical.noise.level import fine_axes
from diff_medical.noise.model import Noise
from diff_medical.noise.stabilise import stabiliser
from diff_medical.scan.intensity import Modality, Scale, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes, Quality, passes_for

__all__ = ["Array", "Denoised", "Task", "prepare", "restore"]

Array = NDArray[np.float32]
"""Voxels in single precision."""

LEAST = 0.1
"""Of the noise: the least amplitude of magnitudes, so that logarithms, as of diffusion, stay
finite. Where there is no signal, the error of the best estimate is larger."""


@dataclass(frozen=True)
class Task:
    """Values with additive noise.

    values: those of the scan, or what its transform makes of them, over `unit`
    level:  the standard deviation of the noise in the units of the scan, one number or one a voxel
    unit:   1, or the noise of each voxel over that of the scan: MR has no scale of its own, so
            noise that varies is made even by division (H. Xue et al., "SNRAware: improved deep
            learning MRI denoising with SNR unit training and g-factor map augmentation", 2025)
    scale:  the intensity scale of the values
    passes: the passes of the network over the volume
    fine:   the axes along which neighbours show the same anatomy
    """

    values: Array
    level: float | Array
    unit: float | Array
    scale: Scale
    passes: Passes
    fine: tuple[int, ...]

    @property
    def even(self) -> float | Array:
        """The standard deviation of the noise of the values."""
        return _over(self.level, self.unit)


@dataclass(frozen=True)
class Denoised:
    """The bounded estimate of a task.

    values:         in the units of the task
    spread:         its standard deviation, None unless it was asked for
    bounded, broad: shares of voxels held back by the two bounds
    """

    values: Array
    spread: Array | None
    bounded: float
    broad: float


def prepare(
    denoiser: Denoiser,
    volume: Array,
    spacing: Spacing,
    noise: Noise,
    level: float | Array,
    modality: Modality,
    *,
    unit: float | Array = 1.0,
    shape: tuple[int, ...] | None = None,
    to: Scale | None = None,
    quality: Quality = "default",
) -> Task:
    """Return the task of denoising `volume`, (X, Y, Z) in the units of the scan.

    level:     the noise level, one number or one a voxel
    unit:      what the values are divided by, see `Task`
    shape, to: shape and intensity scale of the volume of which this is a part; by default its own
    quality:   see `diff_medical.slices.passes`

    Raises ValueError for a denoiser that has no slab network.
    """
    shape = shape or volume.shape
    passes = passes_for(quality, shape, spacing, network_of(denoiser).slices)
    if noise.is_magnitude:
        # f has noise of 1, so f sigma has that of the scan, and its units; its floor is put at 0
        table = stabiliser(noise.coils)
        floor = np.float32(table.expected[0])
        values = table.forward(volume, level)
        even = np.float32(_over(level, unit))
        if to is None:
            bright = scale(values * even, "mr").scale - float(floor) * noise.sigma
            to = Scale(0.0, max(bright, noise.sigma))
        values = (values - floor) * even
    else:
        # padding and metal are cliffs that the network never saw: it gets air and bone instead
        values = np.clip(volume, *TISSUE_HU) if modality == "ct" else _over(volume, unit)
        to = to or scale(volume if modality == "ct" else values, modality)
    return Task(values, level, unit, to, passes, fine_axes(shape, spacing))


def restore(
    task: Task,
    found: Denoised,
    noise: Noise,
    limits: tuple[float, float],
    floor: Floor = "remove",
) -> tuple[Array, Array | None]:
    """Return estimate and standard deviation in the units of the scan of which the task was made.

    floor: whether magnitudes become amplitudes, or the means that magnitudes of those have
    Amplitudes of magnitudes are at least LEAST noise levels. The estimate lies between the least
    and the greatest value of the scan, the `limits`.
    """
    unit = np.float32(task.unit)
    if not noise.is_magnitude:
        low, high = np.float32(limits[0]), np.float32(limits[1])
        spread = None if found.spread is None else found.spread * unit
        return np.clip(found.values * unit, low, high), spread
    table = stabiliser(noise.coils)
    even = np.float32(task.even)
    stable = found.values / even + np.float32(table.expected[0])

    def back(values: Array) -> Array:
        least = np.float32(LEAST) * np.float32(task.level)
        amplitude = np.maximum(table.inverse(values, task.level), least)
        return table.mean_of(amplitude, task.level) if floor == "keep" else amplitude

    result = np.clip(back(stable), 0, np.float32(limits[1])).astype(np.float32)
    if found.spread is None:
        return result, None
    # near 0 the inverse is so steep that its slope says nothing of a step as large as this
    off = found.spread / even
    ends = [back((stable + sign * off).astype(np.float32)) for sign in (1, -1)]
    return result, ((ends[0] - ends[1]) / 2).astype(np.float32)


def _over(values: Any, unit: float | Array) -> Any:
    """Return values over a unit; the same values where that is 1."""
    return values if isinstance(unit, float) and unit == 1 else values / np.float32(unit)
