"""Copies that were turned, zoomed, moved far, given noise, or whose contrast was inverted.

Every sample, turned by up to `TURN` degrees and zoomed by up to `ZOOM` either way on a grid, is
compared with every scan at a quarter of the resolution, mirrored or not, moved by up to `FAR`
pixels. For the best few scans of each sample the grid is then made finer, twice, at half the
resolution. The likeness is the registered correlation of `diff_medical.audit.match`, with these
differences:

* its sign does not count: an inverted copy has -1;
* the detail is that inside the body: the outline is the same in everyone, and stays as it is
  where contrast is inverted inside;
* white noise of the sample, whose level is measured, does not lower it. With a share n of the
  variance that is noise, the correlation is divided by sqrt(1 - n) (C. Spearman, "The proof and
  measurement of association between two things", 1904).

The search raises the likeness of strangers too, so its limit comes from the same search of
held-out scans. It is for slices; volumes have three angles, and are not searched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diff_medical.audit.match import BODY, COARSE, FINE, mirrors, paired
from diff_medical.noise.level import detail_sigma

__all__ = ["FAR", "TURN", "ZOOM", "inside", "registered"]

Array = NDArray[np.float32]
View = tuple[float, float]

TURN = 10.0
"""The largest turn between two images, degrees."""
ZOOM = 1.15
"""The largest change of size between two images."""
FAR = 12
"""The largest shift between two images, pixels."""
STEPS = 5  # of a grid, along either axis
KEPT = 4  # scans of a sample that are compared again
MARGIN = 4  # pixels from air that do not count as inside
MOST_NOISE = 0.8  # share of the variance that counts as noise at most
ROOM = 1 << 24  # floats in one product


def inside(images: Array) -> tuple[Array, Array]:
    """Return the detail of tones (N, H, W) inside the body, 0 outside, and the noise of each (N,).

    An image whose border is bright is inverted first: air is dark.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    made = np.zeros(images.shape, np.float32)
    noise = np.zeros(len(images), np.float32)
    for number, image in enumerate(images):
        border = np.concatenate([image[[0, -1]].ravel(), image[:, [0, -1]].ravel()])
        if np.median(border) > 0.5 * image.max():
            image = image.max() - image
        body = gaussian_filter(image, 3.0) > BODY
        body = binary_erosion(body, iterations=MARGIN, border_value=1)
        weight = body.astype(np.float32)
        blurs = [
            gaussian_filter(image * weight, blur) / np.maximum(gaussian_filter(weight, blur), 1e-3)
            for blur in (FINE, COARSE)
        ]
        made[number] = (blurs[0] - blurs[1]) * weight
        noise[number] = detail_sigma(image[..., None], (0, 1))
    return made, noise


def registered(
    one: Array, others: Array, *, progress: Callable[[float], None] | None = None
) -> tuple[Array, NDArray[np.int64]]:
    """Return for each sample its most alike scan.

    one, others: tones of samples (N, H, W) and scans (M, H, W)

    Returns the likeness (N,), 0 to 1, 0 for a sample without contrast, and the scan's index (N,).
    """
    (mine, noise), (theirs, _) = inside(one), inside(others)
    samples, scans = torch.from_numpy(mine), torch.from_numpy(theirs)
    found, view = _coarse(samples, scans, progress)
    grid = _grid(TURN, math.log(ZOOM))
    turns = mirrors(2)
    candidates = found.topk(min(KEPT, len(others)), 1).indices
    scans = _pooled(scans, 2)
    gain = _gain()
    best = np.zeros(len(one), np.float32)
    index = np.zeros(len(one), np.int64)
    for n in range(len(one)):
        # the place of each candidate: scan, angle and zoom, mirroring
        places = [(m, grid[int(view[n, m]) // len(turns)], turns[int(view[n, m]) % len(turns)])
                  for m in candidates[n].tolist()]  # fmt: skip
        for part in (2, 8):  # of the steps of the first grid
            finer = _grid(TURN / part, math.log(ZOOM) / part)
            ncc, views = _compared(samples[n], scans, places, finer, float(noise[n]) ** 2 * gain)
            most = int(ncc.argmax())
            place = places[most // len(finer)]
            places = [(place[0], views[most], place[2])]
            best[n], index[n] = max(best[n], ncc[most]), place[0]
        if progress:
            progress(0.5 + 0.5 * (n + 1) / len(one))
    return best, index


def _compared(
    sample: Tensor,
    scans: Tensor,
    places: Sequence[tuple[int, View, tuple[int, ...]]],
    finer: Sequence[View],
    noise: float,
) -> tuple[Array, list[View]]:
    """Return the likeness at every place and finer view, and those views."""
    views = [(a + da, z + dz) for _, (a, z), _ in places for da, dz in finer]
    flips = [turn for _, _, turn in places for _ in finer]
    warped = _warped(sample[None], views)
    given = _pooled(
        torch.stack([v.flip(tuple(turn)) for v, turn in zip(warped, flips, strict=True)]), 2
    )
    to = scans[[m for m, _, _ in places for _ in finer]]
    shift = _shift(given.shape[1:], 2)
    ncc = paired(given.numpy(), to.numpy(), shift, signed=False)
    inner = given[:, shift:-shift, shift:-shift].flatten(1)
    share = noise / inner.var(1).clamp(min=1e-12).numpy()
    return np.minimum(ncc / np.sqrt(1 - share.clip(0, MOST_NOISE)), 1), views


def _gain() -> float:
    """Return the variance that white noise of variance 1 has in the detail at half the
    resolution.
    """
    from scipy.ndimage import gaussian_filter

    point = np.zeros((65, 65), np.float32)
    point[32, 32] = 1
    kernel = gaussian_filter(point, FINE) - gaussian_filter(point, COARSE)
    mean = functional.avg_pool2d(torch.from_numpy(kernel)[None, None], 2, stride=1)
    return float(mean.square().sum())


def _coarse(
    samples: Tensor, scans: Tensor, progress: Callable[[float], None] | None
) -> tuple[Tensor, Tensor]:
    """Return |ncc| (N, M) at a quarter of the resolution, and the view (N, M) that has it: its
    place in the grid times the number of mirrorings, and the mirroring.

    Scans are moved by every second pixel, as a quarter of the resolution alone would blur those
    between.
    """
    grid, turns = _grid(TURN, math.log(ZOOM)), mirrors(2)
    least = _pooled(scans[:1], 4).shape[1:]
    shift = _shift(least, 4)
    inner = tuple(slice(shift, n - shift) for n in least)
    templates: list[Tensor] = []
    for n in range(len(samples)):
        made = _pooled(_warped(samples[n : n + 1], grid), 4)
        views = torch.stack([made.flip([1 + a for a in t]) for t in turns], 1).flatten(0, 1)
        templates.append(_unit(views[:, *inner].flatten(1)).T)  # (W, views)
    best = torch.zeros(len(samples), len(scans))
    view = torch.zeros(best.shape, dtype=torch.long)
    lags = 4 * (2 * shift + 1) ** 2
    rows = max(1, ROOM // (lags * max(len(grid) * len(turns), templates[0].shape[0])))
    for first in range(0, len(scans), rows):
        part = slice(first, first + rows)
        moved = [scans[part].roll((-y, -x), (1, 2)) for y in (0, 2) for x in (0, 2)]
        windows = torch.cat([_windows(_pooled(one, 4), shift) for one in moved], 1)
        flat = windows.flatten(0, 1)  # (m lags, W)
        for n, template in enumerate(templates):
            ncc = (flat @ template).abs().unflatten(0, windows.shape[:2])
            best[n, part], view[n, part] = ncc.amax(1).max(1)
        if progress:
            progress(0.5 * min(1.0, (first + rows) / len(scans)))
    return best, view


def _windows(images: Tensor, shift: int) -> Tensor:
    """Return the windows of images (m, H, W) that are `shift` smaller at each end, of unit length
    (m, lags, W).
    """
    for axis in (1, 2):
        images = images.unfold(axis, images.shape[axis] - 2 * shift, 1)
    return _unit(images.flatten(3).flatten(1, 2))


def _grid(turn: float, zoom: float) -> list[View]:
    """Return angles in degrees, and logarithms of zooms, up to both in STEPS steps."""
    return list(
        itertools.product(np.linspace(-turn, turn, STEPS), np.linspace(-zoom, zoom, STEPS))
    )


def _warped(image: Tensor, views: Sequence[View]) -> Tensor:
    """Return an image (1, H, W) as seen with each angle and zoom (V, H, W), about its middle."""
    height, width = image.shape[1:]
    matrices = torch.zeros(len(views), 2, 3)
    for number, (angle, zoom) in enumerate(views):
        c, s = (f(math.radians(angle)) / math.exp(zoom) for f in (math.cos, math.sin))
        matrices[number, 0, 0], matrices[number, 0, 1] = c, -s * height / width
        matrices[number, 1, 0], matrices[number, 1, 1] = s * width / height, c
    place = functional.affine_grid(matrices, [len(views), 1, height, width], align_corners=False)
    many = image[None].expand(len(views), -1, -1, -1)
    return functional.grid_sample(many, place, align_corners=False)[:, 0]


def _pooled(images: Tensor, by: int) -> Tensor:
    return functional.avg_pool2d(images[:, None], by, ceil_mode=True)[:, 0]


def _shift(shape: tuple[int, ...] | torch.Size, by: int) -> int:
    """Return the shift for images of a resolution that is lower `by` times; small ones allow
    less.
    """
    return max(1, min(math.ceil(FAR / by), min(shape) // 8))


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors (..., W) without their mean, of unit length; 0 without contrast."""
    vectors = vectors - vectors.mean(-1, keepdim=True)
    size = vectors.norm(dim=-1, keepdim=True)
    return vectors / size.where(size > 1e-6, math.inf)
