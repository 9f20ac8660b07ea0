"""A long recording in pieces: each piece is read with context on both sides, and the context of
the result is thrown away.

If the process looks no further than the context, the pieces put together equal the result for the
whole: there is no seam to hide, so nothing is cross-faded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from diff_audio.sound.wave import Array

__all__ = ["Window", "cut", "windows"]


@dataclass(frozen=True)
class Window:
    """A piece, in samples: result wanted for [start, stop), input seen over [low, high)."""

    start: int
    stop: int
    low: int
    high: int

    @property
    def kept(self) -> slice:
        """Return the place of [start, stop) within [low, high)."""
        return slice(self.start - self.low, self.stop - self.low)


def windows(length: int, size: int, context: int, cell: int = 1) -> Iterator[Window]:
    """Cut [0, length) into pieces of `size` samples seen with `context` more on each side.

    Both are rounded up to multiples of `cell`, so that every `start` and `low` is one.
    """
    if length < 0 or size < 1 or context < 0 or cell < 1:
        raise ValueError(
            "length and context must be >= 0, size and cell >= 1, "
            f"got length {length}, size {size}, context {context}, cell {cell}"
        )
    size, context = -(-size // cell) * cell, -(-context // cell) * cell
    for start in range(0, length, size):
        stop = min(start + size, length)
        yield Window(start, stop, max(0, start - context), min(length, stop + context))


def cut(blocks: Iterable[Array], pieces: Iterable[Window]) -> Iterator[tuple[Window, Array]]:
    """The samples (C, high - low) of each of `pieces`, from consecutive `blocks` (C, any) read
    once and in order.

    Holds no more than one piece and one block. Raises ValueError if the blocks end too early.
    """
    source = iter(blocks)
    held: list[Array] = []
    first = last = 0  # `held` is samples [first, last)
    for piece in pieces:
        while last < piece.high:
            block = next(source, None)
            if block is None:
                raise ValueError(
                    f"the blocks end at sample {last}, expected at least {piece.high}"
                )
            held.append(block)
            last += block.shape[1]
        while held and first + held[0].shape[1] <= piece.low:
            first += held.pop(0).shape[1]
        joined = np.concatenate(held, axis=1) if held else np.zeros((0, 0))
        yield piece, joined[:, piece.low - first : piece.high - first]
