"""Label maps of scans: fluid, grey and white matter by intensity, deep grey matter and cerebellum
by an atlas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from diff_medical.brain.preparation.atlas import Atlas

__all__ = ["label"]

AIR, FLUID, WHITE = 0.03, 0.49, 0.84  # grey levels between the classes; white matter's peak is 1
SMALLEST = 200  # voxels of a piece of deep grey matter

Mask = NDArray[np.bool_]


def label(head: NDArray[np.float32], atlas: Atlas) -> NDArray[np.uint8]:
    """Return the labels (X, Y, Z), `grid.CLASSES`, of a brain without shading, white matter 1.

    The brain stem counts as white matter. Raises ValueError for a volume without a brain.
    """
    brain = _largest(ndimage.binary_opening(head > AIR))
    if not brain.any():
        raise ValueError("holds no brain of white matter near 1")
    brain = np.asarray(ndimage.binary_fill_holes(brain))
    white = _smooth((head > WHITE) & brain, 7, 20)
    fluid = _smooth((head < FLUID) & brain, 7, 20) & ~white
    labels = np.where(brain, 2, 0).astype(np.uint8)
    labels[fluid], labels[white & brain] = 1, 3
    away = atlas.warped(head)
    grey, tissue = labels == 2, labels >= 2
    nearer = {name: away[name] < away["other"] + 0.5 for name in ("deep", "cerebellum")}

    core = (away["deep"] < 0.3) & tissue & (head < 0.95)
    deep = (core | ((away["deep"] < 1.5) & grey)) & nearer["deep"]
    deep = _pieces(_smooth(deep, 8, 16) & tissue)

    # the cortex of the cerebellum lies beyond the atlas, its white matter does not
    near = away["cerebellum"] < np.where(grey, 3.5, 0.5)
    cerebellum = _smooth(tissue & near & nearer["cerebellum"], 9, 16) & tissue
    core = _largest(np.asarray(ndimage.binary_erosion(cerebellum)))
    cerebellum &= np.asarray(ndimage.binary_dilation(core, iterations=2), bool)
    labels[deep], labels[cerebellum] = 4, 5
    return labels


def _smooth(mask: Any, low: int, high: int) -> Mask:
    """Return a mask without specks: off below `low` of 27 neighbours, on above `high`."""
    count = ndimage.uniform_filter(np.asarray(mask, np.float32), 3) * 27
    return (mask & (count > low - 0.5)) | (count > high + 0.5)


def _largest(mask: Any) -> Mask:
    """Return the largest connected piece of a mask."""
    pieces, count = ndimage.label(mask)  # type: ignore[misc]
    if count < 2:
        return np.asarray(mask, bool)
    sizes = np.bincount(np.asarray(pieces).ravel())[1:]
    return np.asarray(pieces == 1 + int(np.argmax(sizes)))


def _pieces(mask: Mask) -> Mask:
    """Return the pieces of a mask that are not small."""
    pieces, _ = ndimage.label(mask)  # type: ignore[misc]
    sizes = np.bincount(np.asarray(pieces).ravel())
    large = np.flatnonzero(sizes > SMALLEST)
    return np.isin(pieces, large[large > 0])
