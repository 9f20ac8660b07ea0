"""The samples of a file that has to be free of NaN and Inf."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diff_audio.sound.read import BadFile, Recording, read_blocks
from diff_audio.sound.wave import Array

__all__ = ["finite_blocks"]


def finite_blocks(found: Recording) -> Iterator[Array]:
    """Yield the blocks (C, n) of a file. Raises BadFile at the first sample that is NaN or Inf."""
    done = 0
    for block in read_blocks(found.path):
        if not np.isfinite(block).all():
            position = done + int(np.flatnonzero(~np.isfinite(block).all(axis=0))[0])
            raise BadFile(f"sample {position} is NaN or Inf, at {position / found.rate:.3f} s")
        done += block.shape[1]
        yield block
