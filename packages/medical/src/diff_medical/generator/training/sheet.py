"""Contact sheets of samples while a network trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing
from diff_medical.marks.png import write
from diff_medical.marks.stamp import PIXELS, stamp

__all__ = ["GAP", "padded", "write_sheet"]

GAP = 2
"""Black pixels between two pictures of a sheet."""

HEIGHT = 640  # of a sheet at least half of which is filled

Picture = NDArray[np.float32]


def padded(picture: Picture, height: int, width: int) -> Picture:
    """Return a picture (H, W, 3) with black below it and at its right, (height, width, 3)."""
    more = (height - picture.shape[0], width - picture.shape[1])
    return np.pad(picture, ((0, more[0]), (0, more[1]), (0, 0)))


def write_sheet(rows: Sequence[Sequence[Picture]], path: Path) -> NDArray[np.uint8]:
    """Write rows of pictures to a PNG with the mark of synthetic pictures, and return its pixels.

    rows: pictures (H, W, 3), levels 0 to 255; those of a row have one height. They are enlarged
          to be seen

    Raises OSError, and leaves no half of a file.
    """
    each = [np.concatenate([padded(p, p.shape[0] + GAP, p.shape[1]) for p in r], 1) for r in rows]
    wide = max(row.shape[1] for row in each)
    whole = np.concatenate([padded(row, row.shape[0], wide) for row in each])
    zoom = max(1, HEIGHT // whole.shape[0])
    pixels = np.kron(whole.clip(0, 255), np.ones((zoom, zoom, 1))).astype(np.uint8)
    height, width = (max(n, m) for n, m in zip(pixels.shape, PIXELS.shape, strict=False))
    marked = padded(pixels.astype(np.float32), height, width).astype(np.uint8)
    stamp(marked)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write(partial, marked, None)
    return marked
