"""In which planes a volume is looked at, and how often: what a choice of quality means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from diff_medical.scan.spacing import Spacing
from diff_medical.slices.slabs import slab_axes, slabs

__all__ = ["QUALITIES", "Passes", "Quality", "passes_for"]

Quality = Literal["draft", "default", "best"]
"""The amount of work to put into a scan."""
QUALITIES: tuple[Quality, ...] = get_args(Quality)
"""All qualities, the quickest first."""

THIN = 8  # an axis with fewer slices is only ever stacked, never part of the network's plane


@dataclass(frozen=True)
class Passes:
    """The way a volume is cut into slabs, whose estimates are averaged.

    axes:   along which slabs are stacked, one set of planes for each
    stride: slices between slabs, 1 to slices - 2, see `diff_medical.slices.slabs`; the smaller,
            the more estimates a voxel has
    turns:  by how many quarters of a circle every slab is turned, 1 to 4, the first of them none
    slices: slices of a slab, as the network has them
    """

    axes: tuple[int, ...]
    stride: int
    turns: int = 1
    slices: int = 5

    @property
    def looks(self) -> float:
        """The mean number of estimates of a voxel, away from the ends of the volume."""
        return (self.slices - 2) * len(self.axes) * self.turns / self.stride

    def __str__(self) -> str:
        """The words of the command: "3 planes (across x, y, z), each voxel seen 4.5 times"."""
        planes = f"{len(self.axes)} planes" if len(self.axes) > 1 else "1 plane"
        across = ", ".join("xyz"[axis] for axis in self.axes)
        often = "once" if self.looks == 1 else f"{self.looks:.3g} times"
        return f"{planes} (across {across}), each voxel seen {often}"

    def pixels(self, shape: Sequence[int]) -> int:
        """Return the number of pixels in all slabs of a volume, to which the work is in
        proportion.
        """
        total = shape[0] * shape[1] * shape[2]
        return self.turns * sum(
            len(slabs(shape[a], self.slices, stride=self.stride)) * (total // shape[a])
            for a in self.axes
        )


def passes_for(quality: Quality, shape: Sequence[int], spacing: Spacing, slices: int) -> Passes:
    """Return the passes of a quality over a volume (X, Y, Z) with voxels of `spacing` mm, for a
    network of `slices` slices.

    Near-isotropic voxels are seen in three sets of planes, thick slices in their own. "draft":
    one set of planes, each voxel seen once. "default": 1.5 times in each of three sets, three
    times in thick slices. "best": three times in each of three sets, and in thick slices three
    times in each of four orientations. A network of 5 slices meets these numbers; any other comes
    as near as a whole stride allows, and turns its slabs where no stride is small enough. The
    result is the same on every machine.
    """
    thinnest = min(range(3), key=lambda axis: shape[axis])
    axes = (thinnest,) if shape[thinnest] < THIN else slab_axes(spacing)
    if quality == "draft":
        axes = (max(axes, key=lambda axis: (spacing[axis], axis)),)
        return Passes(axes, slices - 2, slices=slices)
    looks = 1.5 if quality == "default" and len(axes) > 1 else 3
    stride = max(1, round((slices - 2) / looks))
    turns = max(1, round(looks * stride / (slices - 2)))
    if quality == "best" and len(axes) == 1:
        turns = 4
    return Passes(axes, stride, turns, slices)
