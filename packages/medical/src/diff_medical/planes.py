"""In which planes a volume is looked at, and how often: what a choice of quality means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from diff_core.denoiser import Denoiser

from .network import SlabNetwork
from .settings import Quality
from .slabs import slab_axes, slabs

__all__ = ["Passes", "passes_for", "predicted_seconds"]

THIN = 8  # an axis with fewer slices is only ever stacked, never part of the network's plane
PROBE = (2, 128)  # slabs and edge of the planes on which the network is timed


@dataclass(frozen=True)
class Passes:
    """How a volume is cut into slabs, whose estimates are averaged.

    axes:   along which slabs are stacked, one set of planes for each
    stride: slices between slabs, see `diff_medical.slabs`; the smaller, the more estimates a voxel
            has: 3, 2 or 1 give 1, 1.5 or 3
    turns:  by how many quarters of a circle every slab is turned, 1 to 4, the first of them none
    """

    axes: tuple[int, ...]
    stride: int
    turns: int = 1

    def __str__(self) -> str:
        """As the command says it: "3 planes (across x, y, z), each voxel seen 4.5 times"."""
        planes = f"{len(self.axes)} planes" if len(self.axes) > 1 else "1 plane"
        across = ", ".join("xyz"[axis] for axis in self.axes)
        seen = 3 * len(self.axes) * self.turns / self.stride
        often = "once" if seen == 1 else f"{seen:.3g} times"
        return f"{planes} (across {across}), each voxel seen {often}"

    def pixels(self, shape: Sequence[int], slices: int) -> int:
        """Pixels of all slabs of a volume: what the work is in proportion to."""
        total = shape[0] * shape[1] * shape[2]
        return self.turns * sum(
            len(slabs(shape[a], slices, stride=self.stride)) * (total // shape[a])
            for a in self.axes
        )


def passes_for(
    quality: Quality, shape: Sequence[int], spacing: tuple[float, float, float]
) -> Passes:
    """What `quality` means for a volume (X, Y, Z) with voxels of `spacing` mm.

    Near-isotropic voxels are seen in three sets of planes, thick slices in their own. "draft":
    one set of planes, each voxel seen once. "default": 1.5 times in each of three sets, three
    times in thick slices. "best": three times in each of three sets, and in thick slices three
    times in each of four orientations. The same on every machine.
    """
    thinnest = min(range(3), key=lambda axis: shape[axis])
    axes = (thinnest,) if shape[thinnest] < THIN else slab_axes(spacing)
    if quality == "draft":
        return Passes((max(axes, key=lambda axis: (spacing[axis], axis)),), 3)
    if quality == "default":
        return Passes(axes, 2 if len(axes) > 1 else 1)
    return Passes(axes, 1, 1 if len(axes) > 1 else 4)


@torch.no_grad()
def predicted_seconds(denoiser: Denoiser, passes: Passes, shape: Sequence[int]) -> float:
    """What the network will take about for a volume of `shape`, by timing it on a small one."""
    network = denoiser.network
    if not isinstance(network, SlabNetwork):
        raise ValueError(f"network is a {type(network).__name__}; expected a SlabNetwork")
    count, edge = PROBE
    weight = next(network.parameters())
    slab = weight.new_zeros(count, network.slices, edge, edge)
    t = torch.tensor(0.5, device=weight.device)
    denoiser(slab, t)  # the first call makes ready what later ones use
    begun = time.perf_counter()
    denoiser(slab, t).cpu()
    pixels = passes.pixels(shape, network.slices)
    return (time.perf_counter() - begun) * pixels / (count * edge * edge)
