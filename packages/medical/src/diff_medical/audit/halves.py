"""Splices: a half of a sample that is half of a scan.

Both halves are cut before anything is blurred, so what lies beyond the seam plays no part. Halves
of every axis are compared, each with both halves of a scan, mirrored or not, moved by up to
`SHIFT` pixels. A half that holds little of a body is not compared: the tip of one head is like
that of any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diff_medical.audit.match import BODY, detail
from diff_medical.audit.screen import likeness, nearest

__all__ = ["halves"]

Array = NDArray[np.float32]

LEAST = 32  # pixels of an axis that has halves
FILLED = 0.08  # share of a half that is body


def halves(
    one: Array, others: Array, *, progress: Callable[[float], None] | None = None
) -> tuple[Array, NDArray[np.int64]]:
    """Return for each sample the scan that has its most alike half.

    one, others: tones of samples (N, *S) and scans (M, *S), not their details

    Returns ncc (N,), 0 for a sample without a half that has a body and contrast, and the scan's
    index (N,).
    """
    axes = [axis for axis in range(1, one.ndim) if one.shape[axis] >= LEAST]
    best = np.zeros(len(one), np.float32)
    index = np.zeros(len(one), np.int64)
    pairs = list(itertools.product(axes, (0, 1), (0, 1)))
    for number, (axis, first, second) in enumerate(pairs):
        mine, theirs = _half(one, axis, first), _half(others, axis, second)
        rows, columns = (np.flatnonzero(_is_filled(values)) for values in (mine, theirs))
        if len(rows) and len(columns):
            mine, theirs = detail(mine[rows]), detail(theirs[columns])
            ncc, scan = nearest(mine, theirs, likeness(mine, theirs))
            better = ncc > best[rows]
            best[rows[better]], index[rows[better]] = ncc[better], columns[scan[better]]
        if progress:
            progress((number + 1) / len(pairs))
    return best, index


def _half(values: Array, axis: int, side: int) -> Array:
    middle = values.shape[axis] // 2
    part = slice(0, middle) if side == 0 else slice(values.shape[axis] - middle, None)
    return values[(slice(None),) * axis + (part,)]


def _is_filled(values: Array) -> NDArray[np.bool_]:
    """Return (N,) whether enough of each half is body."""
    return (values > BODY).reshape(len(values), -1).mean(1) >= FILLED
