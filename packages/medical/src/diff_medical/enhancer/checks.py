"""The measurements of every enhancement: how it was bounded, and whether what it removed looks
like noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_medical.enhancer.blobs import Blob, find_blobs

__all__ = ["SUSPICIOUS", "Checks", "looked_at", "measure"]

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

SUSPICIOUS = 0.1
"""Correlation of what was taken away with its neighbours, or with edges, that is worth a look.

White noise that was added to clean scans, and removed, has less: of nine scans with 39 noises in
all, the largest is -0.02 for neighbours along an axis and -0.03 for edges
(`benchmarks/medical/checks.py`). So a clean removal gives no note.
"""

PROBE = 1 << 23  # voxels that are looked at; of a larger volume its middle


@dataclass(frozen=True)
class Checks:
    """Measured on what was taken away, r = input - output, over the voxels that were changed.

    bounded:   share of voxels held back by the amplitude bound
    broad:     share of voxels where a broad change was held back
    whiteness: correlation of r with its neighbour along x, y and z; None along an axis of one
               voxel. White noise has 0; a denoiser takes a little less (it keeps some), so small
               negative values are usual. Above 0: the noise of the scan is correlated, or anatomy
               was taken away
    edges:     correlation of |r| with the steepness of the output: 0 if no edges were taken away
    spread:    standard deviation of r in units of the noise: near 1, and below
    largest:   the most that a voxel moved, in the units of the scan
    limit:     the most that one may move, in the units of the scan (of a map of levels: where the
               noise is strongest): 3.5 noise levels; of magnitudes more, because the bound holds
               in the domain where their noise is even (`Stabiliser.reach`)
    gain:      expected gain in dB by Stein's unbiased risk estimate on a small block, None where
               the noise level was given
    blobs:     places where what was removed is no noise over 3 to 7 voxels
               (`diff_medical.enhancer.blobs`), the surest first; of a large volume those in its
               middle, and of one that was filled with zeros in the voxels that were measured
    blob_count: how many there are, also beyond those that are listed
    """

    bounded: float
    broad: float
    whiteness: tuple[float | None, float | None, float | None]
    edges: float
    spread: float
    largest: float
    limit: float
    gain: float | None = None
    blobs: tuple[Blob, ...] = ()
    blob_count: int = 0

    def remarks(self) -> tuple[str, ...]:
        """Return the findings that a user should look at."""
        said: list[str] = []
        worst = max((w for w in self.whiteness if w is not None), default=0.0)
        if worst > SUSPICIOUS:
            said.append(
                f"what was removed is correlated between neighbours ({worst:.2f}): the noise is, "
                "as after interpolation, or anatomy went with it; look at --residual, and where "
                "it shows anatomy try --strength 0.5 or a lower --sigma"
            )
        if self.edges > SUSPICIOUS:
            said.append(
                f"what was removed is stronger at edges ({self.edges:.2f}): the level may be too "
                "high, or noise is stronger there; look at --residual, and where it shows anatomy "
                "try --strength 0.5 or a lower --sigma"
            )
        return tuple(said)


def measure(
    noisy: Array,
    estimate: Array,
    sigma: float | Array,
    changed: Mask,
    *,
    bounded: float,
    broad: float,
    largest: float,
    limit: float,
    gain: float | None,
    axes: tuple[int, ...] = (0, 1, 2),
    first: int = 0,
) -> Checks:
    """The checks of an `estimate` of `noisy`, both (X, Y, Z), whose noise has standard deviation
    `sigma` (a number, or one a voxel), over the voxels `changed`.

    axes:  along which neighbours show the same anatomy
    first: the plane of the volume that these begin with
    """
    part = (slice(None), slice(None), looked_at(noisy.shape))
    level = sigma[part] if isinstance(sigma, np.ndarray) else sigma
    residual = ((noisy[part] - estimate[part]) / level).astype(np.float32)
    inside = changed[part]
    output = estimate[part]
    count = max(1, int(inside.sum()))
    residual = np.where(inside, residual - residual[inside].sum() / count, np.float32(0))
    blob_count, blobs = find_blobs(residual, inside, axes, first)
    power = float(np.square(residual).sum(dtype=np.float64)) / count
    x, y, z = (_neighbours(residual, inside, axis, power) for axis in range(3))
    steep = np.zeros_like(residual)
    for axis in range(3):
        if output.shape[axis] > 2:
            steep += np.square(np.gradient(output, axis=axis))
    return Checks(
        bounded=bounded,
        broad=broad,
        whiteness=(x, y, z),
        edges=_correlation(np.abs(residual[inside]), np.sqrt(steep[inside])),
        spread=float(np.sqrt(power)),
        largest=largest,
        limit=limit,
        gain=gain,
        blobs=blobs,
        blob_count=blob_count,
    )


def looked_at(shape: tuple[int, ...]) -> slice:
    """The planes along Z that `measure` takes of volumes (X, Y, Z)."""
    depth = min(shape[2], max(3, PROBE // max(1, shape[0] * shape[1])))
    start = (shape[2] - depth) // 2
    return slice(start, start + depth)


def _neighbours(residual: Array, inside: Mask, axis: int, power: float) -> float | None:
    r, m = np.moveaxis(residual, axis, 0), np.moveaxis(inside, axis, 0)
    pairs = int((m[1:] & m[:-1]).sum())
    if pairs < 64 or power == 0:
        return None
    return float((r[1:] * r[:-1]).sum(dtype=np.float64)) / pairs / power


def _correlation(a: Array, b: Array) -> float:
    if a.size < 64 or not (a.std() > 0 and b.std() > 0):
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
