"""The noise level of an MR scan voxel by voxel, where it varies: parallel imaging and the
sensitivities of coils make noise stronger in some places than in others.

The fine detail of `diff_medical.noise.level` is averaged over blocks of a few voxels. Blocks where
anatomy is steep in units of the noise do not count, and the rest are smoothed, since such noise
varies slowly (K. Pruessmann et al., "SENSE: sensitivity encoding for fast MRI", 1999). Flatness
has to be judged in units of the local noise: in those of one level, only the quiet part of a scan
is flat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_medical.noise.level import clear_of_padding, fine_axes, fine_detail, steepness
from diff_medical.noise.model import Noise
from diff_medical.noise.stabilise import stabiliser
from diff_medical.scan.spacing import Spacing

__all__ = ["VARIES", "LocalLevels", "local_levels", "pooled"]

Array = NDArray[np.floating]
Read = Callable[[slice], Array]

VARIES = 1.5
"""The ratio of the greatest level to the least (97th and 3rd percentile over the head) from which
on noise is taken to vary."""

BLOCKS = {3: 4, 2: 8, 1: 64}  # by the number of fine axes: voxels of a block along each of them
LEAST_WIDTH = 0.8  # blocks: the standard deviation of the window over which levels are averaged
WIDTH = 1 / 24  # the same as a share of the field of view
THICK_WIDTH = 2.0  # slices: the same along axes that are not fine
FLAT = 0.3  # share of the blocks that are the flattest, or the steepest
LEAK = 0.1  # of the variance of the noise: the most that anatomy may add to a block that counts
FEWEST = 64  # blocks from which a map can be made
LEAST_SHARE = 0.1  # the same as a share of the blocks with signal
ENOUGH = 0.1  # share of flat blocks around a block whose level counts as measured
ROUNDS = 8
ROUGHER = 1.15  # times the level around it: no block counts for more
HALO = 10  # planes that the steepness of a plane depends on, on either side
CHUNK = 1 << 22  # voxels that are worked on at once
ENDS = (0.03, 0.97)
LIMITS = (0.2, 2.0)  # times the median level: more is rather texture, such as trabecular bone
MEAN_TO_SD = float(np.sqrt(np.pi / 2))


@dataclass(frozen=True)
class LocalLevels:
    """The noise level of each voxel of a volume, smooth, in the units of the scan.

    nodes:  the levels at the middles of blocks
    blocks: voxels of a block along each axis
    shape:  of the volume (X, Y, Z)
    ends:   the 3rd and the 97th percentile of the level where there is signal
    """

    nodes: NDArray[np.float32]
    blocks: tuple[int, int, int]
    shape: tuple[int, int, int]
    ends: tuple[float, float]

    @property
    def varies(self) -> bool:
        """True if the level differs by more than VARIES within the scan."""
        return self.ends[1] > VARIES * self.ends[0]

    def __call__(self, planes: slice) -> NDArray[np.float32]:
        """(X, Y, n) of the planes from `planes.start` to `planes.stop`, linear between blocks."""
        made = self.nodes
        along = [range(self.shape[0]), range(self.shape[1]), range(planes.start, planes.stop)]
        for axis in (2, 0, 1):
            made = _between(made, axis, along[axis], self.blocks[axis])
        return np.asfortranarray(made)


def local_levels(
    read: Read, shape: tuple[int, int, int], spacing: Spacing, noise: Noise
) -> LocalLevels | None:
    """Return the levels of an MR volume (X, Y, Z) whose planes along Z `read` gives and whose
    noise over all is `noise`; None where too few blocks have signal to tell.
    """
    axes = fine_axes(shape, spacing)
    if not axes or not noise.sigma > 0:
        return None
    blocks = tuple(BLOCKS[len(axes)] if axis in axes else 1 for axis in range(3))
    grid = _Blocks(shape, (blocks[0], blocks[1], blocks[2]), axes)
    found = grid.levels(read, noise, None)
    if found is not None and noise.is_magnitude and found.varies:
        # where the noise is strong, signal is low in its units, and the transform is not a shift
        found = grid.levels(read, noise, found)
    return found


def pooled(maps: Sequence[LocalLevels]) -> LocalLevels:
    """Return the geometric mean of maps of volumes of one grid and one noise."""
    nodes = np.exp(np.mean([np.log(one.nodes) for one in maps], axis=0)).astype(np.float32)
    low, high = np.exp(np.mean([np.log(one.ends) for one in maps], axis=0))
    return LocalLevels(nodes, maps[0].blocks, maps[0].shape, (float(low), float(high)))


@dataclass(frozen=True)
class _Blocks:
    """The blocks of a volume."""

    shape: tuple[int, int, int]
    size: tuple[int, int, int]
    axes: tuple[int, ...]

    def levels(self, read: Read, noise: Noise, before: LocalLevels | None) -> LocalLevels | None:
        """Return the levels; of magnitudes by the transform for those found `before`."""
        count, detail, steep, mean = self._gather(read, noise, before)
        usable = count >= 0.5 * np.prod(self.size)
        if usable.sum() < FEWEST:
            return None
        dark, bright = np.quantile(mean[usable], [0.01, 0.99])
        bright_enough = usable & (mean > dark + 0.2 * (bright - dark))
        usable = bright_enough if bright_enough.sum() >= FEWEST else usable
        flattest = usable & (steep <= np.quantile(steep[usable], FLAT))
        steepest = usable & (steep >= np.quantile(steep[usable], 1 - FLAT))
        level, weight = _smooth(detail, flattest, self.axes)
        for _ in range(ROUNDS):
            # what steep anatomy adds to fine detail, in proportion to its steepness
            excess = np.square(detail[steepest]) - np.square(level[steepest])
            leak = max(0.0, float(np.median(excess / np.maximum(steep[steepest], 1e-30))))
            flat = usable & (leak * steep <= LEAK * np.square(level))
            if flat.sum() < max(FEWEST, LEAST_SHARE * usable.sum()):
                return None
            level, weight = _smooth(np.minimum(detail, ROUGHER * level), flat, self.axes)
        told = usable & (weight > ENOUGH)
        if told.sum() < FEWEST:
            return None
        least, most = np.quantile(level[told], ENDS)
        over_all = noise.sigma if noise.is_magnitude else 1.0
        middle = float(np.median(level[usable]))
        level = over_all * np.clip(level, LIMITS[0] * middle, LIMITS[1] * middle)
        ends = (float(over_all * least), float(over_all * most))
        return LocalLevels(level.astype(np.float32), self.size, self.shape, ends)

    def _gather(
        self, read: Read, noise: Noise, before: LocalLevels | None
    ) -> tuple[Array, Array, Array, Array]:
        """Return for each block: the voxels that count, the noise of their fine detail (in units
        of `noise` where it is that of magnitudes), their steepness and their mean.
        """
        counts = tuple(-(-n // b) for n, b in zip(self.shape, self.size, strict=True))
        made = np.zeros((4, *counts))
        depth = self.shape[2]
        planes = max(1, CHUNK // (self.shape[0] * self.shape[1] * self.size[2])) * self.size[2]
        halo = HALO if 2 in self.axes else 0
        for first in range(0, depth, planes):
            last = min(depth, first + planes)
            wide = slice(max(0, first - halo), min(depth, last + halo))
            inner = slice(first - wide.start, last - wide.start)
            volume = np.asarray(read(wide), np.float32)
            clear = clear_of_padding(volume, self.axes, ends=(wide.start == 0, wide.stop == depth))
            values = volume
            if noise.is_magnitude:
                level = noise.sigma if before is None else before(wide)
                values = stabiliser(noise.coils).forward(np.maximum(volume, 0), level)
                if before is not None:
                    values = values * (level / np.float32(noise.sigma))
            parts = (
                np.ones_like(values), np.abs(fine_detail(values, self.axes)),
                steepness(values, self.axes), volume,
            )  # fmt: skip
            here = slice(first // self.size[2], -(-last // self.size[2]))
            for number, part in enumerate(parts):
                kept = np.where(clear, part, np.float32(0))[..., inner]
                made[number][..., here] = self._sum(kept)
        count = np.maximum(made[0], 1)
        return made[0], made[1] / count * MEAN_TO_SD, made[2] / count, made[3] / count

    def _sum(self, values: Array) -> Array:
        """Return the sums over blocks."""
        for axis, size in enumerate(self.size):
            if size > 1:
                values = np.add.reduceat(values, range(0, values.shape[axis], size), axis=axis)
        return values


def _smooth(values: Array, flat: NDArray[np.bool_], axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the average over the flat blocks around each block, and how many there are; where
    there are few, those of a wider window count.
    """
    from scipy.ndimage import gaussian_filter

    made = np.full(values.shape, float(np.mean(values[flat])))
    weight = np.zeros(values.shape)
    widths = [
        max(LEAST_WIDTH, WIDTH * n) if axis in axes else THICK_WIDTH
        for axis, n in enumerate(values.shape)
    ]
    for times in (8.0, 4.0, 2.0, 1.0):
        width = [times * one for one in widths]
        weight = gaussian_filter(flat.astype(float), width, mode="constant")
        mean = gaussian_filter(np.where(flat, values, 0), width, mode="constant")
        share = np.clip(weight / ENOUGH, 0, 1)
        made = (1 - share) * made + share * mean / np.maximum(weight, 1e-12)
    return made, weight


def _between(values: Array, axis: int, places: range, size: int) -> Array:
    """Return the values at voxels, linear between the middles of blocks of `size`."""
    if size == 1:
        return values.take(np.arange(places.start, places.stop), axis)
    place = (np.arange(places.start, places.stop) - (size - 1) / 2) / size
    place = np.clip(place, 0, values.shape[axis] - 1)
    low = np.minimum(place.astype(int), max(0, values.shape[axis] - 2))
    high = np.minimum(low + 1, values.shape[axis] - 1)
    share = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return values.take(low, axis) * (1 - share) + values.take(high, axis) * share
