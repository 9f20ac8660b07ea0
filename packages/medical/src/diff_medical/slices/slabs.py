"""Cutting a stack of slices into overlapping slabs for a network that sees a few at once."""

from __future__ import annotations

from dataclasses import dataclass

from diff_medical.scan.spacing import THICK, Spacing

__all__ = ["Slab", "slab_axes", "slabs", "thin_slab"]


@dataclass(frozen=True)
class Slab:
    """One window over a stack: which slices go in, and which of its results are kept.

    slices: indices into the stack, one per input slice of the network; an index that repeats (a
            stack thinner than the window) stands for one and the same noisy slice
    kept:   positions in the window whose results count; the others lack context on one side
    """

    slices: tuple[int, ...]
    kept: tuple[int, ...]


def slabs(depth: int, slices: int, *, stride: int) -> list[Slab]:
    """Windows of `slices` slices that keep every one of the `depth` slices at least once.

    Windows lie inside the stack, so nothing is made up at its ends: the first and the last window
    keep their outermost results too, the others only those with a neighbour on both sides. With
    stride == slices - 2 every result but a few at the end is computed once; a smaller stride
    computes each several times, to be averaged.

    Raises ValueError for a stride outside 1 to slices - 2 or an empty stack.
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}; expected at least 1 slice")
    if not 1 <= stride <= slices - 2:
        raise ValueError(f"stride is {stride}; expected 1 to {slices - 2} for {slices} slices")
    if depth <= slices:
        window = thin_slab(depth, slices)
        first = {index: position for position, index in reversed(list(enumerate(window)))}
        return [Slab(window, tuple(sorted(first.values())))]
    starts = list(range(0, depth - slices + 1, stride))
    if starts[-1] != depth - slices:
        starts.append(depth - slices)
    made: list[Slab] = []
    for start in starts:
        first = 0 if start == 0 else 1
        last = slices if start == depth - slices else slices - 1
        made.append(Slab(tuple(range(start, start + slices)), tuple(range(first, last))))
    return made


def thin_slab(depth: int, slices: int) -> tuple[int, ...]:
    """Indices that fill a window of `slices` from at most as many: centred, ends repeated."""
    before = (slices - depth) // 2
    return tuple(min(max(position - before, 0), depth - 1) for position in range(slices))


def slab_axes(spacing: Spacing) -> tuple[int, ...]:
    """The axes along which slabs are stacked: all of near-isotropic voxels, else the thick one.

    spacing in mm, of a volume (X, Y, Z). Near-isotropic is a ratio of at most 2.
    """
    largest = max(spacing)
    if largest <= THICK * min(spacing):
        return (0, 1, 2)
    return (max(range(3), key=lambda axis: spacing[axis]),)
