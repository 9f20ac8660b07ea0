"""Filling voxels that an artefact has spoilt, from their surroundings and a denoiser as prior.

What is filled in is invented: plausible, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diff_core.operator import Mask, Measurement
from diff_core.progress import Progress
from diff_core.progress import passes as parts
from diff_medical.enhancer.bounds import TISSUE_HU
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.model import Noise
from diff_medical.restore.plug_and_play import falling, plug_and_play
from diff_medical.scan.intensity import Modality, recognise, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes, passes_for
from diff_medical.slices.volume import VolumeDenoiser

__all__ = ["Inpainted", "harmonic", "inpaint"]

Array = NDArray[np.float32]
LEVELS = falling(0.03, 0.02, 6)
"""Noise levels of the prior. Higher ones blur what harmonic filling, the start, has right."""
LEAST_NOISE = 0.002  # of the bright level: noise below it is that of rounding and of the model
MOST = 0.5  # share of the volume that may be filled


@dataclass(frozen=True)
class Inpainted:
    """A volume whose spoilt voxels were filled, and how it came about.

    volume:   float32, in the units of the scan; outside the mask the scan's own values, bit by bit
    noise:    of the scan, which what was filled in does not have
    modality: "mr" or "ct"
    filled:   share of the voxels that is invented
    passes:   in which planes the prior saw the volume
    """

    volume: Array
    noise: Noise
    modality: Modality
    filled: float
    passes: Passes


def inpaint(
    enhancer: Enhancer,
    volume: Array,
    spacing: Spacing,
    mask: ArrayLike,
    *,
    settings: Settings | None = None,
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Inpainted:
    """`volume` (X, Y, Z) with new values where `mask` is not 0.

    spacing:  voxel size in mm
    mask:     of the same shape, at most half of it other than 0
    settings: modality, and the noise level
    noise:    of the scan; by default as the settings say, or estimated outside the mask
    progress: called with the finished share, 0 to 1

    What stands in the mask plays no part, NaN included. Nothing random is in it. Raises ValueError
    for a mask that does not fit, is empty, or covers more than half, and for values outside it
    that are not finite.
    """
    settings = settings or Settings()
    hole = np.asarray(mask) != 0
    if volume.ndim != 3 or hole.shape != volume.shape:
        raise ValueError(
            f"mask has shape {hole.shape}; expected that of the volume, {volume.shape}"
        )
    filled = float(hole.mean())
    if not 0 < filled <= MOST:
        raise ValueError(
            f"mask covers {filled:.0%} of the volume; expected more than none, at most {MOST:.0%}"
        )
    if not np.isfinite(volume[~hole]).all():
        raise ValueError("volume has NaN or Inf outside the mask; expected finite values")
    known = harmonic(volume, hole, spacing)
    modality = recognise(known) if settings.modality == "auto" else settings.modality
    noise = noise or enhancer.noise_of(known, spacing, settings)
    seen = np.clip(known, *TISSUE_HU) if modality == "ct" else known
    to = scale(seen[~hole], modality)
    y = torch.from_numpy(to.normalise(seen))[None, None]
    operator = Mask(torch.from_numpy(~hole)[None, None])
    measurement = Measurement(operator, y, max(noise.sigma / to.scale, LEAST_NOISE))
    slices = network_of(enhancer.denoiser).slices
    axes = passes_for("best", volume.shape, spacing, slices).axes
    passes = Passes(axes, slices - 2, slices=slices)
    prior = VolumeDenoiser(enhancer.denoiser, passes, parts(progress, len(LEVELS)))
    x = plug_and_play(prior, measurement, y, LEVELS)
    result = volume.copy()
    made = to.restore(x[0, 0].numpy())
    result[hole] = np.clip(made, volume[~hole].min(), volume[~hole].max())[hole]
    return Inpainted(result, noise, modality, filled, passes)


def harmonic(volume: Array, hole: NDArray[np.bool_], spacing: Spacing) -> Array:
    """`volume` with the smoothest filling of the hole: every voxel of it the mean of its six
    neighbours, weighted by 1 / distance^2 (Laplace's equation).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import cg

    number = np.full(volume.shape, -1)
    number[hole] = np.arange(hole.sum())
    count = int(hole.sum())
    diagonal, right = np.zeros(count), np.zeros(count)
    links: list[tuple[NDArray[np.int64], NDArray[np.int64], float]] = []
    for axis in range(3):
        weight = (min(spacing) / spacing[axis]) ** 2
        n, v = np.moveaxis(number, axis, 0), np.moveaxis(volume, axis, 0)
        for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            mine, other = n[here], n[there]
            np.add.at(diagonal, mine[mine >= 0], weight)
            edge = (mine >= 0) & (other < 0)
            np.add.at(right, mine[edge], weight * v[there][edge])
            inside = (mine >= 0) & (other >= 0)
            links.append((mine[inside], other[inside], -weight))
    own = np.arange(count)
    rows = np.concatenate([own, *(link[0] for link in links)])
    columns = np.concatenate([own, *(link[1] for link in links)])
    values = np.concatenate([diagonal, *(np.full(len(a), w) for a, _, w in links)])
    matrix = coo_matrix((values, (rows, columns)), (count, count)).tocsr()
    found, _ = cg(matrix, right, rtol=1e-4, maxiter=2000)
    filled = volume.copy()
    filled[hole] = found
    return filled
