"""Training patches: slabs cut from a corpus, item i a pure function of (seed, i)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .corpus import Volume
from .slabs import thin_slab

__all__ = ["Patches", "augment", "cut"]


@dataclass(frozen=True)
class Patches:
    """Slabs of `slices` x `size` x `size` voxels from random places, directions and intensities.

    Item i holds `x_0` (slices, size, size) float32 and `slices` (slices,) int64, the number of the
    slice at each position (repeated where a stack is thinner than the slab).

    ct:         share of CT among the patches, where the corpus has both
    background: share of patches centred anywhere rather than on foreground
    thin:       share of patches that imitate a stack thinner than the slab
    """

    volumes: Sequence[Volume]
    seed: int = 0
    slices: int = 5
    size: int = 80
    ct: float = 0.22
    background: float = 0.08
    thin: float = 0.05

    @cached_property
    def _frequencies(self) -> NDArray[np.float64]:
        """Cumulative probability of each volume."""
        weights = np.array([v.weight for v in self.volumes], dtype=np.float64)
        is_ct = np.array([v.modality == "ct" for v in self.volumes])
        if is_ct.any() and not is_ct.all():
            weights[is_ct] *= self.ct / weights[is_ct].sum()
            weights[~is_ct] *= (1 - self.ct) / weights[~is_ct].sum()
        return np.cumsum(weights / weights.sum())

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        chosen = int(np.searchsorted(self._frequencies, rng.random(), side="right"))
        volume = self.volumes[min(chosen, len(self.volumes) - 1)]
        if rng.random() < self.background:
            centre = np.array([rng.integers(n) for n in volume.array.shape])
        else:
            centre = volume.centres[rng.integers(len(volume.centres))].astype(np.int64)
            centre = centre + rng.integers(-8, 9, size=3)
        axis = int(rng.choice(volume.axes))
        depth = min(volume.array.shape[axis], self.slices)
        if rng.random() < self.thin:
            depth = int(rng.integers(1, depth + 1))
        slab = cut(volume.array, axis, centre, depth, self.size)
        slab = augment(slab.astype(np.float32), volume.modality == "mr", rng)
        numbers = thin_slab(depth, self.slices)
        return {
            "x_0": torch.from_numpy(np.ascontiguousarray(slab[list(numbers)])),
            "slices": torch.tensor(numbers),
        }


def cut(
    array: NDArray[np.floating], axis: int, centre: NDArray[np.int64], depth: int, size: int
) -> NDArray[np.floating]:
    """(depth, size, size) near `centre`, stacked along `axis`; planes that are small reflect."""
    sizes = [depth if a == axis else size for a in range(3)]
    window: list[slice] = []
    for n, length, middle in zip(array.shape, sizes, centre, strict=True):
        start = min(max(int(middle) - length // 2, 0), max(n - length, 0))
        window.append(slice(start, min(start + length, n)))
    slab = np.moveaxis(array[tuple(window)], axis, 0)
    short = [(0, size - n) for n in slab.shape[1:]]
    return np.pad(slab, [(0, 0), *short], mode="symmetric")


def augment(
    slab: NDArray[np.float32], contrast: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Random flips, transposition and gain; with `contrast` also a gamma curve and inversion."""
    for axis in range(3):
        if rng.random() < 0.5:
            slab = np.flip(slab, axis)
    if rng.random() < 0.5:
        slab = slab.swapaxes(1, 2)
    if contrast:
        exponent = float(np.exp(rng.uniform(-0.3, 0.4)))
        if rng.random() < 0.5:
            slab = np.copysign(np.abs(slab) ** np.float32(exponent), slab)
        if rng.random() < 0.1:
            slab = 1 - slab
    return (slab * float(np.exp(rng.uniform(np.log(0.6), np.log(1.25))))).astype(np.float32)
