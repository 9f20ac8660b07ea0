"""Generators that anyone could write, to set beside a trained one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.generator.tone import BRIGHTEST
from diff_medical.image_sets.images import Images

__all__ = ["augmented", "gaussian"]

Array = NDArray[np.float32]
TURN, ZOOM, MOVE, GAMMA = 8.0, 0.06, 3.0, 0.15  # degrees, share, pixels, exponent


def gaussian(images: Images, like: Images, seed: int = 0) -> Images:
    """As many images as `like`, of its kinds, from the normal distribution of the training ones.

    Mean and covariance of each kind, all principal components: mean + X' w with X' the centred
    images over sqrt(N - 1), and w white noise of N entries, is a draw from exactly that.
    """
    rng = np.random.default_rng(seed)
    made = np.zeros_like(like.values)
    for rows, own in _by_kind(images, like):
        flat = images.values[rows].reshape(len(rows), -1)
        mean = flat.mean(0)
        noise = rng.standard_normal((len(own), len(rows))).astype(np.float32)
        drawn = mean + noise @ (flat - mean) / max(len(rows) - 1, 1) ** 0.5
        made[own] = drawn.reshape(len(own), *like.values.shape[1:])
    return Images(made.clip(0, BRIGHTEST), like.entries)


def augmented(images: Images, like: Images, seed: int = 0) -> Images:
    """As many, of training images turned, zoomed, moved, mirrored half the time, and with another
    contrast: copies, whose fidelity is nearly perfect.
    """
    rng = np.random.default_rng(seed)
    made = np.zeros_like(like.values)
    for rows, own in _by_kind(images, like):
        for index in own:
            made[index] = _altered(images.values[rng.choice(rows)], rng)
    return Images(made, like.entries)


def _by_kind(images: Images, like: Images) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each kind in `like`, the indices of the training images of it, and of those in `like`.

    Raises ValueError for a kind without training images.
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index in range(len(like)):
        groups.setdefault(like.kind(index), []).append(index)
    made: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for kind, own in groups.items():
        people = images.people(kind)
        if not people:
            raise ValueError(f"no training image is of the kind {' '.join(filter(None, kind))}")
        made.append((np.concatenate(people), np.array(own)))
    return made


def _altered(image: Array, rng: np.random.Generator) -> Array:
    from scipy.ndimage import affine_transform

    axes = image.ndim
    angle = np.deg2rad(rng.uniform(-TURN, TURN))
    turn = np.eye(axes)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn /= 1 + rng.uniform(-ZOOM, ZOOM)
    middle = (np.array(image.shape) - 1) / 2
    offset: Any = middle - turn @ middle + rng.uniform(-MOVE, MOVE, axes)
    moved = affine_transform(image, turn, offset, order=1)
    if rng.random() < 0.5:
        moved = np.flip(moved, 0)
    return moved.clip(0, BRIGHTEST) ** np.float32(1 + rng.uniform(-GAMMA, GAMMA))
