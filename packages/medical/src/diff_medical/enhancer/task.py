"""One volume through the network: what it is given, what comes back, and how far to trust it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.denoiser import Denoiser
from diff_core.progress import Progress
from diff_core.progress import passes as parts
from diff_medical.enhancer.bounds import TISSUE_HU, bound_broad, bound_residual
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.uncertainty import PROBES, expected_gain, of_full_dose, posterior_sd
from diff_medical.noise.level import fine_axes
from diff_medical.noise.model import Noise
from diff_medical.noise.stabilise import stabiliser
from diff_medical.scan.intensity import Modality, Scale, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import in_full
from diff_medical.slices.passes import Passes, Quality, passes_for
from diff_medical.slices.samples import sample_mean
from diff_medical.slices.uneven import levels, mean_of_levels

__all__ = ["Denoised", "Task", "denoise", "gain_of", "prepare",
           "restore"]  # fmt: skip

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """Values that have additive noise of standard deviation `level`, a number or one a voxel."""

    values: NDArray[np.float32]
    level: float | NDArray[np.float32]
    scale: Scale
    passes: Passes
    fine: tuple[int, ...]


@dataclass(frozen=True)
class Denoised:
    """values: the estimate, in the units of its task. spread: its standard deviation, if it was
    asked for. bounded, broad: shares of voxels held back by the two bounds.
    """

    values: Array
    spread: Array | None
    bounded: float
    broad: float


def prepare(
    volume: NDArray[np.float32],
    spacing: Spacing,
    noise: Noise,
    level: float | NDArray[np.float32],
    modality: Modality,
    *,
    shape: tuple[int, ...] | None = None,
    to: Scale | None = None,
    quality: Quality = "default",
    slices: int = 5,
) -> Task:
    """What the network is given for `volume`.

    shape, to: shape and intensity scale of the volume of which this is a part
    quality:   in which planes it is looked at, and how often, see `diff_medical.slices.passes`
    slices:    those of the network
    """
    shape = shape or volume.shape
    passes, fine = passes_for(quality, shape, spacing, slices), fine_axes(shape, spacing)
    if noise.is_magnitude:
        # f has noise of 1, so f sigma has that of the scan, and its units; its floor is put at 0
        table = stabiliser(noise.coils)
        floor = np.float32(table.expected[0])
        values = table.forward(volume, level)
        if to is None:
            bright = scale(values * np.float32(level), "mr").scale - float(floor) * noise.sigma
            to = Scale(0.0, max(bright, noise.sigma))
        values = (values - floor) * np.float32(level)
    else:
        # padding and metal are cliffs that the network never saw: it gets air and bone instead
        values = np.clip(volume, *TISSUE_HU) if modality == "ct" else volume
        to = to or scale(volume, modality)
    return Task(values, level, to, passes, fine)


def restore(
    task: Task, found: Denoised, noise: Noise, limits: tuple[float, float]
) -> tuple[Array, Array | None]:
    """Estimate and standard deviation in the units of the volume of which the task was made, and
    between its least and its greatest value, the `limits`.
    """
    if not noise.is_magnitude:
        low, high = np.float32(limits[0]), np.float32(limits[1])
        return np.clip(found.values, low, high), found.spread
    table = stabiliser(noise.coils)
    stable = found.values / np.float32(task.level) + np.float32(table.expected[0])
    result = np.clip(table.inverse(stable, task.level), 0, np.float32(limits[1]))
    result = result.astype(np.float32)
    if found.spread is None:
        return result, None
    # near 0 the inverse is so steep that its slope says nothing of a step as large as this
    off = found.spread / np.float32(task.level)
    ends = [table.inverse(stable + sign * off, task.level) for sign in (1, -1)]
    return result, ((ends[0] - ends[1]) / 2).astype(np.float32)


def denoise(denoiser: Denoiser, task: Task, settings: Settings, progress: Progress) -> Denoised:
    """The bounded posterior mean of a task, or the bounded mean of samples."""
    noisy = task.scale.normalise(task.values)
    start = torch.from_numpy(noisy)
    sigma = torch.as_tensor(task.level, dtype=torch.float32) / task.scale.scale
    drawing = settings.samples * settings.steps
    once = len(levels(float(sigma.min()), float(sigma.max())))
    # what is drawn is the mean of samples, what is doubted needs the mean itself
    report = parts(
        progress,
        drawing
        + once * (not drawing or settings.uncertainty)
        + once * PROBES * settings.uncertainty,
    )
    run = _estimator(denoiser, task, sigma, report, exact=settings.uncertainty)
    mean = run(start) if settings.uncertainty or not drawing else start
    spread = None
    if settings.uncertainty:
        spread = posterior_sd(run, start, mean, sigma, task.fine, settings.seed)
        if settings.dose is not None:
            spread = of_full_dose(spread, sigma, settings.dose)
    if drawing:
        mean = sample_mean(
            denoiser, start, float(sigma), task.passes, samples=settings.samples,
            steps=settings.steps, seed=settings.seed, progress=report,
        )  # fmt: skip
        # the mean of K draws lies around the posterior mean as the truth does, but K times nearer
        spread = None if spread is None else spread * (1 + 1 / settings.samples) ** 0.5
    level = sigma.numpy() if sigma.ndim else float(sigma)
    result, broad = bound_broad(noisy, mean.numpy(), level, task.fine)
    result, bounded = bound_residual(noisy, result, level)
    sd = None if spread is None else spread.numpy() * np.float32(task.scale.scale)
    return Denoised(task.scale.restore(result), sd, bounded, broad)


def _estimator(
    denoiser: Denoiser,
    task: Task,
    sigma: Tensor,
    progress: Progress | None = None,
    *,
    exact: bool = False,
) -> Callable[[Tensor], Tensor]:
    """The posterior mean of a normalised volume whose noise is `sigma`.

    exact: without the rounding of a narrow precision, for derivatives
    """

    def at(volume: Tensor, level: float) -> Tensor:
        with in_full(denoiser.network) if exact else nullcontext():
            return posterior_mean(
                denoiser, volume, level, axes=task.passes.axes, stride=task.passes.stride,
                turns=task.passes.turns, progress=progress,
            )  # fmt: skip

    if sigma.ndim:
        return lambda volume: mean_of_levels(at, volume, sigma)
    return lambda volume: at(volume, float(sigma))


def gain_of(denoiser: Denoiser, task: Task, seed: int) -> float:
    """Expected gain, dB, where the level of the task is one number."""
    start = torch.from_numpy(task.scale.normalise(task.values))
    sigma = torch.as_tensor(task.level, dtype=torch.float32) / task.scale.scale
    run = _estimator(denoiser, task, sigma, exact=True)
    return expected_gain(run, start, float(sigma), seed)
