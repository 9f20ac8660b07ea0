r"""Every sample against every scan, at half the resolution: whole images, and patches in place.

The likeness is that of `diff_medical.audit.match`. A patch of a sample is sought where it lies, up
to `SHIFT` pixels around, in every scan, as it is and mirrored with the whole image; a pair is as
alike as its most alike patch. Windows of all shifts, as vectors of unit length, meet the samples'
in one product of matrices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diff_medical.audit.match import SHIFT, mirrors, paired

__all__ = ["PATCH", "Likeness", "blocks", "likeness", "nearest"]

Array = NDArray[np.float32]
Block = tuple[slice, ...]

PATCH = 32
"""The edge of a patch, pixels."""
FLAT = 0.3  # detail, as a share of the image's own, below which a patch is air: it is like nothing
KEPT = 8  # candidates that are compared again at full resolution
INSIDE = 0.9  # share of a patch that must be body: edges against air are alike in everyone
ROOM = 1 << 23  # floats in one product


@dataclass(frozen=True)
class Likeness:
    """The likeness of N samples and M scans, at half the resolution.

    ncc:   (N, M) float32, -1 to 1
    place: (N, M) block (`blocks`) that is most alike times the number of mirrorings, and mirroring
    patch: pixels of a patch at full resolution; 0 for whole images
    """

    ncc: Array
    place: NDArray[np.int16]
    patch: int


def blocks(shape: Sequence[int], patch: int, shift: int) -> list[Block]:
    """Return the places of patches in an image, each with `shift` pixels around it: half a patch
    apart or a little less, from end to end. One block, the image, if `patch` is 0 or does not fit.
    """
    whole = patch + 2 * shift
    if not patch or min(shape) < whole:
        return [tuple(slice(0, n) for n in shape)]
    starts = [
        np.linspace(0, n - whole, 1 + math.ceil((n - whole) / (patch / 2))).round().astype(int)
        for n in shape
    ]
    return [
        tuple(slice(int(s), int(s) + whole) for s in corner)
        for corner in itertools.product(*starts)
    ]


def likeness(
    one: Array,
    others: Array,
    patch: int = 0,
    *,
    body: NDArray[np.bool_] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Likeness:
    """Return the likeness of details (`match.detail`) of N samples (N, *S) against those of M
    scans (M, *S).

    body: (N, *S) what of the samples is body; patches with less than INSIDE of it are like nothing
    """
    half = SHIFT // 2
    samples, scans = (_halved(torch.from_numpy(np.ascontiguousarray(x))) for x in (one, others))
    axes = samples.ndim - 1
    least = [x.flatten(1).std(1) * (FLAT if patch else 1e-4) for x in (samples, scans)]
    turns = mirrors(axes)
    views = torch.stack([samples.flip([1 + a for a in m]) for m in turns], 1)
    inside = None
    if patch and body is not None:
        shares = _halved(torch.from_numpy(body.astype(np.float32)))
        inside = torch.stack([shares.flip([1 + a for a in m]) for m in turns], 1)
    best = torch.full((len(samples), len(scans)), -1.0)
    place = torch.zeros(best.shape, dtype=torch.long)
    cut = blocks(samples.shape[1:], patch // 2, half)
    for number, block in enumerate(cut):
        inner = tuple(slice(s.start + half, s.stop - half) for s in block)
        templates = _unit(views[:, :, *inner].flatten(2), least[0][:, None])  # (N, mirrors, W)
        if inside is not None:
            enough = inside[:, :, *inner].flatten(2).mean(2) >= INSIDE
            templates = templates * enough[..., None]
        columns = templates.flatten(0, 1).T
        lags, width = (2 * half + 1) ** axes, templates.shape[2]
        rows = max(1, ROOM // (lags * max(width, columns.shape[1])))
        for first in range(0, len(scans), rows):
            part = slice(first, first + rows)
            windows = _windows(scans[part, *block], half)  # (m, lags, W)
            unit = _unit(windows, least[1][part, None])
            ncc = (unit.flatten(0, 1) @ columns).unflatten(0, (-1, lags))
            mirrored = ncc.amax(1).unflatten(1, (-1, len(turns))).transpose(0, 1)
            ncc, mirror = mirrored.max(2)  # (N, m)
            better = ncc > best[:, part]
            best[:, part] = torch.where(better, ncc, best[:, part])
            here = number * len(turns) + mirror
            place[:, part] = torch.where(better, here, place[:, part])
        if progress:
            progress((number + 1) / len(cut))
    return Likeness(best.numpy(), place.numpy().astype(np.int16), patch)


def nearest(one: Array, others: Array, found: Likeness) -> tuple[Array, NDArray[np.int64]]:
    """Return for each sample (N, *S) its most alike scan of (M, *S), compared at full resolution.

    found: the likeness of the two, whose best few candidates are compared

    Returns ncc (N,), 0 for a sample without a patch that counts, and the scan's index (N,).
    """
    shape = one.shape[1:]
    cut, turns = blocks(shape, found.patch, SHIFT), mirrors(len(shape))
    kept = min(KEPT, len(others))
    candidates = np.argsort(-found.ncc, axis=1)[:, :kept]
    ncc = np.full(candidates.shape, -1, np.float32)
    rows = max(1, ROOM // (8 * math.prod(s.stop - s.start for s in cut[0]) * kept))
    for first in range(0, len(one), rows):
        pairs: list[tuple[Array, Array]] = []
        for n in range(first, min(first + rows, len(one))):
            for m in candidates[n]:
                block, turn = divmod(int(found.place[n, m]), len(turns))
                pairs.append((np.flip(one[n], turns[turn])[cut[block]], others[m][cut[block]]))
        samples, scans = (np.stack(side) for side in zip(*pairs, strict=True))
        ncc[first : first + rows] = paired(samples, scans).reshape(-1, kept)
    ncc[np.take_along_axis(found.ncc, candidates, 1) <= 0] = 0
    best = ncc.argmax(1)[:, None]
    return np.take_along_axis(ncc, best, 1)[:, 0], np.take_along_axis(candidates, best, 1)[:, 0]


def _halved(x: Tensor) -> Tensor:
    pool: Any = functional.avg_pool2d if x.ndim == 3 else functional.avg_pool3d
    return pool(x[:, None], 2, ceil_mode=True)[:, 0]


def _windows(images: Tensor, shift: int) -> Tensor:
    """(m, lags, W): the windows of images (m, *S) that are `shift` smaller at each end."""
    for axis in range(1, images.ndim):
        images = images.unfold(axis, images.shape[axis] - 2 * shift, 1)
    axes = (images.ndim - 1) // 2
    return images.flatten(1 + axes).flatten(1, axes)


def _unit(vectors: Tensor, least: Tensor) -> Tensor:
    """Vectors (m, k, W) without their mean, of unit length; zero where the standard deviation is
    not above `least` (m, 1).
    """
    vectors = vectors - vectors.mean(-1, keepdim=True)
    deviation = vectors.square().mean(-1).sqrt()
    size = deviation.where(deviation > least, math.inf) * vectors.shape[-1] ** 0.5
    return vectors / size[..., None]
