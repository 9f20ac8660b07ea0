"""From slabs to volumes: the posterior mean of a whole scan by a slice network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.denoiser import Denoiser
from diff_core.progress import Progress, parts
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.memory import within_memory
from diff_medical.slices.network import SlabNetwork, network_of, sigma_max_of
from diff_medical.slices.passes import Passes
from diff_medical.slices.slabs import Slab, slab_axes, slabs

__all__ = ["mean_over", "posterior_mean"]

BATCH_PIXELS = 1 << 16  # pixels per network call: more do not fit the cache of a CPU
GPU_PIXELS = 1 << 17  # the same where there is no such cache
BLOCK_VOXELS = 1 << 24  # of a stack that are copied at once: what is copied may lie on a disk
TILE = 768  # a plane larger than this along an axis is processed in tiles


@torch.no_grad()
def posterior_mean(
    denoiser: Denoiser,
    volume: Tensor,
    sigma: float,
    spacing: Spacing = (1.0, 1.0, 1.0),
    *,
    axes: Sequence[int] | None = None,
    stride: int | None = None,
    turns: int = 1,
    tile: int = TILE,
    out: Tensor | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Return E[x_0 | volume = x_0 + sigma z] of (X, Y, Z).

    The scale is that of `diff_medical.scan.intensity`.

    sigma:    standard deviation of the noise on the same scale, >= 0; 0 returns the volume. Above
              the level where the network ends, volume and sigma are scaled down together.
    spacing:  mm; decides the stacking directions unless `axes` gives them: all three for
              near-isotropic voxels, whose estimates are averaged, else the thick one alone
    stride:   slices between windows, see `diff_medical.slices.slabs`; by default as many as a
              window keeps (its slices less 2) where several directions are averaged, and 1 where
              there is only one: with 5 slices every voxel is estimated three times
    turns:    1 to 4: the network sees every slab turned by so many quarters of a circle, of which
              it knows nothing, and the estimates are averaged
    tile:     planes longer than this are cut into overlapping tiles; the overlap is the receptive
              field, so the result does not depend on it. Where memory runs out, tiles are halved
              (`diff_medical.slices.memory`).
    out:      float32 (X, Y, Z) on the CPU, where the result goes; it may be a file's memory map
    progress: called with the finished share, 0 to 1

    The result is float32 on the CPU; the network runs wherever its weights are. Memory beside the
    volume and the result: two blocks of BLOCK_VOXELS and one batch.

    Raises ValueError for a volume that is not 3-D, axes outside 0 to 2 or a negative sigma.
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma is {sigma}; expected a number >= 0")
    axes = tuple(slab_axes(spacing) if axes is None else axes)
    slices = network_of(denoiser).slices
    stride = stride or (1 if len(axes) == 1 else slices - 2)
    passes = Passes(axes, stride, turns, slices)
    return mean_over(denoiser, volume, sigma, passes, tile=tile, out=out, progress=progress)


@torch.no_grad()
def mean_over(
    denoiser: Denoiser,
    volume: Tensor,
    sigma: float,
    passes: Passes,
    *,
    tile: int = TILE,
    out: Tensor | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Return `posterior_mean` by the given passes; sigma is finite and not negative.

    Raises ValueError for a volume that is not 3-D, axes outside 0 to 2, or turns outside 1 to 4.
    """
    if volume.ndim != 3 or volume.numel() == 0:
        raise ValueError(f"volume is {tuple(volume.shape)}; expected (X, Y, Z), not empty")
    axes = passes.axes
    if not axes or any(axis not in (0, 1, 2) for axis in axes):
        raise ValueError(f"axes is {axes}; expected one or more of 0, 1, 2")
    if passes.turns not in (1, 2, 3, 4):
        raise ValueError(f"turns is {passes.turns}; expected 1 to 4")
    volume = volume.detach().to("cpu", torch.float32)
    mean = torch.zeros_like(volume) if out is None else out.zero_()
    if sigma == 0:
        return mean.copy_(volume)
    shrink = max(1.0, sigma / sigma_max_of(denoiser))
    network = network_of(denoiser)
    device = next(network.parameters()).device
    t = denoiser.schedule.time(torch.tensor(-math.log(sigma / shrink), device=device))
    planes = _Planes(denoiser, network, t, passes, tile)
    for axis, report in zip(axes, parts(progress, len(axes)), strict=True):
        _add_stack(planes, volume.movedim(axis, 0), shrink, mean.movedim(axis, 0), report)
    return mean.mul_(shrink) if shrink > 1 else mean


def _add_stack(
    planes: _Planes, stack: Tensor, shrink: float, result: Tensor, progress: Progress
) -> None:
    """Add its share of the estimate of a stack (D, H, W), scaled down by `shrink`, to `result`, in
    place.
    """
    passes = planes.passes
    made = slabs(stack.shape[0], passes.slices, stride=passes.stride)
    times = [0] * stack.shape[0]
    for slab in made:
        for position in slab.kept:
            times[slab.slices[position]] += 1
    pixels = stack.shape[1] * stack.shape[2]
    per_call = max(1, (BATCH_PIXELS if planes.t.device.type == "cpu" else GPU_PIXELS) // pixels)
    per_block = max(1, BLOCK_VOXELS // (pixels * passes.stride * per_call)) * per_call
    for first in range(0, len(made), per_block):
        block = made[first : first + per_block]
        # windows go up the stack, and so do the slices of each
        low, high = block[0].slices[0], block[-1].slices[-1] + 1
        part = stack[low:high].contiguous() if shrink == 1 else stack[low:high] / shrink
        into = result[low:high].contiguous()
        for start in range(0, len(block), per_call):
            group = block[start : start + per_call]
            batch = torch.stack([part[[i - low for i in slab.slices]] for slab in group])
            _scatter(group, planes.turned(batch), times, len(passes.axes), into, low)
            progress(min(1.0, (first + start + per_call) / len(made)))
        result[low:high] = into


def _scatter(
    group: list[Slab], estimate: Tensor, times: list[int], parts: int, result: Tensor, low: int
) -> None:
    for slab, planes in zip(group, estimate, strict=True):
        for position in slab.kept:
            index = slab.slices[position]
            result[index - low].add_(planes[position], alpha=1 / (parts * times[index]))


@dataclass(frozen=True, eq=False)
class _Planes:
    """The denoiser at one time t, on slabs (B, S, H, W)."""

    denoiser: Denoiser
    network: SlabNetwork
    t: Tensor
    passes: Passes
    tile: int

    def turned(self, batch: Tensor) -> Tensor:
        """Return the mean estimate over the turns of the slabs."""
        estimate = torch.zeros_like(batch)
        for quarters in range(self.passes.turns):
            found = self(batch.rot90(quarters, (-2, -1)))
            estimate += found.rot90(-quarters, (-2, -1)) / self.passes.turns
        return estimate

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the estimate, in tiles where the planes are large."""
        device = self.t.device

        def attempt(limit: int) -> Tensor:
            height, width = batch.shape[-2:]
            if max(height, width) <= limit:
                return self.denoiser(batch.to(device), self.t).cpu()
            result = torch.empty_like(batch)
            for outer_y, inner_y, crop_y in _tiles(height, limit, self.network):
                for outer_x, inner_x, crop_x in _tiles(width, limit, self.network):
                    tile = batch[..., outer_y, outer_x].to(device)
                    estimate = self.denoiser(tile, self.t).cpu()
                    result[..., inner_y, inner_x] = estimate[..., crop_y, crop_x]
            return result

        return within_memory(attempt, self.network, self.tile, max(batch.shape[-2:]))


def _tiles(length: int, tile: int, network: SlabNetwork) -> Iterator[tuple[slice, slice, slice]]:
    """Yield what to read, what to write, and where in what was read that lies: along one axis.

    Tiles start on the network's coarsest grid and read its reach beyond what they write.
    """
    grid = network.multiple
    step = max(grid, tile // grid * grid)
    halo = -(-network.reach // grid) * grid
    for start in range(0, length, step):
        stop = min(start + step, length)
        low, high = max(0, start - halo), min(length, stop + halo)
        yield slice(low, high), slice(start, stop), slice(start - low, stop - low)
