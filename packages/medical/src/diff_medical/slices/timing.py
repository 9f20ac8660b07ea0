"""The time that the network needs for a volume, predicted from a small one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from diff_core.denoiser import Denoiser
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes

__all__ = ["predicted_seconds"]

PROBE = (2, 128)  # slabs and edge of the planes on which the network is timed


@torch.no_grad()
def predicted_seconds(denoiser: Denoiser, passes: Passes, shape: Sequence[int]) -> float:
    """Return about how many seconds the network needs for a volume of `shape`, by timing it on a
    small one.
    """
    network = network_of(denoiser)
    count, edge = PROBE
    weight = next(network.parameters())
    slab = weight.new_zeros(count, network.slices, edge, edge)
    t = torch.tensor(0.5, device=weight.device)
    denoiser(slab, t)  # the first call makes ready what later ones use
    begun = time.perf_counter()
    denoiser(slab, t).cpu()
    pixels = passes.pixels(shape)
    return (time.perf_counter() - begun) * pixels / (count * edge * edge)
