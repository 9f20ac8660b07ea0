"""Scans cut into slices and volumes of one size, each part of the body with its field of view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from diff_medical.generator.request import NORMAL
from diff_medical.generator.vocabulary import VIEWS, along
from diff_medical.scan.spacing import Spacing

__all__ = ["Cutting", "Piece", "cut_slices", "cut_volume"]

Array = NDArray[np.float32]
FOREGROUND = 0.15  # in the tones of `diff_medical.generator.tone`
EMPTY = 0.05  # share of foreground below which a slice shows too little
BODY = 0.01  # share of foreground in a plane of the volume that belongs to the body
KNOWN = 1 / 3  # share of the field of view that a scan must cover for its positions to mean much
COARSER = 1.25  # times a pixel: voxels coarser than that would be seen as blur
OWN = 2.0  # the same for the plane in which a scan was acquired
COVERED = 0.4  # share of the field of view that a plane must cover


@dataclass(frozen=True)
class Cutting:
    """The way scans are cut.

    size:    pixels or voxels along each axis
    spatial: 2 for slices of all planes that a scan shows well, 3 for one volume of each scan
    views:   field of view in mm by part of the body, beside the usual ones; "" for all others
    step:    mm between slices, and their least thickness
    margin:  factor by which more than the field of view is kept, for augmentation
    fine:    factor by which what is kept is finer than what is cut from it in the end

    Raises ValueError for a number out of range.
    """

    size: int = 128
    spatial: int = 2
    views: dict[str, float] = field(default_factory=dict[str, float])
    step: float = 2.0
    margin: float = 1.25
    fine: float = 1.0

    def __post_init__(self) -> None:
        if self.size < 16 or self.size % 8:
            raise ValueError(f"size is {self.size}; expected a multiple of 8 from 16 on")
        if self.spatial not in (2, 3):
            raise ValueError(f"spatial is {self.spatial}; expected 2 or 3")
        for name, least in (("step", 0.1), ("margin", 1.0), ("fine", 1.0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if any(not view > 0 for view in self.views.values()):
            raise ValueError(f"views is {self.views}; expected mm above 0")

    def view(self, body: str) -> float:
        """Field of view, mm."""
        known = {"": 320.0} | VIEWS | self.views
        return known.get(body, known[""])

    @property
    def canvas(self) -> int:
        """Pixels of what is kept, along each axis."""
        return 2 * round(self.size * self.margin * self.fine / 2)


@dataclass(frozen=True)
class Piece:
    """images (N, C, *canvas) of one plane, "" for volumes, and their positions, NaN if unknown."""

    plane: str
    images: Array
    positions: Array


def cut_slices(channels: Array, spacing: Spacing, body: str, cutting: Cutting) -> Iterator[Piece]:
    """Slices of a scan (C, X, Y, Z) in RAS order, its first channel in tones.

    A plane is cut where the voxels in it are fine enough for the pixel and cover enough of the
    field of view; slices thinner than `step` are averaged to it. Nearly empty ones are left out.
    """
    view = cutting.view(body)
    pixel = view / cutting.size
    low, high = _box(channels[0], spacing, view)
    acquired = int(np.argmax(spacing))
    for plane, normal in NORMAL.items():
        axes = [axis for axis in range(3) if axis != normal]
        coarse = max(spacing[axis] for axis in axes) / pixel
        extents = [channels.shape[1 + axis] * spacing[axis] for axis in axes]
        if coarse > (OWN if normal == acquired else COARSER) or min(extents) < COVERED * view:
            continue
        group = max(1, round(cutting.step / spacing[normal]))
        stack = _averaged(np.moveaxis(channels, 1 + normal, 0), group)  # (N, C, A, B)
        centres = [(low[a] + high[a]) / 2 for a in axes]
        images = _framed(
            stack, [spacing[a] for a in axes], centres, pixel / cutting.fine, cutting.canvas
        )
        inner = (cutting.canvas - round(cutting.size * cutting.fine)) // 2
        middle = images[:, 0, inner : cutting.canvas - inner, inner : cutting.canvas - inner]
        shown = (middle > FOREGROUND).mean((1, 2)) >= EMPTY
        places = (np.arange(len(stack)) + 0.5) * group * spacing[normal]
        shares = ((places - low[normal]) / max(high[normal] - low[normal], 1e-6)).clip(0, 1)
        if channels.shape[1 + normal] < 8 or high[normal] - low[normal] < KNOWN * view:
            shares = np.full(len(stack), np.nan)
        if shown.any():
            positions = along(plane, shares.astype(np.float32)[shown])
            yield Piece(plane, images[shown], positions)


def cut_volume(channels: Array, spacing: Spacing, body: str, cutting: Cutting) -> Iterator[Piece]:
    """The one volume of a scan, if its voxels are fine enough and cover enough."""
    view = cutting.view(body)
    pitch = view / cutting.size
    extents = [n * s for n, s in zip(channels.shape[1:], spacing, strict=True)]
    if max(spacing) > COARSER * pitch or min(extents) < COVERED * view:
        return
    low, high = _box(channels[0], spacing, view)
    centre = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    fine = pitch / cutting.fine
    flat = _framed(np.moveaxis(channels, 3, 0), spacing[:2], centre[:2], fine, cutting.canvas)
    # the third axis as the rows of pictures
    tall = flat.transpose(2, 1, 0, 3)  # (X, C, Z, Y)
    made = _framed(tall, [spacing[2], fine], [centre[2], cutting.canvas * fine / 2], fine,
                   cutting.canvas)  # fmt: skip
    yield Piece("", made.transpose(1, 0, 3, 2)[None], np.full(1, np.nan, np.float32))


def _box(tones: Array, spacing: Spacing, view: float) -> tuple[list[float], list[float]]:
    """Where the body begins and ends along each axis, mm from the first voxel's outer face.

    What is taller than the field of view loses its lower end: of a head scan that is the neck.
    """
    low, high = [0.0] * 3, [0.0] * 3
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        profile = (tones > FOREGROUND).mean(others)
        inside = np.flatnonzero(profile >= min(BODY, profile.max()))
        low[axis] = float(inside[0]) * spacing[axis]
        high[axis] = float(inside[-1] + 1) * spacing[axis]
    low[2] = max(low[2], high[2] - view)
    return low, high


def _averaged(stack: Array, group: int) -> Array:
    """Means of groups of neighbouring slices; a remainder is dropped."""
    count = max(1, len(stack) // group)
    return stack[: count * group].reshape(count, -1, *stack.shape[1:]).mean(1)


def _framed(
    stack: Array, spacing: Sequence[float], centre: Sequence[float], pixel: float, canvas: int
) -> Array:
    """(N, C, A, B) at `pixel` mm, cut to the canvas about `centre` mm; air outside."""
    height, width = (
        max(1, round(n * s / pixel)) for n, s in zip(stack.shape[2:], spacing, strict=True)
    )
    made = np.zeros((*stack.shape[:2], canvas, canvas), np.float32)
    to, source = [], []
    for length, middle in zip((height, width), centre, strict=True):
        start = round(middle / pixel) - canvas // 2
        first, last = max(start, 0), min(start + canvas, length)
        source.append(slice(first, max(first, last)))
        to.append(slice(first - start, max(first, last) - start))
    for index in range(0, len(stack), 16):
        part = torch.from_numpy(np.ascontiguousarray(stack[index : index + 16]))
        resampled = F.interpolate(part, (height, width), mode="bicubic", antialias=True)
        cut = resampled.clamp_min(0).numpy()[:, :, source[0], source[1]]
        made[index : index + 16, :, to[0], to[1]] = cut
    return made
