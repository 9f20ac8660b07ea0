"""The steps on volumes too large for memory: read a few planes at a time, estimates on the disk.

What a voxel needs of its neighbours is read with it: 16 planes for the bound on broad changes and
for the smoothing of the uncertainty, one for constant regions. The network sees planes of all
three directions, so for it the volume and its estimate lie on the disk
(`diff_medical.scan.scratch`): 8 bytes a voxel together, 4 more with a map of levels, 12 more for
the uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.denoiser import Denoiser
from diff_core.progress import Progress
from diff_core.progress import passes as parts
from diff_medical.enhancer.bounds import (
    BROAD_REACH,
    bound_broad,
    bound_residual,
    constant_regions,
    outside_tissue,
)
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.task import Denoised, Task, prepare
from diff_medical.enhancer.uncertainty import (
    PROBES,
    of_full_dose,
    pushed,
    signs_of,
    slope,
    spread_of,
)
from diff_medical.noise.model import Noise
from diff_medical.scan import scratch
from diff_medical.scan.intensity import CT_AIR, Modality, Scale, step_of
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import in_full, network_of
from diff_medical.slices.uneven import at_least, check_levels, levels, share_of_level

__all__ = ["Bounded", "Estimate", "Plan", "Read", "Seen", "Work"]

Array = NDArray[np.float32]
Read = Callable[[slice], Array]


@dataclass(frozen=True)
class Seen:
    """What a pass over a volume has found.

    low, high: its least and greatest value
    below:     how many voxels are below the air of CT
    sample:    every so many-th voxel in C order, from which the scale of intensities is taken
    levels:    of a map of noise levels the same voxels, None without one
    """

    low: float
    high: float
    below: int
    sample: Array
    levels: Array | None


@dataclass(frozen=True)
class Work:
    """A volume (X, Y, Z) of which some planes are in memory at a time.

    read:      planes of it along Z, a new array each time
    thickness: how many are worked on at once
    """

    denoiser: Denoiser
    shape: tuple[int, int, int]
    read: Read
    spacing: Spacing
    thickness: int

    def steps(self) -> Iterator[slice]:
        """The planes, a part at a time."""
        depth = self.shape[2]
        for first in range(0, depth, self.thickness):
            yield slice(first, min(first + self.thickness, depth))

    def survey(self, mask: Read | None, sigma_map: Read | None) -> Seen:
        """One pass over the volume; ValueError for a mask or a map that is 0 everywhere."""
        size = int(np.prod(self.shape, dtype=np.int64))
        chosen = np.unravel_index(np.arange(0, size, step_of(size)), self.shape)
        sample = np.empty(len(chosen[0]), np.float32)
        told = np.empty_like(sample) if sigma_map is not None else None
        low, high, below, inside = np.inf, -np.inf, 0, mask is None
        least, most = np.inf, -np.inf
        for planes in self.steps():
            values = self.read(planes)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            below += int(np.count_nonzero(values < CT_AIR))
            here = (chosen[2] >= planes.start) & (chosen[2] < planes.stop)
            place = chosen[0][here], chosen[1][here], chosen[2][here] - planes.start
            sample[here] = values[place]
            inside = inside or bool(mask and mask(planes).any())
            if told is not None and sigma_map is not None:
                levels_here = sigma_map(planes)
                told[here] = levels_here[place]
                # NaN stays: min and max of Python would lose it
                least = float(np.minimum(least, levels_here.min()))
                most = float(np.maximum(most, levels_here.max()))
        if not inside:
            raise ValueError("mask has no voxels other than 0; expected at least one")
        if told is not None:
            check_levels(least, most)
        return Seen(low, high, below, sample, told)


class Estimate(NamedTuple):
    """On the scale of the network, on the disk: the volume as it is given it, the posterior mean,
    and the sum of the slopes that tell the uncertainty, if it was asked for.
    """

    noisy: Array
    mean: Array
    slopes: Array | None


class Bounded(NamedTuple):
    """Some planes: as read, as the network was given them, their estimate, which voxels stay."""

    volume: Array
    task: Task
    found: Denoised
    kept: NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """How the volume is denoised.

    to:      its intensity scale, None for the sample that it is taken from
    uneven:  planes of a map of levels, None for one level
    """

    work: Work
    noise: Noise
    modality: Modality
    settings: Settings
    to: Scale | None = None
    uneven: Read | None = None

    def level(self, planes: slice) -> float | Array:
        """The noise level of some planes, in the units of the scan."""
        if self.uneven is None:
            return self.noise.sigma
        return at_least(self.uneven(planes), self.noise)

    def sigma(self, planes: slice, to: Scale) -> Tensor:
        """The same on the scale of the network, as for volumes in memory."""
        return torch.as_tensor(self.level(planes), dtype=torch.float32) / to.scale

    def task(self, values: Array, level: float | Array) -> Task:
        """A part of the volume as the network is given it."""
        return prepare(
            values, self.work.spacing, self.noise, level, self.modality,
            shape=self.work.shape, to=self.to, quality=self.settings.quality,
            slices=network_of(self.work.denoiser).slices,
        )  # fmt: skip

    def read(self, planes: slice) -> Task:
        """Some planes as the network is given them."""
        return self.task(self.work.read(planes), self.level(planes))

    def estimate(self, progress: Progress) -> Estimate:
        """The whole volume through the network."""
        noisy, mean = (scratch.empty(self.work.shape, np.float32) for _ in range(2))
        low, high = np.inf, 0.0
        task = self.read(slice(0, 1))
        for planes in self.work.steps():
            noisy[:, :, planes] = task.scale.normalise(self.read(planes).values)
            sigma = self.sigma(planes, task.scale)
            low, high = min(low, float(sigma.min())), max(high, float(sigma.max()))
        scratch.release(noisy)
        nodes = levels(low, high)
        doubts = PROBES * self.settings.uncertainty
        report = parts(lambda done: progress(0.95 * done), len(nodes) * (1 + doubts))

        def run(source: Array, result: Array) -> None:
            self._mean(source, result, nodes, task, report)

        run(noisy, mean)
        if not self.settings.uncertainty:
            return Estimate(noisy, mean, None)
        slopes, probe, moved = (scratch.empty(self.work.shape, np.float32) for _ in range(3))
        for number in range(PROBES):
            for planes in self.work.steps():
                sigma, signs = self.sigma(planes, task.scale), self._signs(planes, number)
                probe[:, :, planes] = pushed(_part(noisy, planes), sigma, signs).numpy()
            run(probe, moved)
            for planes in self.work.steps():
                sigma, signs = self.sigma(planes, task.scale), self._signs(planes, number)
                there, still = (_part(values, planes) for values in (moved, mean))
                slopes[:, :, planes] += slope(there, still, sigma, signs).numpy()
                scratch.release(slopes, probe, moved, mean, noisy)
        return Estimate(noisy, mean, slopes)

    def bound(self, planes: slice, made: Estimate) -> Bounded:
        """Some planes of the result, on the scale of their task."""
        depth = self.work.shape[2]
        wide = slice(max(0, planes.start - BROAD_REACH), min(depth, planes.stop + BROAD_REACH))
        inner = slice(planes.start - wide.start, planes.stop - wide.start)
        within = (slice(None), slice(None), inner)
        around = self.work.read(wide)
        kept = constant_regions(around)[within]
        volume = around[within]
        if self.modality == "ct":
            kept |= outside_tissue(volume)
        if self.uneven is not None:
            kept |= self.uneven(planes) == 0
        task = self.task(volume, self.level(planes))
        sigma = self.sigma(wide, task.scale)
        level = sigma.numpy() if sigma.ndim else float(sigma)
        start, mean = (np.array(values[:, :, wide]) for values in (made.noisy, made.mean))
        result, broad = bound_broad(
            start, mean, level, task.fine, shape=self.work.shape, inner=within
        )
        limit = level[within] if isinstance(level, np.ndarray) else level
        result, bounded = bound_residual(start[within], result, limit)
        spread = None
        if made.slopes is not None:
            sd = spread_of(_part(made.slopes, wide), sigma, task.fine)
            if self.settings.dose is not None:
                sd = of_full_dose(sd, sigma, self.settings.dose)
            spread = sd.numpy()[within] * np.float32(task.scale.scale)
        found = Denoised(task.scale.restore(result), spread, bounded, broad)
        return Bounded(volume, task, found, kept)

    def _mean(
        self, source: Array, result: Array, nodes: tuple[float, ...], task: Task, report: Progress
    ) -> None:
        """E[x_0 | source] into `result`."""

        def at(node: float, out: Array) -> None:
            def share(done: float) -> None:
                scratch.release(source, out, result)
                report(done)

            network = self.work.denoiser.network
            with in_full(network) if self.settings.uncertainty else nullcontext():
                posterior_mean(
                    self.work.denoiser, torch.from_numpy(source), node, axes=task.passes.axes,
                    stride=task.passes.stride, turns=task.passes.turns,
                    out=torch.from_numpy(out), progress=share,
                )  # fmt: skip

        if len(nodes) == 1:
            at(nodes[0], result)
            return
        one = scratch.empty(self.work.shape, np.float32)
        result[...] = 0
        for number, node in enumerate(nodes):
            at(node, one)
            for planes in self.work.steps():
                share = share_of_level(self.sigma(planes, task.scale), nodes, number)
                result[:, :, planes] += (share * _part(one, planes)).numpy()
                scratch.release(one, result)

    def _signs(self, planes: slice, number: int) -> Tensor:
        """Of some planes of a probe."""
        shape = (*self.work.shape[:2], planes.stop - planes.start)
        return signs_of(shape, self.settings.seed, number, first=planes.start)


def _part(values: Array, planes: slice) -> Tensor:
    """A copy of some planes."""
    return torch.from_numpy(np.array(values[:, :, planes]))
