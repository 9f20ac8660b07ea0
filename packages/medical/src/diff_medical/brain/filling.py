"""Holes in a brain filled by its generator: tissue and grey levels that continue what is around.

The labels in a hole are drawn by the stage `borders` and the grey levels by `appearance`. Both see
what is around the hole: the labels there are shown to the masked diffusion, and the grey levels
are put into every estimate of the other. The first three stages have no part in it: what they
would draw, the fractions of tissue in cells, is known better from the edge of a hole than from the
rest of the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from diff_core.condition import Condition
from diff_medical.brain.appearance import contrast
from diff_medical.brain.fractions import Box

if TYPE_CHECKING:
    from diff_medical.brain.model import BrainGenerator

__all__ = ["Gap", "fill", "pieces"]

AROUND = 12  # voxels around a hole that are looked at
LEAST = 32  # voxels along a side of a piece, as in training
STEP = 8  # pieces begin and end at multiples of it


@dataclass(frozen=True)
class Gap:
    """A brain with a hole.

    scan:   (X, Y, Z) on the grid of the model, white matter near 1, air 0
    labels: (X, Y, Z) uint8, `grid.CLASSES`
    hole:   (X, Y, Z); what scan and labels hold there plays no part
    shares: (5, X, Y, Z) guesses of the share of each class but air in each voxel, 0 to 1; outside
            the hole they are those of the labels

    Raises ValueError for arrays of different shapes and for a hole that is empty or leaves no
    head.
    """

    scan: NDArray[np.float32]
    labels: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    shares: NDArray[np.float32]

    def __post_init__(self) -> None:
        shapes = {self.scan.shape, self.labels.shape, self.hole.shape, self.shares.shape[1:]}
        if len(shapes) > 1:
            raise ValueError(f"scan, labels, hole and shares have shapes {shapes}; expected one")
        if not self.hole.any() or not self.labels[~self.hole].any():
            raise ValueError("hole is empty or holds all of the head; expected a part of it")

    def words(self, generator: BrainGenerator) -> Tensor:
        """Return the words (1, 5) of the contrast between the tissues outside the hole."""
        scan, labels = (
            torch.from_numpy(np.where(self.hole, np.zeros((), v.dtype), v))
            for v in (self.scan, self.labels)
        )
        return generator.stage("appearance").measured(contrast(scan, labels)[None])

    def cut(self, box: Box) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scan, labels and hole (1, *S) and shares (1, 5, *S) of a box."""
        scan, labels, hole = (
            torch.from_numpy(np.ascontiguousarray(v[box]))[None]
            for v in (self.scan, self.labels, self.hole)
        )
        shares = np.ascontiguousarray(self.shares[(slice(None), *box)])
        return scan, labels, hole, torch.from_numpy(shares)[None].clamp(0, 1)


def fill(
    generator: BrainGenerator, gap: Gap, seed: int, steps: tuple[int, int] = (4, 6)
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Draw scan and labels (X, Y, Z) of a hole; outside it they are those that are given.

    steps: of the labels, and of the grey levels, which take `stage.AGAIN` times as many

    Raises ValueError for a model without the stages `borders` and `appearance`.
    """
    words = gap.words(generator)
    scan, labels = gap.scan.copy(), gap.labels.copy()
    with torch.no_grad():
        for number, box in enumerate(pieces(gap.hole)):
            image, drawn = _piece(generator, gap, box, words, seed + (number << 32), steps)
            inside = gap.hole[box]
            scan[box][inside] = image[inside]
            labels[box][inside] = drawn[inside]
    return scan, labels


def pieces(hole: NDArray[np.bool_]) -> Iterator[Box]:
    """Yield boxes that hold the parts of a hole (X, Y, Z) that lie together, and what is around
    them; they begin and end at multiples of 8 voxels.
    """
    parts, _ = ndimage.label(ndimage.binary_dilation(hole, iterations=2))  # type: ignore[misc]
    for found in ndimage.find_objects(parts):
        x, y, z = (_widened(side, size) for side, size in zip(found, hole.shape, strict=True))
        yield x, y, z


def _widened(side: slice, size: int) -> slice:
    low, high = side.start - AROUND, side.stop + AROUND
    short = max(0, LEAST - (high - low))
    low = max(0, (low - short // 2) // STEP * STEP)
    high = min(size, -(-max(high, low + LEAST) // STEP) * STEP)
    return slice(max(0, min(low, high - LEAST)), high)


def _piece(
    generator: BrainGenerator,
    gap: Gap,
    box: Box,
    words: Tensor,
    seed: int,
    steps: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scan and labels of a box, drawn in the hole."""
    borders: Any = generator.stage("borders")
    appearance: Any = generator.stage("appearance")
    device = words.device
    scan, labels, hole, shares = (v.to(device) for v in gap.cut(box))
    x, y, z = (side.start // 2 for side in box)
    drawn = borders.fill(F.avg_pool3d(shares, 2), labels, hole, seed, steps[0], (x, y, z))
    cond = Condition(vector=words, channels=appearance.channels(drawn, (x, y, z)))

    def put(estimate: Tensor) -> Tensor:
        whole = torch.where(hole, appearance.decode(estimate, drawn), scan)
        return appearance.encode(whole, drawn)

    image = appearance.fill(drawn, cond, put, seed, steps[1])
    return image[0].cpu().numpy(), drawn[0].to("cpu", torch.uint8).numpy()
