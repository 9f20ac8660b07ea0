"""Slices of a synthetic brain: 192 x 192 pixels of 1 mm, read from its voxels of about 1.5 mm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.brain.model import Brain
from diff_medical.generator.model import Made
from diff_medical.generator.request import NORMAL, PLANES, Request
from diff_medical.generator.vocabulary import along

__all__ = ["PIXEL", "SIDE", "cut", "drawn_position", "plane_of", "voxel"]

SIDE = 192
"""Pixels along a side of a slice."""

PIXEL = 1.0
"""mm. It is finer than the voxels, and shows no more than they do."""

LEAST = 0.3  # of the largest area of the head in parallel slices, where one is cut by default


def voxel(brain: Brain) -> float:
    """Return the mean side of a brain's voxels, mm: the resolution of its slices."""
    return float(np.linalg.norm(brain.scan.affine[:3, :3], axis=0).mean())


def plane_of(seed: int, number: int) -> str:
    """Return the plane of slice `number` of the brain of a seed, where none is asked for."""
    return PLANES[(seed + number) % len(PLANES)]


def drawn_position(brain: Brain, plane: str, number: int) -> float:
    """Draw the position of slice `number` of a brain, where the head is not small, 0 to 1 along
    the normal: right to left, back to front, bottom to top.
    """
    others = tuple(axis for axis in range(3) if axis != NORMAL[plane])
    area = (brain.labels > 0).sum(others)
    places = np.flatnonzero(area >= LEAST * area.max())
    chosen = np.random.default_rng([brain.scan.seed, 2, number]).choice(places)
    return float(along(plane, (chosen + 0.5) / len(area)))


def cut(brain: Brain, plane: str, position: float) -> tuple[Made, NDArray[np.uint8]]:
    """Return the slice of a brain nearest to a position, and its labels (192, 192).

    Within the plane the scan is read by cubic splines and the labels from the nearest voxel;
    across it nothing is, and the slice is as thick as a voxel. It lies where it does in the brain.
    """
    from scipy.ndimage import map_coordinates

    normal = NORMAL[plane]
    shape, affine = brain.labels.shape, brain.scan.affine
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    at = min(int(along(plane, position) * shape[normal]), shape[normal] - 1)
    scan, labels = (np.take(v, at, normal) for v in (brain.scan.values, brain.labels))
    inside = [axis for axis in range(3) if axis != normal]
    steps, firsts = np.ones(3), np.zeros(3)
    steps[inside] = PIXEL / sides[inside]
    firsts[inside] = (np.array(shape)[inside] - 1 - (SIDE - 1) * steps[inside]) / 2
    firsts[normal] = at
    rows = [firsts[axis] + steps[axis] * np.arange(SIDE) for axis in inside]
    places = np.stack(np.meshgrid(*rows, indexing="ij"))

    def read(values: NDArray[Any], order: int) -> NDArray[Any]:
        return map_coordinates(values, places, order=order, mode="constant")

    image = read(scan, 3).clip(0)  # splines ring at the edge of the head
    image[read((labels > 0).astype(np.float32), 1) < 0.5] = 0
    to_voxels = np.diag([*steps, 1.0])
    to_voxels[:3, 3] = firsts
    request = Request("t1", "brain", plane, position)
    made = Made(image.astype(np.float32), affine @ to_voxels, request, brain.scan.seed)
    return made, read(labels, 0)
