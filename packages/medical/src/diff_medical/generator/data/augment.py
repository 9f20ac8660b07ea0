"""Augmentation that does not leak into samples.

Karras et al., Training Generative Adversarial Networks with Limited Data (2020), and EDM (2022),
section 5: what was done to a training image is told to the network as part of its condition, and
samples are asked for with zeros. Differences that there are between people and scanners anyway
(small turns, sizes, shapes, contrasts) are not told: they make samples vary, and no sample can be
a copy down to the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diff_medical.generator.data.cutting import Cutting

__all__ = ["Augmentation", "Strength", "warped"]

Array = NDArray[np.float32]
KNOTS = 5  # along each axis of the grid whose displacements are drawn


@dataclass(frozen=True)
class Strength:
    """Ranges of the augmentation.

    told:      share of the items in which each told change is made
    mirror:    whether left and right are exchanged (told)
    turn, zoom, shift, gamma: told: degrees, share of the size, share of the size, exponent
    own_turn, own_zoom, own_gamma: the same, not told; zoom along each axis by itself
    bend:      root mean square of a smooth displacement, share of the size, not told
    field:     most by which a smooth gain differs from 1, not told; MR only
    """

    told: float = 0.25
    mirror: bool = True
    turn: float = 20.0
    zoom: float = 0.15
    shift: float = 0.08
    gamma: float = 0.3
    own_turn: float = 4.0
    own_zoom: float = 0.06
    own_gamma: float = 0.08
    bend: float = 0.015
    field: float = 0.1

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 0")


@dataclass(frozen=True)
class Augmentation:
    """One draw.

    matrix: (D, D) of the affine map from places of the result to places of the canvas, (D,) shift;
            both in units of half the field of view
    knots:  (D, KNOTS, ...) displacements, in the same units
    gamma:  exponent; gain: (KNOTS, ...) factors
    labels: what the network is told
    """

    matrix: Array
    shift: Array
    knots: Array | None
    gamma: float
    gain: Array | None
    labels: tuple[float, ...]

    @classmethod
    def none(cls, spatial: int) -> Augmentation:
        eye = np.eye(spatial, dtype=np.float32)
        return cls(eye, np.zeros(spatial, np.float32), None, 1.0, None, (0.0,) * cls.size(spatial))

    @staticmethod
    def size(spatial: int) -> int:
        """The count of numbers that the network is given."""
        return 4 + spatial

    @classmethod
    def draw(
        cls, strength: Strength, spatial: int, axis: int | None, mr: bool, rng: np.random.Generator
    ) -> Augmentation:
        """axis: of the image, that runs from left to right; None if none does."""
        s = strength

        def told(limit: float) -> float:
            return float(rng.uniform(-limit, limit)) if rng.random() < s.told else 0.0

        mirror = bool(s.mirror and axis is not None and rng.random() < s.told)
        turn, zoom, gamma = told(s.turn), told(s.zoom), told(s.gamma) if mr else 0.0
        shift = np.array([told(2 * s.shift) for _ in range(spatial)], np.float32)
        own = rng.uniform(-s.own_turn, s.own_turn)
        matrix = _turned(spatial, turn + own, rng) @ np.diag(
            np.exp(-zoom - rng.uniform(-s.own_zoom, s.own_zoom, spatial))
        )
        if mirror and axis is not None:
            matrix[axis] *= -1
        grid = (KNOTS,) * spatial
        knots = rng.standard_normal((spatial, *grid)).astype(np.float32) * (2 * s.bend)
        gain = 1 + s.field * rng.uniform(-1, 1, grid).astype(np.float32) if mr else None
        exponent = np.exp(gamma + (rng.uniform(-s.own_gamma, s.own_gamma) if mr else 0))
        scaled = (turn / max(s.turn, 1e-6), zoom / max(s.zoom, 1e-6), gamma / max(s.gamma, 1e-6))
        places = tuple((shift / max(2 * s.shift, 1e-6)).tolist())
        labels = (float(mirror), *scaled, *places)
        return cls(matrix.astype(np.float32), shift, knots, float(exponent), gain, labels)


def _turned(spatial: int, degrees: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation in the plane; of volumes about an axis drawn at random."""
    angle = np.deg2rad(degrees)
    plane = (0, 1) if spatial == 2 else tuple(rng.permutation(3)[:2])
    made = np.eye(spatial)
    a, b = plane
    made[a, a] = made[b, b] = np.cos(angle)
    made[a, b], made[b, a] = -np.sin(angle), np.sin(angle)
    return made


def warped(image: Array, cutting: Cutting, augmentation: Augmentation) -> Array:
    """(C, *canvas) -> (C, size, ...): the field of view of the canvas as augmented.

    The first channel also gets the gain and the exponent.
    """
    spatial = image.ndim - 1
    size = (cutting.size,) * spatial
    a = augmentation
    if a.knots is None and cutting.fine == 1 and a.matrix.trace() == spatial and not a.shift.any():
        start = (cutting.canvas - cutting.size) // 2
        return image[(slice(None), *(slice(start, start + cutting.size),) * spatial)].copy()
    # grid_sample counts axes from the last, in halves of the canvas
    ratio = cutting.size * cutting.fine / cutting.canvas
    matrix = np.concatenate([a.matrix[::-1, ::-1], a.shift[::-1, None]], 1) * ratio
    grid = F.affine_grid(torch.from_numpy(matrix.astype(np.float32))[None], [1, 1, *size], False)
    smooth = "bicubic" if spatial == 2 else "trilinear"

    def spread(values: Array) -> Tensor:
        return F.interpolate(torch.from_numpy(values)[None], size, mode=smooth, align_corners=True)

    if a.knots is not None:
        grid = grid + spread(a.knots[::-1].copy() * ratio).movedim(1, -1)
    source = torch.from_numpy(np.ascontiguousarray(image))[None]
    mode = "bicubic" if spatial == 2 else "bilinear"
    result = F.grid_sample(source, grid, mode=mode, align_corners=False)[0].clamp_min(0)
    if a.gain is not None:
        result[0] = (result[0] * spread(a.gain[None])[0, 0]).pow(a.gamma)
    return result.numpy()
