"""The values that the network is given for a scan, and the way back to the units of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_core.denoiser import Denoiser
from diff_medical.enhancer.bounds import TISSUE_HU
from diff_medical.noise.level import fine_axes
from diff_medical.noise.model import Noise
from diff_medical.noise.stabilise import stabiliser
from diff_medical.scan.intensity import Modality, Scale, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes, Quality, passes_for

__all__ = ["Array", "Denoised", "Task", "prepare", "restore"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """Values with additive noise of standard deviation `level`, one number or one a voxel.

    scale:  their intensity scale
    passes: the passes of the network over the volume
    fine:   the axes along which neighbours show the same anatomy
    """

    values: Array
    level: float | Array
    scale: Scale
    passes: Passes
    fine: tuple[int, ...]


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
    shape: tuple[int, ...] | None = None,
    to: Scale | None = None,
    quality: Quality = "default",
) -> Task:
    """Return the task of denoising `volume`, (X, Y, Z) in the units of the scan.

    level:     the noise level, one number or one a voxel
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
        if to is None:
            bright = scale(values * np.float32(level), "mr").scale - float(floor) * noise.sigma
            to = Scale(0.0, max(bright, noise.sigma))
        values = (values - floor) * np.float32(level)
    else:
        # padding and metal are cliffs that the network never saw: it gets air and bone instead
        values = np.clip(volume, *TISSUE_HU) if modality == "ct" else volume
        to = to or scale(volume, modality)
    return Task(values, level, to, passes, fine_axes(shape, spacing))


def restore(
    task: Task, found: Denoised, noise: Noise, limits: tuple[float, float]
) -> tuple[Array, Array | None]:
    """Return estimate and standard deviation in the units of the scan of which the task was made.

    The estimate lies between the least and the greatest value of the scan, the `limits`.
    """
    if not noise.is_magnitude:
        low, high = np.float32(limits[0]), np.float32(limits[1])
        return np.clip(found.values, low, high), found.spread
    table = stabiliser(noise.coils)
    stable = found.values / np.float32(task.level) + np.float32(table.expected[0])
    result = np.clip(table.inverse(stable, task.level), 0, np.float32(limits[1]))
    result = result.astype(np.float32)
    if found.spread is None:
        return result, None
    # near 0 the inverse is so steep that its slope says nothing of a step as large as this
    off = found.spread / np.float32(task.level)
    ends = [table.inverse(stable + sign * off, task.level) for sign in (1, -1)]
    return result, ((ends[0] - ends[1]) / 2).astype(np.float32)
