"""Numbers of a brain and its label map that belong to no network, as radiomics takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from diff_medical.brain.grid import CLASSES
from diff_medical.brain.spectrum import EDGES, radial_power

__all__ = ["brain_features", "over_white", "volume_name"]

GREY, WHITE = 2, 3  # of `grid.CLASSES`

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]


def volume_name(number: int) -> str:
    """Return the name of the feature that is the volume of a class, 1 to 5, in ml."""
    return f"{CLASSES[number]}, ml"


def over_white(scan: Volume, labels: Labels) -> Volume:
    """Return a scan (X, Y, Z) in units of the median of white matter.

    Raises ValueError for a brain without white matter.
    """
    white = labels == WHITE
    if not white.any() or not np.median(scan[white]) > 0:
        raise ValueError("holds no white matter that is brighter than 0")
    return scan / np.float32(np.median(scan[white]))


def brain_features(scan: Volume, labels: Labels, voxel: float) -> dict[str, float]:
    """Return some forty numbers by name.

    scan:   (X, Y, Z), any unit: it is divided by the median of white matter
    labels: (X, Y, Z), `grid.CLASSES`
    voxel:  mm

    Volumes and quartiles of each class, steps and curvature of the grey levels, their deviation by
    scale, the faces between classes, the symmetry of the label map, and the power spectrum.
    Raises ValueError for a brain without white matter.
    """
    scan = over_white(scan, labels)
    white, head = labels == WHITE, labels > 0
    found = _classes(scan, labels, voxel)
    steps = np.sqrt(sum(np.square(g) for g in np.gradient(scan)))
    for q in (0.25, 0.5, 0.75, 0.95):
        found[f"step of grey, quantile {q}"] = float(np.quantile(steps[head], q))
    curved = np.asarray(ndimage.laplace(scan), np.float32)
    for q in (0.05, 0.5, 0.95):
        found[f"curvature of grey, quantile {q}"] = float(np.quantile(curved[head], q))
    inner = np.asarray(ndimage.binary_erosion(white, iterations=2), bool)
    found["grain of white matter"] = float(curved[inner].std()) if inner.any() else 0.0
    for scale in (1, 2, 4):
        band = ndimage.gaussian_filter(scan, scale) - ndimage.gaussian_filter(scan, 2 * scale)
        found[f"detail of {scale} voxels"] = float(np.log(band[head].std() + 1e-6))
    for name, one, other in (("grey and white", GREY, WHITE), ("fluid and grey", 1, GREY)):
        found[f"faces of {name}"] = _faces(labels, one, other) / float(head.sum())
    found["pieces of white matter"] = float(np.log1p(ndimage.label(white)[1]))  # type: ignore[index]
    mirrored = labels[::-1]
    either = head | (mirrored > 0)
    found["symmetry"] = float((mirrored == labels)[either].mean())
    return found | _spectrum(scan)


def _classes(scan: Volume, labels: Labels, voxel: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for number in range(1, len(CLASSES)):
        inside = labels == number
        found[volume_name(number)] = float(inside.sum()) * voxel**3 / 1000
        values = scan[inside] if inside.any() else np.zeros(1, np.float32)
        for q in (0.25, 0.5, 0.75):
            if (number, q) != (WHITE, 0.5):  # which is 1
                found[f"{CLASSES[number]}, grey, quantile {q}"] = float(np.quantile(values, q))
    return found


def _faces(labels: Labels, one: int, other: int) -> float:
    """The number of faces of voxels between two classes."""
    count = 0
    for axis in range(3):
        below, above = (
            np.take(labels, range(i, labels.shape[axis] - 1 + i), axis) for i in (0, 1)
        )
        count += int(((below == one) & (above == other)).sum())
        count += int(((below == other) & (above == one)).sum())
    return float(count)


def _spectrum(scan: Volume) -> dict[str, float]:
    """The logarithm of the power by frequency, and its slope over the logarithm of frequency."""
    mean = radial_power(scan)
    middle = np.log10((EDGES[1:] + EDGES[:-1]) / 2)
    found = {f"power of band {k}": float(mean[k]) for k in range(0, len(mean), 2)}
    return {**found, "slope of the spectrum": float(np.polyfit(middle, mean, 1)[0])}
