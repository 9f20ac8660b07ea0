"""Training patches: slabs cut from a corpus, item i a pure function of (seed, i)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_medical.data.degrade import Degradation, add_noise, low_dose_noise, wear
from diff_medical.data.volumes import Volume
from diff_medical.scan.intensity import CT_SCALE
from diff_medical.slices.slabs import thin_slab

__all__ = ["Patches", "augment", "crop", "cut"]


@dataclass(frozen=True)
class Patches:
    """Slabs of `slices` x `size` x `size` voxels from random places, directions and intensities.

    Item i holds `x_0` (slices, size, size) float32 and `slices` (slices,) int64, the number of the
    slice at each position (repeated where a stack is thinner than the slab). With a degradation it
    also holds `y`, the slab as a worse scan shows it, and `sigma` (), the noise in it: of each
    channel for MR; for the noise of a lower dose by turns what the enhancer would estimate for the
    whole scan, or its own and the root mean square of what was added to this slab; else 0.

    ct:         share of CT among the patches, where the corpus has both
    background: share of patches centred anywhere rather than on foreground
    thin:       share of patches that imitate a stack thinner than the slab

    Raises ValueError if low dose is asked for and no CT of the corpus has textures.
    """

    volumes: Sequence[Volume]
    seed: int = 0
    slices: int = 5
    size: int = 80
    ct: float = 0.22
    background: float = 0.08
    thin: float = 0.05
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        if not self.volumes:
            raise ValueError("volumes is empty; expected at least one")
        wanted = (
            [v for v in self.volumes if v.modality == "ct"] if self.degradation.low_dose else []
        )
        if wanted and not any(v.textures for v in wanted):
            raise ValueError("low_dose needs a corpus built with textures=True")

    @cached_property
    def _frequencies(self) -> NDArray[np.float64]:
        """Cumulative probability of each volume."""
        weights = np.array([v.weight for v in self.volumes], dtype=np.float64)
        is_ct = np.array([v.modality == "ct" for v in self.volumes])
        if is_ct.any() and not is_ct.all():
            weights[is_ct] *= self.ct / weights[is_ct].sum()
            weights[~is_ct] *= (1 - self.ct) / weights[~is_ct].sum()
        return np.cumsum(weights / weights.sum())

    def _volume(self, rng: np.random.Generator) -> Volume:
        chosen = int(np.searchsorted(self._frequencies, rng.random(), side="right"))
        return self.volumes[min(chosen, len(self.volumes) - 1)]

    def name(self, index: int) -> str:
        """The scan from which item `index` is cut."""
        return self._volume(np.random.default_rng([self.seed, index])).name

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        volume = self._volume(rng)
        if rng.random() < self.background:
            centre = np.array([rng.integers(n) for n in volume.array.shape])
        else:
            centre = volume.centres[rng.integers(len(volume.centres))].astype(np.int64)
            centre = centre + rng.integers(-8, 9, size=3)
        axis = int(rng.choice(volume.axes))
        depth = min(volume.array.shape[axis], self.slices)
        if rng.random() < self.thin:
            depth = int(rng.integers(1, depth + 1))
        numbers = thin_slab(depth, self.slices)

        def item(slab: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(slab[list(numbers)]))

        if self.degradation.is_on:
            x_0, y, sigma = self._degraded(volume, axis, centre, depth, rng)
            made = {"x_0": item(x_0), "y": item(y), "sigma": torch.tensor(sigma)}
        else:
            slab = cut(volume.array, axis, centre, depth, self.size).astype(np.float32)
            made = {"x_0": item(augment(slab, volume.modality == "mr", rng)[0])}
        return made | {"slices": torch.tensor(numbers)}

    def _degraded(
        self,
        volume: Volume,
        axis: int,
        centre: NDArray[np.int64],
        depth: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """(clean, worse, sigma): worn as whole slices, then cut and augmented alike."""
        how, is_mr = self.degradation, volume.modality == "mr"
        planes = cut(volume.array, axis, centre, depth, None if how.wears else self.size)
        target, worn = wear(planes.astype(np.float32), how, volume.modality, rng)
        if how.wears:
            middle = np.delete(centre, axis)
            target, worn = (crop(part, middle, self.size) for part in (target, worn))
        sigma = 0.0
        if volume.textures and how.low_dose and rng.random() < how.low_dose:
            assert volume.levels is not None
            weights = how.dose.weights(float(np.exp(rng.uniform(*np.log(how.share)))))
            photon, electronic = (cut(t, axis, centre, depth, self.size) for t in volume.textures)
            added = low_dose_noise(photon, electronic, weights, rng)
            local = math.hypot(volume.levels.scan, float(np.sqrt(np.mean(np.square(added)))))
            sigma = float(rng.choice((local, volume.levels.at(weights)))) / CT_SCALE
            worn = worn + added / np.float32(CT_SCALE)
        again = deepcopy(rng)
        (target, gain), (worn, _) = augment(target, is_mr, rng), augment(worn, is_mr, again)
        if not is_mr:
            return target, worn, sigma * gain
        if how.noise not in ("none", "gaussian"):  # a magnitude, also where contrast is inverted
            target, worn = np.abs(target), np.abs(worn)
        sigma = float(np.exp(rng.uniform(*np.log(how.sigma)))) if how.noise != "none" else 0.0
        return target, add_noise(worn, how, sigma, rng), sigma


def cut(
    array: NDArray[np.floating], axis: int, centre: NDArray[np.int64], depth: int, size: int | None
) -> NDArray[np.floating]:
    """(depth, size, size) near `centre`, stacked along `axis`; planes that are small reflect.

    size: None for whole planes
    """
    start = _start(array.shape[axis], depth, int(centre[axis]))
    planes = np.moveaxis(array, axis, 0)[start : start + depth]
    return planes if size is None else crop(planes, np.delete(centre, axis), size)


def crop(
    planes: NDArray[np.floating], centre: NDArray[np.int64], size: int
) -> NDArray[np.floating]:
    """(S, size, size) of planes (S, H, W) near `centre` (2,); planes that are small reflect."""
    rows, columns = (
        slice(first := _start(n, size, int(middle)), first + size)
        for n, middle in zip(planes.shape[1:], centre, strict=True)
    )
    slab = planes[:, rows, columns]
    return np.pad(slab, [(0, 0), *((0, size - n) for n in slab.shape[1:])], mode="symmetric")


def _start(count: int, length: int, middle: int) -> int:
    return min(max(middle - length // 2, 0), max(count - length, 0))


def augment(
    slab: NDArray[np.float32], contrast: bool, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """Random flips, transposition and gain; with `contrast` also a gamma curve and inversion.

    Returns the slab and the gain.
    """
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
    gain = float(np.exp(rng.uniform(np.log(0.6), np.log(1.25))))
    return (slab * gain).astype(np.float32), gain
