"""The volumes of a series enhanced together: what they have in common is signal.

The volumes of one voxel are a vector. Over a whole series these vectors lie in a space of few
directions, and in a small patch of voxels in one of fewer still; white noise has every direction
alike. The singular values of noise alone end at an edge (V. Marchenko and L. Pastur, "Distribution
of eigenvalues for some sets of random matrices", 1967), and what lies beyond it is signal:
J. Veraart et al., "Denoising of diffusion MRI using random matrix theory", NeuroImage 2016 (its
eq. 11 gives the noise level). Magnitudes are first made to have even noise, as in X. Ma et al.,
"Denoise magnitude diffusion magnetic resonance images via variance-stabilizing transformation and
optimal singular-value manipulation", NeuroImage 2020. Three steps:

1. The directions of the whole series. Over so many voxels even weak ones stand out of the noise.
2. Patches, of the part along these directions and of the rest, each for itself: what a patch shows
   beyond the edge stays, and so does its mean. Where the directions are few, all of the first
   part stays, since little noise is left in it.
3. Places of 2 x 2 x 2 voxels that have more energy over the volumes than noise has, and lost more
   of it than other places, get back the mean of what was removed: an activation of that size is
   less than the edge of a patch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.progress import Progress
from diff_medical.scan import scratch

__all__ = ["FEWEST", "LowRank", "directions", "low_rank", "noise_variance"]

Array = NDArray[np.float32]

FEWEST = 8
"""Volumes below which a series shows too little of what its volumes share."""

BUDGET = 1 << 22  # values that are worked on at once, whatever the number of volumes
WINDOW = {3: 3, 2: 5, 1: 9}  # by the number of fine axes: voxels of a patch along each of them
FEW = 0.1  # share of directions below which what lies along them stays as it is
MARGIN = 1.05  # over the edge, for noise that is not quite even
STILL = 1e-3  # variance over the volumes, in units of the noise, of a voxel that has no noise
STEADY = 2.0  # voxels over which the local noise is averaged
CERTAIN = 3.0  # standard deviations from which on energy over the volumes is no noise


@dataclass(frozen=True)
class LowRank:
    """The result.

    values:     (X, Y, Z, volumes), in the units of what was given
    left:       (X, Y, Z), share of the variance of the noise that is left in each volume
    directions: how many the whole series has
    given_back: share of voxels to which what was removed was given back
    """

    values: Array
    left: Array
    directions: int
    given_back: float


def low_rank(series: Array, axes: tuple[int, ...], progress: Progress | None = None) -> LowRank:
    """Return the estimate of a series (X, Y, Z, volumes) whose noise is white with a level of
    about 1: its own level is measured, place by place.

    axes:     along which neighbours show the same anatomy, at least one
    progress: called with the share done, 0 to 1

    Beside series and result, memory for a few volumes is used, however many there are. Raises
    ValueError for a series of fewer than FEWEST volumes.
    """
    if series.ndim != 4 or series.shape[3] < FEWEST or not axes:
        raise ValueError(
            f"series is {series.shape} with fine axes {axes}; expected (X, Y, Z, {FEWEST} or more "
            "volumes) and at least one axis"
        )
    shape, volumes = series.shape[:3], series.shape[3]
    gram, count = _gram(series)
    basis, known = directions(gram / max(1, count), count)
    made = scratch.empty(series.shape, np.float32, large=series.size > scratch.LARGE)
    noise = _local_noise(series, basis[:, known:], axes)
    size = tuple(min(WINDOW[len(axes)], n) if a in axes else 1 for a, n in enumerate(shape))
    left, energy = (np.empty(shape, np.float32) for _ in range(2))
    rotation, level = torch.from_numpy(basis), np.sqrt(noise)
    tiles = list(_tiles(shape, size, volumes))
    for number, (outer, inner, target) in enumerate(tiles):
        part = torch.from_numpy(series[outer] / level[outer][..., None]) @ rotation
        others = _pairs(part[..., known:], axes).square().sum(-1)
        energy[target] = others[inner].numpy()
        values, share = _patches(part, size, known)
        there = (values @ rotation.T)[inner].numpy() * level[target][..., None]
        made[target], left[target] = there, share[inner].numpy()
        scratch.release(series, made)
        if progress:
            progress((number + 1) / len(tiles))
    lost = _lost(series, made, noise, energy, axes, volumes - known)
    back = _give_back(series, made, np.where(lost, energy, np.float32(0)), axes)
    left[back] += (1 - left[back]) / 2 ** len(axes)
    return LowRank(made, left, known, float(back.mean()))


def directions(covariance: NDArray[np.float64], count: int) -> tuple[Array, int]:
    """Return the principal directions of a series, one a column, and how many are no noise.

    covariance: (volumes, volumes), over `count` voxels, not centred
    """
    found, basis = np.linalg.eigh(covariance)
    volumes = len(found)
    variance = noise_variance(found, count)
    edge = MARGIN * variance * (1 + np.sqrt(volumes / max(1, count))) ** 2
    return np.ascontiguousarray(basis[:, ::-1], np.float32), int((found > edge).sum())


def noise_variance(eigenvalues: NDArray[np.float64], count: int) -> float:
    """Return the variance of the noise from ascending eigenvalues of a covariance over `count`
    samples: the mean of the most small ones whose range is not above that of noise alone, 4 sqrt(
    their number / count) times the mean (Veraart 2016, eq. 11).
    """
    values = np.maximum(eigenvalues, 0)
    numbers = np.arange(1, len(values) + 1)
    means = np.cumsum(values) / numbers
    span = values - values[0]
    # beyond sampling, noise that differs between places widens the range a little
    fits = span <= means * (4 * np.sqrt(numbers / max(1, count)) + MARGIN - 1)
    return float(means[np.flatnonzero(fits).max()])


def _chunks(series: Array) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield the vectors of a few voxels at a time, (n, volumes)."""
    flat = series.reshape(-1, series.shape[3], order="F")
    step = max(1, BUDGET // (2 * series.shape[3]))
    for first in range(0, len(flat), step):
        part = slice(first, min(first + step, len(flat)))
        yield part, np.asarray(flat[part], np.float64)
        scratch.release(series)


def _gram(series: Array) -> tuple[NDArray[np.float64], int]:
    """Return the sum over voxels of the products of volumes, and the number of voxels; padding,
    which has no noise, does not count.
    """
    total, count = np.zeros((series.shape[3],) * 2), 0
    for _, vectors in _chunks(series):
        noisy = vectors[vectors.var(1) > STILL]
        total += noisy.T @ noisy
        count += len(noisy)
    return total, count


def _local_noise(series: Array, others: Array, axes: tuple[int, ...]) -> Array:
    """Return the variance of the noise around each voxel, from the part of the series along the
    directions that are noise.
    """
    from scipy.ndimage import gaussian_filter

    shape = series.shape[:3]
    energy = np.empty(int(np.prod(shape)), np.float32)
    if not others.shape[1]:
        return np.ones(shape, np.float32)
    for part, vectors in _chunks(series):
        energy[part] = np.square(vectors @ others).mean(1)
    made = energy.reshape(shape, order="F")
    noisy = (made > STILL).astype(np.float32)
    widths = [STEADY if axis in axes else 0 for axis in range(3)]
    weight = np.maximum(gaussian_filter(noisy, widths), np.float32(1e-6))
    return np.maximum(gaussian_filter(made * noisy, widths) / weight, np.float32(STILL))


def _tiles(
    shape: tuple[int, ...], size: tuple[int, ...], volumes: int
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]]:
    """Yield what to read, where in it the result lies, and where that goes: blocks of a volume
    with the patches around them.
    """
    edge = max(4, int((BUDGET / volumes) ** (1 / 3)) - 2 * max(size))
    along = []
    for n, s in zip(shape, size, strict=True):
        pieces = []
        for first in range(0, n, edge):
            last = min(n, first + edge)
            low, high = max(0, first - s + 1), min(n, last + s - 1)
            low, high = max(0, min(low, n - s)), max(high, min(n, low + s))
            pieces.append((slice(low, high), slice(first - low, last - low), slice(first, last)))
        along.append(pieces)
    for pieces in itertools.product(*along):
        outer, inner, target = zip(*pieces, strict=True)
        yield outer, inner, target


def _patches(part: Tensor, size: tuple[int, ...], known: int) -> tuple[Tensor, Tensor]:
    """Return the estimate of a block (x, y, z, directions) of unit noise, from all patches in it,
    and the share of noise that is left. A patch counts for less, the more directions it has.
    """
    volumes = part.shape[3]
    made, left = torch.zeros_like(part), torch.zeros(part.shape[:3])
    weights = torch.zeros(part.shape[:3])
    windows = part.unfold(0, size[0], 1).unfold(1, size[1], 1).unfold(2, size[2], 1)
    counts = windows.shape[:3]
    voxels = size[0] * size[1] * size[2]
    for row in range(counts[0]):
        patches = windows[row].reshape(-1, volumes, voxels)
        mean = patches.mean(-1, keepdim=True)
        patches = patches - mean
        freedom = torch.full((len(patches),), volumes / voxels)
        rank = torch.zeros(len(patches))
        for block, stays in (
            (slice(0, known), known <= FEW * volumes),
            (slice(known, volumes), False),
        ):
            count = block.stop - block.start
            if stays:
                rank, freedom = rank + count, freedom + count * (1 - 1 / voxels)
            elif count:
                patches[:, block], kept = _beyond_noise(patches[:, block])
                rank = rank + kept
                freedom = freedom + kept * (count + voxels - 1 - kept) / voxels
        weight = 1 / (1 + rank)
        values = (patches + mean) * weight[:, None, None]
        values = values.reshape(counts[1], counts[2], volumes, *size)
        weight, share = (v.reshape(counts[1:]) for v in (weight, weight * freedom / volumes))
        for x, y, z in itertools.product(*map(range, size)):
            place = row + x, slice(y, y + counts[1]), slice(z, z + counts[2])
            made[place] += values[..., x, y, z]
            left[place] += share
            weights[place] += weight
    return made / weights[..., None], (left / weights).clamp(max=1)


def _beyond_noise(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return centred matrices (n, directions, voxels) of unit noise without the parts of singular
    values that noise alone has, and how many parts each has left.
    """
    rows, columns = matrices.shape[1], matrices.shape[2] - 1  # the mean took one
    wide = rows <= columns
    values = matrices.double()
    gram = values @ values.mT if wide else values.mT @ values
    found, basis = torch.linalg.eigh(gram)
    kept = found > (rows**0.5 + columns**0.5) ** 2
    chosen = (basis * kept[:, None, :]) @ basis.mT
    made = chosen @ values if wide else values @ chosen
    return made.float(), kept.sum(-1).float()


def _lost(
    series: Array, made: Array, noise: Array, energy: Array, axes: tuple[int, ...], others: int
) -> NDArray[np.bool_]:
    """Return where the pairs of voxels along all axes, 2 x 2 x 2, have more `energy` over the
    volumes than noise has in `others` directions, and more of it was removed than elsewhere.
    """
    removed = np.zeros(noise.shape, np.float32)
    level = np.sqrt(noise)
    for index in range(series.shape[3]):
        gone = torch.from_numpy((series[..., index] - made[..., index]) / level)
        removed += _pairs(gone, axes).square().numpy()
        scratch.release(series, made)
    inside = noise > 10 * STILL
    for axis in axes:  # the last has no neighbour
        inside[tuple(slice(-1, None) if a == axis else slice(None) for a in range(3))] = False
    if not inside.any() or not others:
        return np.zeros(noise.shape, np.bool_)
    lost = (_score(energy * 2 ** len(axes) / others, others) > CERTAIN) & inside
    lost &= removed > np.median(removed[inside])
    return lost


def _give_back(
    series: Array, made: Array, energy: Array, axes: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Add the mean of what was removed from 2 x 2 x 2 voxels to these voxels, where the `energy`
    that was lost there is above 0, and return where. A voxel gets that of the place with the most
    energy of those it belongs to.
    """
    offsets = list(itertools.product(*((0, 1) if axis in axes else (0,) for axis in range(3))))
    best, most = np.zeros(energy.shape, np.int8), np.zeros(energy.shape, np.float32)
    for number, offset in enumerate(offsets):
        moved = np.roll(energy, offset, (0, 1, 2))  # the last along an axis has none to give
        best[moved > most] = number
        most = np.maximum(most, moved)
    for index in range(series.shape[3] if most.any() else 0):
        gone = torch.from_numpy(series[..., index] - made[..., index])
        mean = _pairs(gone, axes).numpy()
        for number, offset in enumerate(offsets):
            here = (most > 0) & (best == number)
            made[..., index][here] += np.roll(mean, offset, (0, 1, 2))[here]
        scratch.release(series, made)
    return most > 0


def _score(energy: Array, freedom: int) -> Array:
    """Return by how many standard deviations the mean of squares of `freedom` normal variables is
    beyond 1. Its cube root is normal (E. Wilson and M. Hilferty, 1931).
    """
    spread = 2 / (9 * freedom)
    return np.asarray((np.cbrt(energy) - (1 - spread)) / np.sqrt(spread), np.float32)


def _pairs(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the mean of each voxel and its next along all of the axes; the last is its own."""
    for axis in axes:
        ahead = torch.cat([values.narrow(axis, 1, values.shape[axis] - 1),
                           values.narrow(axis, values.shape[axis] - 1, 1)], axis)  # fmt: skip
        values = (values + ahead) / 2
    return values
