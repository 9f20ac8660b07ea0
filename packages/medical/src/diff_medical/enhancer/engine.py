"""Volumes too large for memory, enhanced a few planes at a time.

The same steps on the same voxels as `diff_medical.enhancer.Enhancer` takes, with the same result
to the bit; samples alone need the volume in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diff_core.progress import Progress
from diff_medical.enhancer.bounds import LEAST_GAIN, nothing_to_do, too_little
from diff_medical.enhancer.checks import looked_at, measure
from diff_medical.enhancer.settings import Settings, check_map
from diff_medical.enhancer.steps import Plan, Read, Seen, Work
from diff_medical.enhancer.task import gain_of, restore
from diff_medical.enhancer.uncertainty import middle_block
from diff_medical.noise.ct import NoiseMap
from diff_medical.noise.level import probed
from diff_medical.noise.model import Noise
from diff_medical.scan import scratch
from diff_medical.scan.intensity import Scale, is_ct, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.uneven import at_least, of_map

if TYPE_CHECKING:
    from diff_medical.enhancer.enhancer import Enhanced, Enhancer

__all__ = ["Part", "enhance_by_planes", "is_streamable"]

Array = NDArray[np.float32]
Put = Callable[["Part"], None]
PLANES = 1 << 23  # voxels of the planes that are worked on at once


@dataclass(frozen=True)
class Part:
    """Some planes of a volume: from which on along Z, as they were, as they are now, and how
    uncertain they are, if that was asked for.
    """

    first: int
    before: Array
    after: Array
    doubt: Array | None = None


def is_streamable(settings: Settings) -> bool:
    """Whether what is asked for can be done a few planes at a time."""
    return not settings.samples


def enhance_by_planes(
    enhancer: Enhancer,
    shape: tuple[int, int, int],
    read: Read,
    put: Put,
    spacing: Spacing,
    settings: Settings,
    *,
    noise: Noise | None = None,
    sigma_map: Read | None = None,
    mask: Read | None = None,
    thickness: int | None = None,
    progress: Progress | None = None,
) -> Enhanced:
    """What `Enhancer` does to a volume (X, Y, Z), finite; the result, without the volume.

    read:      planes of the volume along Z, float32 (X, Y, n), a new array each time
    put:       is given every part of the result once, from the first plane to the last
    sigma_map: planes of the map of the noise level
    mask:      planes of the mask: where it is 0 voxels stay as they are
    thickness: planes that are worked on at once; None takes what makes 8 million voxels
    noise, progress, errors: as of `Enhancer`
    """
    from diff_medical.enhancer.enhancer import Enhanced

    report = progress or (lambda share: None)
    check_map(settings, given=sigma_map is not None)
    area = shape[0] * shape[1]
    work = Work(enhancer.denoiser, shape, read, spacing, thickness or max(1, PLANES // area))
    seen = work.survey(mask, sigma_map)
    modality = settings.modality
    if modality == "auto":
        modality = "ct" if is_ct(seen.low, seen.below / int(np.prod(shape))) else "mr"
    settings.check_values(seen.low, modality)
    is_told = settings.declares_level or sigma_map is not None or noise is not None
    if noise is None and seen.low < seen.high:
        noise = _noise(enhancer, work, seen, replace(settings, modality=modality))
    noise = noise or Noise(0.0, "gaussian", "constant volume")
    if seen.levels is not None and noise.method != "constant volume":
        noise = of_map(noise, seen.levels)

    def unchanged(reason: str) -> Enhanced:
        for planes in work.steps():
            values = read(planes)
            nothing = np.zeros_like(values) if settings.uncertainty else None
            put(Part(planes.start, values, values, nothing))
        return Enhanced(_NOTHING, noise, modality, reason)

    declared = settings.declares_level or sigma_map is not None
    bright = scale(seen.sample, modality).scale
    if reason := nothing_to_do(seen.low, seen.high, noise.sigma, bright, declared=declared):
        return unchanged(reason)
    uneven = sigma_map
    if noise.distribution == "poisson-ct" and uneven is None:
        uneven, is_told = NoiseMap.of(read, shape, spacing, noise.sigma), True
    plan = Plan(work, noise, modality, settings, uneven=uneven)
    plan = replace(plan, to=_scale(plan, seen))
    gain = None
    if not is_told:
        block = middle_block(shape)
        near = plan.task(read(block[2])[block[:2]], noise.sigma)
        gain = gain_of(enhancer.denoiser, near, settings.seed)
        if gain < LEAST_GAIN:
            return unchanged(too_little(gain))

    made = plan.estimate(report)
    middle = looked_at(shape)
    looked = [np.empty((*shape[:2], middle.stop - middle.start), t) for t in "ff?f"]
    counts = np.zeros(2)
    for planes in work.steps():
        volume, task, found, kept = plan.bound(planes, made)
        counts += np.array([found.bounded, found.broad]) * volume.size
        if mask is not None:
            kept |= mask(planes) == 0
        low, high = max(planes.start, middle.start), min(planes.stop, middle.stop)
        if low < high:
            there, here = (slice(low - s, high - s) for s in (middle.start, planes.start))
            level = np.broadcast_to(np.float32(task.level), volume.shape)
            for to, values in zip(looked, (task.values, found.values, ~kept, level), strict=True):
                to[..., there] = values[..., here]
        result, spread = restore(task, found, noise, (seen.low, seen.high))
        if settings.change < 1:
            result = np.asarray(volume + settings.change * (result - volume), np.float32)
        result[kept] = volume[kept]
        if spread is not None:
            spread[kept] = 0
        put(Part(planes.start, volume, result, spread))
        scratch.release(*(one for one in made if one is not None))
    bounded, broad = (float(count) for count in counts / np.prod(shape))
    checks = measure(
        looked[0], looked[1], noise.sigma if uneven is None else looked[3], looked[2],
        bounded=bounded, broad=broad, gain=gain,
    )  # fmt: skip
    report(1.0)
    return Enhanced(_NOTHING, noise, modality, "", checks)


_NOTHING = np.empty(0, np.float32)


def _noise(enhancer: Enhancer, work: Work, seen: Seen, settings: Settings) -> Noise:
    """The noise that the settings declare or the middle of the volume shows."""
    sigma = settings.sigma
    if settings.percent is not None:
        sigma = settings.percent / 100 * seen.high
    settled = replace(settings, sigma=sigma, percent=None)
    return enhancer.noise_of(work.read(probed(work.shape)), work.spacing, settled)


def _scale(plan: Plan, seen: Seen) -> Scale:
    """The intensity scale, from the same voxels as for volumes in memory."""
    level = plan.noise.sigma
    if seen.levels is not None:
        level = at_least(seen.levels, plan.noise)[:, None, None]
    return plan.task(seen.sample[:, None, None], level).scale
