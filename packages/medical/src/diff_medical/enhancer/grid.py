"""A zero-filled scan is enhanced on the grid on which it was measured, and filled again.

There its noise is white, which is the noise that the network knows. What is removed has no
frequencies beyond the band that was measured, so what the scan has beyond it stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source, Survey
from diff_medical.noise.band import cropped, filled, measured
from diff_medical.noise.level import fine_axes, probed
from diff_medical.scan import scratch
from diff_medical.scan.background import background_values
from diff_medical.scan.intensity import Modality

__all__ = ["between", "measured_grid", "removed_from", "unfilled"]

Array = NDArray[np.float32]


def measured_grid(
    source: Source, survey: Survey, settings: Settings, modality: Modality
) -> tuple[int, int, int] | None:
    """Return how many samples of a volume were measured along each axis; None where all were, and
    for what is not a whole scan of MR: with a background of one value, voxels that are missing, or
    a map of levels.
    """
    one_piece = source.missing is None and source.sigma_map is None
    if modality == "ct" or not one_piece or not survey.low < survey.high or settings.samples:
        return None
    if background_values(survey.sample, 0.0, modality):
        return None
    planes = probed(source.shape)
    axes = fine_axes(source.shape, source.spacing)
    whole = planes.stop - planes.start == source.shape[2]
    found = measured(source.read(planes), [a for a in axes if whole or a < 2])
    made = (found[0], found[1], found[2] if whole else source.shape[2])
    return None if made == source.shape else made


def unfilled(source: Source, counts: tuple[int, int, int], *, positive: bool) -> Source:
    """Return a volume on the grid on which it was measured.

    positive: whether it has no value below 0, which cropping may make
    """
    shape = (counts[0], counts[1], source.shape[2])
    kept = scratch.empty(shape, np.float32, large=bool(np.prod(shape) > scratch.LARGE))
    for planes in source.steps():
        count = planes.stop - planes.start
        kept[:, :, planes] = cropped(source.read(planes), (*counts[:2], count))
        scratch.release(kept)
    if counts[2] != shape[2]:
        kept = cropped(kept, counts)
    if positive:
        np.maximum(kept, 0, out=kept)
    x, y, z = (s * n / c for s, n, c in zip(source.spacing, source.shape, counts, strict=True))
    return Source(
        counts, lambda planes: np.array(kept[:, :, planes]), (x, y, z), modality=source.modality,
        thickness=source.thickness, joint=source.joint,
    )  # fmt: skip


def removed_from(removed: Array, shape: tuple[int, int, int], planes: slice) -> Array:
    """Return what is to be removed from some planes of a volume of `shape`, of what was removed on
    the grid on which it was measured.
    """
    if removed.shape[2] == shape[2]:
        part = removed[:, :, planes]
        return filled(part, (*shape[:2], part.shape[2]))
    return filled(removed, shape)[:, :, planes]


def between(values: Array, shape: Sequence[int], planes: slice) -> Array:
    """Return positive values, as standard deviations, of some planes on the finer grid of `shape`,
    linear between those of the coarser one.
    """
    places = [np.arange(shape[0]), np.arange(shape[1]), np.arange(planes.start, planes.stop)]
    for axis in (2, 0, 1):
        count = values.shape[axis]
        place = np.minimum(places[axis] * (count / shape[axis]), count - 1)
        low = place.astype(int)
        high = np.minimum(low + 1, count - 1)
        share = (place - low).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(3)])
        values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return values
