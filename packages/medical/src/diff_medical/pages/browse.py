"""Whole volumes inside a page, small enough to be scrolled through in a browser."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.sections import upright
from diff_medical.scan.spacing import Spacing

__all__ = ["MOST", "PRESETS", "browse", "thinning"]

Array = NDArray[np.float32]
MOST = 2_500_000
"""Voxels of each volume in a page, at most: three of noise are about 15 MB of text."""

FINENESS = 16
"""Steps of the grey values in one noise level."""

TOP = 32_000
PRESETS = {
    "Soft tissue": (40, 400),
    "Brain": (40, 80),
    "Lung": (-600, 1500),
    "Bone": (400, 1800),
}
"""Level and width of the usual windows of CT, HU."""


def thinning(shape: tuple[int, ...], spacing: Spacing, most: int = MOST) -> tuple[int, int, int]:
    """Return along each axis which voxels are shown: every one, every second and so on.

    The axes with the finest voxels are thinned first, until at most `most` voxels are left.
    """
    every = [1, 1, 1]
    while np.prod([-(-n // e) for n, e in zip(shape, every, strict=True)]) > most:
        left = [axis for axis in range(3) if every[axis] < shape[axis]]
        every[min(left, key=lambda axis: every[axis] * spacing[axis])] += 1
    return every[0], every[1], every[2]


def browse(
    volumes: Mapping[str, Array],
    spacing: Spacing,
    affine: NDArray[np.floating],
    levels: tuple[float, float],
    modality: str,
    sigma: float,
    *,
    removed: float = 0.0,
    doubt: tuple[Array, float] | None = None,
) -> dict[str, Any]:
    """Return what the script `browse.js` needs to show volumes (X, Y, Z) on one grid.

    volumes: by their titles, in units of the scan; NaN becomes the darkest level
    levels:  the values of black and white at first
    sigma:   of the noise; values are kept to a sixteenth of it, or to a 32000th of their range
    removed: the value at the ends of the colours of the first volume minus the second; 0 for none
    doubt:   the uncertainty, and its value at the end of the colours
    """
    given = [*volumes.items(), *([("Uncertainty", doubt[0])] if doubt else [])]
    turned = [upright(volume, spacing, affine) for _, volume in given]
    sizes, shape = turned[0][1], turned[0][0].shape
    every = thinning(shape, sizes)
    cut = tuple(slice(None, None, step) for step in every)
    packed: list[dict[str, Any]] = []
    for (name, _), (volume, _) in zip(given, turned, strict=True):
        values = np.nan_to_num(volume[cut].astype(np.float32), nan=levels[0])
        shade = "doubt" if name == "Uncertainty" and doubt else "grey"
        step = sigma / FINENESS if shade == "grey" or doubt is None else doubt[1] / 256
        packed.append({"name": name, "shade": shade, **_pack(values, step)})
    return {
        "shape": [-(-n // step) for n, step in zip(shape, every, strict=True)],
        "size": [size * step for size, step in zip(sizes, every, strict=True)],
        "every": list(every),
        "volumes": packed,
        "removed": removed,
        "doubt": doubt[1] if doubt else 0.0,
        "levels": list(levels),
        "presets": PRESETS if modality == "ct" else {},
        "unit": "HU" if modality == "ct" else "",
        "colours": {"removed": _colours("RdBu_r"), "doubt": _colours("inferno")},
    }


def _pack(values: Array, step: float) -> dict[str, Any]:
    """Return values (X, Y, Z) as text: whole steps above the lowest, 16 bits, x fastest, as
    differences along x, all low bytes before all high bytes, in gzip and base 64.
    """
    low, high = float(values.min()), float(values.max())
    step = max(step, (high - low) / TOP, float(np.finfo(np.float32).tiny))
    whole = np.rint((values - low) / step).astype("<u2").transpose(2, 1, 0)
    whole[..., 1:] -= whole[..., :-1].copy()
    halves = np.ascontiguousarray(whole).view(np.uint8).reshape(-1, 2).T
    text = base64.b64encode(gzip.compress(np.ascontiguousarray(halves).tobytes(), 6, mtime=0))
    return {"low": low, "step": step, "data": text.decode()}


def _colours(name: str) -> str:
    """Return 256 colours, RGB, in base 64."""
    from matplotlib import colormaps

    table = colormaps[name](np.arange(256), bytes=True)[:, :3]
    return base64.b64encode(np.ascontiguousarray(table).tobytes()).decode()
