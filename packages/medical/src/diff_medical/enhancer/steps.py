"""The steps of an enhancement: a volume is read a few planes at a time, and its estimates lie in
memory or, where they are large, on the disk.

What a voxel needs of its neighbours is read with it: 16 planes for the bound on broad changes and
for the smoothing of the uncertainty, one for constant regions. The network sees planes of all
three directions, so for it the volume and its estimate are kept (`diff_medical.scan.scratch`): 8
bytes a voxel together, 4 more with a map of levels, 12 more for the uncertainty.
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
from diff_core.progress import Progress, passes
from diff_medical.enhancer.background import Background
from diff_medical.enhancer.bounds import (
    BROAD_REACH,
    bound_broad,
    bound_residual,
    constant_regions,
    outside_tissue,
)
from diff_medical.enhancer.joint import Joint
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.task import Array, Denoised, Task, prepare
from diff_medical.enhancer.uncertainty import (
    BIAS_REACH,
    PROBES,
    beside_bias,
    of_full_dose,
    pushed,
    signs_of,
    slope,
    spread_of,
)
from diff_medical.noise.model import Noise
from diff_medical.scan import scratch
from diff_medical.scan.intensity import Modality, Scale, step_of
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.mean import mean_over
from diff_medical.slices.network import in_full
from diff_medical.slices.samples import sample_mean
from diff_medical.slices.uneven import at_least, check_levels, levels, share_of_level

__all__ = ["Bounded", "Estimate", "Plan", "Read", "Source", "Survey"]

Read = Callable[[slice], Array]
"""A function from a range of slices to their voxels."""
PLANES = 1 << 23  # voxels of the planes that are worked on at once


@dataclass(frozen=True)
class Survey:
    """The findings of one pass over a volume.

    low, high: its least and greatest value
    sample:    every n-th voxel in C order, from which the scale of intensities is taken
    levels:    the same voxels of the map of noise levels, None without one
    """

    low: float
    high: float
    sample: Array
    levels: Array | None


@dataclass(frozen=True)
class Source:
    """A volume (X, Y, Z) that is read a few planes at a time.

    read:      returns planes of it along Z, float32 (X, Y, n), a new array each time
    sigma_map: the same of a map of the noise level
    mask:      the same of a mask: voxels where it is 0 stay as they are
    missing:   the same of a mask of voxels that were not measured, which `read` gives as 0: they
               stay as they are, and no other voxel's estimate depends on them
    modality:  what the file says that the volume is, None if it does not
    thickness: planes that are worked on at once; None takes what makes 8 million voxels
    joint:     the estimate from all volumes of a series, if there is one
    """

    shape: tuple[int, int, int]
    read: Read
    spacing: Spacing
    sigma_map: Read | None = None
    mask: Read | None = None
    missing: Callable[[slice], NDArray[np.bool_]] | None = None
    modality: Modality | None = None
    thickness: int | None = None
    joint: Joint | None = None

    @property
    def size(self) -> int:
        """The number of voxels."""
        return int(np.prod(self.shape, dtype=np.int64))

    def steps(self) -> Iterator[slice]:
        """Yield the planes along Z, one part after the other."""
        depth = self.shape[2]
        thickness = self.thickness or max(1, PLANES // (self.shape[0] * self.shape[1]))
        for first in range(0, depth, thickness):
            yield slice(first, min(first + thickness, depth))

    def array(self) -> Array:
        """Return an array of the shape of the volume, on the disk if it is large."""
        return scratch.empty(self.shape, np.float32, large=self.size > scratch.LARGE)

    def survey(self) -> Survey:
        """Read the volume once. Raises ValueError for a mask or a map that is 0 everywhere."""
        chosen = np.unravel_index(np.arange(0, self.size, step_of(self.size)), self.shape)
        sample = np.empty(len(chosen[0]), np.float32)
        levels_there = None if self.sigma_map is None else np.empty_like(sample)
        low, high, inside = np.inf, -np.inf, self.mask is None
        least, most = np.inf, -np.inf
        for planes in self.steps():
            values = self.read(planes)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            here = (chosen[2] >= planes.start) & (chosen[2] < planes.stop)
            place = chosen[0][here], chosen[1][here], chosen[2][here] - planes.start
            sample[here] = values[place]
            inside = inside or bool(self.mask and self.mask(planes).any())
            if levels_there is not None and self.sigma_map is not None:
                levels_here = self.sigma_map(planes)
                levels_there[here] = levels_here[place]
                # NaN stays: min and max of Python would lose it
                least = float(np.minimum(least, levels_here.min()))
                most = float(np.maximum(most, levels_here.max()))
        if not inside:
            raise ValueError("mask has 0 voxels other than 0; expected at least one")
        if levels_there is not None:
            check_levels(least, most)
        return Survey(low, high, sample, levels_there)


class Estimate(NamedTuple):
    """Volumes on the scale of the network: what it is given, the posterior mean (or the mean of
    samples), and the sum of the slopes that give the uncertainty, if it was asked for.
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
    """The denoising of a volume.

    background: what stays as it is and mixes into nothing
    to:     its intensity scale, None for the sample that it is taken from
    uneven: planes of a map of levels, None for one level. By a map that was estimated values are
            divided, in one pass; a map that was given may have any shape, and that of CT holds for
            units that the network knows, so there the volume is denoised at several levels
    """

    denoiser: Denoiser
    source: Source
    noise: Noise
    modality: Modality
    settings: Settings
    background: Background
    to: Scale | None = None
    uneven: Read | None = None

    def level(self, planes: slice) -> float | Array:
        """Return the noise level of some planes, in the units of the scan."""
        if self.uneven is None:
            return self.noise.sigma
        return at_least(self.uneven(planes), self.noise)

    def unit(self, level: float | Array) -> float | Array:
        """Return what values of noise of that level are divided by."""
        if self.noise.varies is None:
            return 1.0
        return np.asarray(level / np.float32(self.noise.sigma), np.float32)

    def sigma(self, planes: slice, to: Scale) -> Tensor:
        """Return the noise level of some planes on the scale of the network."""
        is_even = self.uneven is None or self.noise.varies is not None
        level = self.noise.sigma if is_even else self.level(planes)
        return torch.as_tensor(level, dtype=torch.float32) / to.scale

    def task(self, values: Array, level: float | Array) -> Task:
        """Return a part of the volume as the network is given it."""
        return prepare(
            self.denoiser, values, self.source.spacing, self.noise, level, self.modality,
            unit=self.unit(level), shape=self.source.shape, to=self.to,
            quality=self.settings.quality,
        )  # fmt: skip

    def read(self, planes: slice) -> Task:
        """Return some planes as the network is given them."""
        return self.task(self.background.continued(planes), self.level(planes))

    def estimate(self, progress: Progress) -> Estimate:
        """Return the estimate of the whole volume."""
        noisy, mean = (self.source.array() for _ in range(2))
        low, high = np.inf, 0.0
        task = self.read(slice(0, 1))
        for planes in self.source.steps():
            noisy[:, :, planes] = task.scale.normalise(self.read(planes).values)
            sigma = self.sigma(planes, task.scale)
            low, high = min(low, float(sigma.min())), max(high, float(sigma.max()))
        scratch.release(noisy)
        if (joint := self.source.joint) is not None:
            return self._of_series(joint, noisy, mean, task, progress)
        nodes = levels(low, high)
        doubts, drawing = self.settings.uncertainty, self.settings.samples * self.settings.steps
        # what is drawn is the mean of samples, what is doubted needs the posterior mean itself
        means = len(nodes) * ((doubts or not drawing) + PROBES * doubts)
        report = passes(lambda done: progress(0.95 * done), drawing + means)

        def run(source: Array, result: Array) -> None:
            self._mean(source, result, nodes, task, report)

        if doubts or not drawing:
            run(noisy, mean)
        slopes = self._slopes(noisy, mean, task.scale, run) if doubts else None
        if drawing:
            drawn = sample_mean(
                self.denoiser, torch.from_numpy(np.ascontiguousarray(noisy)), low, task.passes,
                samples=self.settings.samples, steps=self.settings.steps, seed=self.settings.seed,
                progress=report,
            )  # fmt: skip
            mean[...] = drawn.numpy()
        return Estimate(noisy, mean, slopes)

    def _of_series(
        self, joint: Joint, noisy: Array, mean: Array, task: Task, progress: Progress
    ) -> Estimate:
        """Return the estimate of a volume from its series, and of the network after it."""
        slopes = self.source.array() if self.settings.uncertainty else None
        for planes in self.source.steps():
            level = self.level(planes)
            even = np.float32(level) / np.float32(self.unit(level))
            mean[:, :, planes] = task.scale.normalise(joint.values(planes) * even)
            if slopes is not None:  # by the same formula: the slope of a projection is its share
                slopes[:, :, planes] = PROBES * joint.left(planes)
        if joint.level is not None:
            node = joint.level * float(self.noise.sigma) / task.scale.scale
            first, report = mean.copy(order="F"), passes(lambda done: progress(0.95 * done), 1)
            self._mean(first, mean, (node,), task, report)
        return Estimate(noisy, mean, slopes)

    def bound(self, planes: slice, made: Estimate) -> Bounded:
        """Return some planes of the result, on the scale of their task."""
        depth = self.source.shape[2]
        reach = BROAD_REACH + (BIAS_REACH if made.slopes is not None else 0)
        wide = slice(max(0, planes.start - reach), min(depth, planes.stop + reach))
        inner = slice(planes.start - wide.start, planes.stop - wide.start)
        within = (slice(None), slice(None), inner)
        around = self.source.read(wide)
        volume = around[within]
        kept = constant_regions(around)[within] | self.background.at(planes, volume)
        if self.modality == "ct":
            kept |= outside_tissue(volume)
        if self.uneven is not None:
            kept |= self.uneven(planes) == 0
        if self.source.mask is not None:
            kept |= self.source.mask(planes) == 0
        task = self.read(planes)
        sigma = self.sigma(wide, task.scale)
        level = sigma.numpy() if sigma.ndim else float(sigma)
        start, mean = (np.array(values[:, :, wide]) for values in (made.noisy, made.mean))
        result, broad = bound_broad(
            start, mean, level, task.fine, shape=self.source.shape, inner=within
        )
        limit = level[within] if isinstance(level, np.ndarray) else level
        result, bounded = bound_residual(start[within], result, limit)
        spread = None
        if made.slopes is not None:
            sd = spread_of(_part(made.slopes, wide), sigma, task.fine)
            sd[within] = self._doubt_of_bias(sd, start, mean, level, task.fine, inner)
            if self.settings.dose is not None:
                sd = of_full_dose(sd, sigma, self.settings.dose)
            if self.settings.samples:
                # the mean of K draws lies around the posterior mean as the truth does, but K times
                # nearer
                sd = sd * (1 + 1 / self.settings.samples) ** 0.5
            spread = sd.numpy()[within] * np.float32(task.scale.scale)
        found = Denoised(task.scale.restore(result), spread, bounded, broad)
        return Bounded(volume, task, found, kept)

    def _doubt_of_bias(
        self, sd: Tensor, start: Array, mean: Array, level: float | Array,
        axes: tuple[int, ...], inner: slice,
    ) -> Tensor:  # fmt: skip
        """Return the standard deviation of the `inner` planes with that of small structures that
        may have gone, by what is removed after the bounds.
        """
        near = slice(max(0, inner.start - BIAS_REACH), inner.stop + BIAS_REACH)
        around = (slice(None), slice(None), near)
        result, _ = bound_broad(start, mean, level, axes, shape=self.source.shape, inner=around)
        here = level[around] if isinstance(level, np.ndarray) else level
        result, _ = bound_residual(start[around], result, here)
        made = beside_bias(sd[around], start[around] - result, here, axes)
        return made[:, :, inner.start - near.start : inner.stop - near.start]

    def _mean(
        self, source: Array, result: Array, nodes: tuple[float, ...], task: Task, report: Progress
    ) -> None:
        """Write E[x_0 | source] into `result`.

        Where the noise level differs from voxel to voxel, the volume is denoised at each of the
        `nodes`, and each voxel takes its value from between the two next to its own level, linear
        in ln sigma: within the reach of the network the noise is taken as even.
        """

        def at(node: float, out: Array) -> None:
            def share(done: float) -> None:
                scratch.release(source, out, result)
                report(done)

            with in_full(self.denoiser.network) if self.settings.uncertainty else nullcontext():
                mean_over(
                    self.denoiser, torch.from_numpy(source), node, task.passes,
                    out=torch.from_numpy(out), progress=share,
                )  # fmt: skip

        if len(nodes) == 1:
            at(nodes[0], result)
            return
        one = self.source.array()
        result[...] = 0
        for number, node in enumerate(nodes):
            at(node, one)
            for planes in self.source.steps():
                share = share_of_level(self.sigma(planes, task.scale), nodes, number)
                result[:, :, planes] += (share * _part(one, planes)).numpy()
                scratch.release(one, result)

    def _slopes(
        self, noisy: Array, mean: Array, to: Scale, run: Callable[[Array, Array], None]
    ) -> Array:
        """Return the sum of the slopes of all probes (`diff_medical.enhancer.uncertainty`)."""
        slopes, probe, moved = (self.source.array() for _ in range(3))
        slopes[...] = 0
        for number in range(PROBES):
            for planes in self.source.steps():
                signs = self._signs(planes, number)
                start = _part(noisy, planes)
                probe[:, :, planes] = pushed(start, self.sigma(planes, to), signs).numpy()
            run(probe, moved)
            for planes in self.source.steps():
                signs = self._signs(planes, number)
                there, still = (_part(values, planes) for values in (moved, mean))
                slopes[:, :, planes] += slope(there, still, self.sigma(planes, to), signs).numpy()
                scratch.release(slopes, probe, moved, mean, noisy)
        return slopes

    def _signs(self, planes: slice, number: int) -> Tensor:
        """Return the random signs of some planes of a probe."""
        shape = (*self.source.shape[:2], planes.stop - planes.start)
        return signs_of(shape, self.settings.seed, number, first=planes.start)


def _part(values: Array, planes: slice) -> Tensor:
    """Return a copy of some planes."""
    return torch.from_numpy(np.array(values[:, :, planes]))
