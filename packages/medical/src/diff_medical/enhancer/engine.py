"""The enhancement of a volume (X, Y, Z), a few planes at a time.

The result does not depend on how many planes are worked on at once, to the bit. Samples alone need
the whole volume in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from diff_core.denoiser import Denoiser
from diff_core.progress import Progress
from diff_medical.enhancer.background import Background
from diff_medical.enhancer.bounds import BOUND, LEAST_GAIN, nothing_to_do, too_little
from diff_medical.enhancer.checks import Checks, looked_at, measure
from diff_medical.enhancer.grid import between, measured_grid, removed_from, unfilled
from diff_medical.enhancer.levels import levels_shown, of_levels
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.shown import CONSTANT, modality_of, noise_in
from diff_medical.enhancer.steps import Bounded, Plan, Source, Survey
from diff_medical.enhancer.task import LEAST, Array, restore
from diff_medical.enhancer.uncertainty import expected_gain, middle_block
from diff_medical.noise.ct import NoiseMap
from diff_medical.noise.level import fine_axes, probed
from diff_medical.noise.model import Noise
from diff_medical.noise.stabilise import stabiliser
from diff_medical.scan import scratch
from diff_medical.scan.background import background_values, is_solid
from diff_medical.scan.intensity import Modality, Scale, scale
from diff_medical.scan.patterns import not_intensities
from diff_medical.slices.mean import mean_over
from diff_medical.slices.network import in_full
from diff_medical.slices.uneven import at_least, of_map

__all__ = ["Findings", "Part", "enhance"]

Put = Callable[["Part"], None]
UNMEASURED = Noise(0.0, "gaussian", "not measured")


@dataclass(frozen=True)
class Part:
    """Some planes of a volume.

    first:  their first plane along Z
    before: as they were
    after:  as they are after the enhancement
    level:  the noise level that was assumed, of each voxel or of all
    doubt:  the standard deviation of the error of each voxel, if it was asked for
    """

    first: int
    before: Array
    after: Array
    level: float | Array
    doubt: Array | None = None


@dataclass(frozen=True)
class Findings:
    """The findings about a volume.

    noise:     the noise that was assumed, in the units of the volume
    modality:  "mr" or "ct"
    unchanged: why the volume was left as it is, "" if it was not
    checks:    the measurements of the change, None where nothing was computed
    measured:  of a scan that was filled with zeros in k-space, the samples along each axis that
               were measured: noise and checks are those of that grid; None for another scan
    """

    noise: Noise
    modality: Modality
    unchanged: str = ""
    checks: Checks | None = None
    measured: tuple[int, int, int] | None = None


def enhance(
    denoiser: Denoiser,
    source: Source,
    put: Put,
    settings: Settings,
    *,
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Enhance a volume and return the findings.

    put:      is given every part of the result once, from the first plane to the last
    noise:    if given, the settings for the noise are not used
    progress: called with the share done, 0 to 1

    A volume whose values look like phase or labels is left as it is, unless the settings declare
    its modality. Raises ValueError for noise of magnitudes in a volume with negative values, a
    dose where the volume is no CT, and a map or mask that cannot be used.
    """
    settings.check_map(given=source.sigma_map is not None)
    survey = source.survey()
    modality = modality_of(source, survey, settings)
    settings.check_values(survey.low, modality)
    if noise is not None and noise.is_magnitude and survey.low < 0:
        raise ValueError(
            f"noise is {noise.distribution}, but values go down to {survey.low:g}: magnitudes are "
            "never negative"
        )
    if settings.modality == "auto" and survey.low < survey.high:
        reason = not_intensities(_measured(source, probed(source.shape)))
        if reason:
            return _leave(source, put, settings, Findings(UNMEASURED, modality, reason))
    if (counts := measured_grid(source, survey, settings, modality)) is not None:
        return _enhance_unfilled(denoiser, source, put, settings, noise, progress, survey, counts)
    is_given = settings.declares_level or source.sigma_map is not None
    is_known = is_given or noise is not None
    if noise is None and survey.low < survey.high:
        noise = noise_in(source, survey, settings, modality)
        if (levels := levels_shown(source, noise, settings, modality)) is not None:
            source, noise = of_levels(source, noise, levels)
            survey = source.survey()
    noise = noise or CONSTANT
    if survey.levels is not None and noise.method != CONSTANT.method:
        noise = of_map(noise, survey.levels)
    bright = scale(survey.sample, modality).scale
    reason = nothing_to_do(survey.low, survey.high, noise.sigma, bright, declared=is_given)
    if reason:
        return _leave(source, put, settings, Findings(noise, modality, reason))
    uneven = source.sigma_map
    if noise.distribution == "poisson-ct" and uneven is None:
        uneven = NoiseMap.of(source.read, source.shape, source.spacing, noise.sigma)
        is_known = True
    background = _background(source, survey, noise, modality)
    plan = Plan(denoiser, source, noise, modality, settings, background, uneven=uneven)
    plan = replace(plan, to=_scale(plan, survey))
    gain = None if is_known else _gain(plan)
    if gain is not None and gain < LEAST_GAIN:
        return _leave(source, put, settings, Findings(noise, modality, too_little(gain)))
    report = progress or (lambda share: None)
    checks = _change(plan, put, (survey.low, survey.high), gain, report)
    report(1.0)
    return Findings(noise, modality, "", checks)


def _enhance_unfilled(
    denoiser: Denoiser,
    source: Source,
    put: Put,
    settings: Settings,
    noise: Noise | None,
    progress: Progress | None,
    survey: Survey,
    counts: tuple[int, int, int],
) -> Findings:
    """Enhance a zero-filled volume on the grid of `counts` samples on which it was measured."""
    small = unfilled(source, counts, positive=survey.low >= 0)
    removed, level = small.array(), small.array()
    doubt = small.array() if settings.uncertainty else None

    def collect(part: Part) -> None:
        planes = slice(part.first, part.first + part.after.shape[2])
        removed[:, :, planes] = part.before - part.after
        level[:, :, planes] = part.level
        if doubt is not None and part.doubt is not None:
            doubt[:, :, planes] = part.doubt
        scratch.release(removed, level)

    if settings.percent is not None:
        sigma = settings.percent / 100 * survey.high
        settings = replace(settings, sigma=sigma, percent=None)
    if settings.modality == "auto":
        settings = replace(settings, modality="mr")
    found = replace(
        enhance(denoiser, small, collect, settings, noise=noise, progress=progress),
        measured=counts,
    )
    if found.unchanged:
        return _leave(source, put, settings, found)
    least = LEAST * found.noise.sigma if found.noise.is_magnitude else survey.low
    for planes in source.steps():
        before = source.read(planes)
        after = before - removed_from(removed, source.shape, planes)
        after = np.clip(after, np.minimum(before, np.float32(least)), np.float32(survey.high))
        spread = None if doubt is None else between(doubt, source.shape, planes)
        if source.mask is not None:
            outside = source.mask(planes) == 0
            after[outside] = before[outside]
            if spread is not None:
                spread[outside] = 0
        put(Part(planes.start, before, after, between(level, source.shape, planes), spread))
    return found


def _measured(source: Source, planes: slice) -> Array:
    """Return some planes of a volume, NaN where it was not measured."""
    values = source.read(planes)
    if source.missing is not None:
        values[source.missing(planes)] = np.nan
    return values


def _background(source: Source, survey: Survey, noise: Noise, modality: Modality) -> Background:
    """Return the volume with its background continued from its tissue."""
    values = background_values(survey.sample, noise.sigma, modality)
    tissue = survey.sample[~np.isin(survey.sample, np.array(values, np.float32))]
    solid = bool(values) and is_solid(source.read(probed(source.shape)), values)
    return Background(
        source.read, source.missing, values, solid, source.shape[2],
        float(np.median(tissue)) if tissue.size else 0.0,
    )  # fmt: skip


def _scale(plan: Plan, survey: Survey) -> Scale:
    """Return the intensity scale, from the sample of the survey."""
    level = plan.noise.sigma
    if survey.levels is not None:
        level = at_least(survey.levels, plan.noise)[:, None, None]
    return plan.task(survey.sample[:, None, None], level).scale


def _gain(plan: Plan) -> float:
    """Return the expected gain in dB, for noise that is even in the units of the network."""
    *block, planes = middle_block(plan.source.shape)
    level = plan.level(planes)
    level = level[tuple(block)] if isinstance(level, np.ndarray) else level
    task = plan.task(plan.background.continued(planes)[tuple(block)], level)
    start = torch.from_numpy(task.scale.normalise(task.values))
    sigma = float(plan.sigma(planes, task.scale))

    def run(noisy: torch.Tensor) -> torch.Tensor:
        with in_full(plan.denoiser.network):  # differences of a narrow precision are its rounding
            return mean_over(plan.denoiser, noisy, sigma, task.passes)

    return expected_gain(run, start, sigma, plan.settings.seed)


def _leave(source: Source, put: Put, settings: Settings, findings: Findings) -> Findings:
    """Put the volume out as it is."""
    for planes in source.steps():
        values = source.read(planes)
        doubt = np.zeros_like(values) if settings.uncertainty else None
        put(Part(planes.start, values, values, findings.noise.sigma, doubt))
    return findings


def _change(
    plan: Plan, put: Put, limits: tuple[float, float], gain: float | None, progress: Progress
) -> Checks:
    """Denoise the volume, put it out part by part and return the checks of the change."""
    made = plan.estimate(progress)
    source, change = plan.source, plan.settings.change
    looked = _Looked(source.shape)
    counts = np.zeros(2)
    largest = level = 0.0
    for planes in source.steps():
        bounded = plan.bound(planes, made)
        volume, task, found, kept = bounded
        counts += np.array([found.bounded, found.broad]) * volume.size
        looked.add(planes, bounded)
        result, spread = restore(task, found, plan.noise, limits, plan.settings.floor)
        if change < 1:
            result = np.asarray(volume + change * (result - volume), np.float32)
        result[kept] = volume[kept]
        if spread is not None:
            spread[kept] = 0
        largest = max(largest, float(np.abs(result - volume).max()))
        level = max(level, float(np.max(task.level)))
        put(Part(planes.start, volume, result, task.level, spread))
        scratch.release(*(one for one in made if one is not None))
    shares = counts / np.prod(source.shape)
    return measure(
        looked.noisy, looked.estimate, plan.noise.sigma if plan.uneven is None else looked.level,
        looked.changed, bounded=float(shares[0]), broad=float(shares[1]), largest=largest,
        limit=change * level * _reach(plan.noise), gain=gain,
        axes=fine_axes(source.shape, source.spacing), first=looked.middle.start,
    )  # fmt: skip


def _reach(noise: Noise) -> float:
    """Return the most that a voxel may move, in noise levels."""
    return stabiliser(noise.coils).reach(BOUND) if noise.is_magnitude else BOUND


class _Looked:
    """The planes of a volume that the checks look at, collected part by part."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.middle = looked_at(shape)
        size = (*shape[:2], self.middle.stop - self.middle.start)
        self.noisy, self.estimate, self.level = (np.empty(size, np.float32) for _ in range(3))
        self.changed = np.empty(size, np.bool_)

    def add(self, planes: slice, made: Bounded) -> None:
        """Collect what lies in the middle of some planes."""
        low, high = max(planes.start, self.middle.start), min(planes.stop, self.middle.stop)
        if low >= high:
            return
        there = slice(low - self.middle.start, high - self.middle.start)
        here = slice(low - planes.start, high - planes.start)
        level = np.broadcast_to(np.float32(made.task.even), made.volume.shape)
        self.noisy[..., there] = made.task.values[..., here]
        self.estimate[..., there] = made.found.values[..., here]
        self.changed[..., there] = ~made.kept[..., here]
        self.level[..., there] = level[..., here]
