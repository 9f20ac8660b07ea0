"""The way out where memory runs out: the same again in smaller tiles."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diff_medical.slices.network import SlabNetwork

__all__ = ["is_out_of_memory", "remark", "within_memory"]

WORDS = ("out of memory", "not enough memory", "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for an error of torch or of Python by which memory, of any device, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in WORDS)


def within_memory(
    attempt: Callable[[int], Tensor], network: SlabNetwork, tile: int, length: int
) -> Tensor:
    """Return `attempt` of the longest edge of a tile; halved, and tried again, as long as memory
    runs out.

    tile:   the edge to begin with; if memory ran out before, the one that fitted then
    length: the longest edge of what is cut into tiles

    The edge that fitted is left in `network.tile`, so that what comes next begins with it. Raises
    the error itself where not even a tile of the network's coarsest grid fits.
    """
    edge = min(tile, network.tile or tile)
    while True:
        try:
            return attempt(edge)
        except (MemoryError, RuntimeError) as error:
            smaller = min(edge, length) // 2
            if not is_out_of_memory(error) or smaller < network.multiple:
                raise
        edge = network.tile = smaller
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def remark(network: object) -> tuple[str, ...]:
    """Return what a user should know of the memory that a network had."""
    edge = getattr(network, "tile", None)
    if edge is None:
        return ()
    return (
        f"memory ran out, so planes were cut into tiles of {edge} voxels, which takes longer; "
        "--quality draft and --threads 1 need less",
    )
