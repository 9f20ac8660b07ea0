"""The trained enhancer as an object: a volume and its voxel size in, the posterior mean out.

Around the network it puts what a scan needs: modality and noise level, variance stabilisation for
Rician noise, the intensity scale, the bounds of `diff_medical.safety`, and the way back to the
units that came in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diff_core.denoiser import Denoiser
from diff_core.device import pick_device
from diff_core.io import Card, load

from .intensity import Modality, Scale, recognise, scale
from .network import NETWORK_TYPES
from .noise import Noise, estimate
from .posterior import sample_mean
from .predict import posterior_mean
from .safety import QUIET, TISSUE_HU, bound_residual, constant_regions, outside_tissue
from .slabs import slab_axes
from .stabilise import rician_stabiliser

__all__ = ["Enhanced", "Enhancer", "Settings"]

WEIGHTS = Path(__file__).parent / "weights" / "enhance.safetensors"
"""The checkpoint that comes with the package."""

THIN = 8  # an axis with fewer slices is only ever stacked, never part of the network's plane
Spacing = tuple[float, float, float]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Settings:
    """How to enhance.

    modality: "auto" recognises CT by its Hounsfield units of air
    noise:    "gaussian", "rician", or "auto": Rician where an MR scan has a Rayleigh background
    sigma:    standard deviation of the noise in the units of the scan; None estimates it
    percent:  the same in percent of the maximum of the scan, instead of `sigma`
    samples:  0 gives the posterior mean in one pass; K > 0 the mean of K posterior samples
    steps:    passes for each posterior sample
    seed:     of the noise of the samples

    Raises ValueError for a value that is not allowed.
    """

    modality: Literal["auto", "mr", "ct"] = "auto"
    noise: Literal["auto", "gaussian", "rician"] = "auto"
    sigma: float | None = None
    percent: float | None = None
    samples: int = 0
    steps: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.modality not in ("auto", "mr", "ct"):
            raise ValueError(f"modality is {self.modality!r}; expected auto, mr or ct")
        if self.noise not in ("auto", "gaussian", "rician"):
            raise ValueError(f"noise is {self.noise!r}; expected auto, gaussian or rician")
        for name, value in (("sigma", self.sigma), ("percent", self.percent)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; expected a number >= 0")
        if self.sigma is not None and self.percent is not None:
            raise ValueError("sigma and percent both give the noise level; expected one of them")
        if self.samples < 0 or self.steps < 1:
            raise ValueError(
                f"samples is {self.samples}, steps {self.steps}; expected >= 0 and >= 1"
            )


@dataclass(frozen=True)
class Enhanced:
    """An enhanced volume and how it came about.

    volume:    float32, shape and units of the input
    noise:     the noise that was assumed, in the units of the input
    modality:  "mr" or "ct"
    unchanged: why the volume is the input itself, "" if it is not
    bounded:   share of voxels that the residual bound held back
    """

    volume: NDArray[np.float32]
    noise: Noise
    modality: Modality
    unchanged: str = ""
    bounded: float = 0.0


class Enhancer:
    """Removes noise from MR and CT volumes.

    denoiser: a slab denoiser (`diff_medical.network`), on the device where it shall run
    card:     what is known of its training
    """

    def __init__(self, denoiser: Denoiser, card: Card | None = None) -> None:
        self.denoiser = denoiser.eval()
        self.card = card

    @classmethod
    def from_pretrained(cls, path: Path | None = None, *, device: str = "auto") -> Enhancer:
        """The enhancer that comes with the package, or the one of the checkpoint at `path`.

        Raises diff_core.io.CheckpointError for a checkpoint that cannot be used, ValueError for a
        device that is not there.
        """
        where = pick_device(device)
        denoiser, card = load(path or WEIGHTS, types=NETWORK_TYPES)
        denoiser = denoiser.to(where)
        if where.type == "cpu":
            denoiser = denoiser.to(memory_format=torch.channels_last)
        return cls(denoiser, card)

    def noise_of(
        self, volume: NDArray[np.floating], spacing: Spacing, settings: Settings
    ) -> Noise:
        """The noise that `settings` declare or the volume (X, Y, Z) shows."""
        modality = _modality(volume, settings)
        sigma = settings.sigma
        if settings.percent is not None:
            sigma = settings.percent / 100 * float(np.max(volume))
        if sigma is not None and settings.noise != "auto":
            return Noise(sigma, settings.noise, "declared")
        found = estimate(volume, spacing, modality=modality, distribution=settings.noise)
        if sigma is None:
            return found
        return Noise(sigma, found.distribution, "declared", found.correlation)

    def __call__(
        self,
        array: ArrayLike,
        spacing: Spacing,
        settings: Settings | None = None,
        *,
        noise: Noise | None = None,
        progress: Progress | None = None,
    ) -> Enhanced:
        """The enhanced `array`, (X, Y, Z) or (X, Y), finite, in any unit (HU for CT).

        spacing:  voxel size in mm, three numbers; what counts is their ratio
        noise:    if given, settings for the noise are not used
        progress: called with the finished share, 0 to 1

        Raises ValueError for an array of other shape or with NaN or Inf, and for Rician noise in
        an array with negative values.
        """
        settings = settings or Settings()
        given = np.asarray(array, dtype=np.float32)
        volume = given[..., None] if given.ndim == 2 else given
        _check(volume, spacing)
        modality = _modality(volume, settings)
        low, high = float(volume.min()), float(volume.max())
        if low == high:
            noise = noise or Noise(0.0, "gaussian", "constant volume")
            return Enhanced(given.copy(), noise, modality, f"all voxels are {low:g}")
        if low < 0 and settings.noise == "rician":
            raise ValueError(
                f"Rician noise was declared but values go down to {low:g}; magnitudes are never "
                "negative: use --noise gaussian"
            )
        declared = settings.sigma is not None or settings.percent is not None
        noise = noise or self.noise_of(volume, spacing, settings)
        to = scale(volume, modality)
        if noise.sigma == 0:
            return Enhanced(given.copy(), noise, modality, "the noise level is 0")
        if not declared and noise.sigma < QUIET * to.scale:
            reason = f"its noise is below {QUIET:.1%} of its range"
            return Enhanced(given.copy(), noise, modality, reason)
        kept = constant_regions(volume)
        if modality == "ct":
            kept |= outside_tissue(volume)
        run = partial(self._denoise, axes=_axes(volume, spacing), settings=settings)
        report = progress or (lambda share: None)
        if noise.distribution == "rician":
            table = rician_stabiliser()
            stable = table.forward(volume, noise.sigma)
            floor = float(table.expected[0])
            to = Scale(floor, max(scale(stable, "mr").scale - floor, 1.0))
            stable, bounded = run(stable, 1.0, to, progress=report)
            result = np.clip(table.inverse(stable, noise.sigma), 0, high)
        else:
            # padding and metal are cliffs that the network never saw: it gets air and bone instead
            seen = np.clip(volume, *TISSUE_HU) if modality == "ct" else volume
            result, bounded = run(seen, noise.sigma, to, progress=report)
            result = np.clip(result, low, high)
        result[kept] = volume[kept]
        report(1.0)
        return Enhanced(result.reshape(given.shape), noise, modality, "", bounded)

    def _denoise(
        self,
        values: NDArray[np.float32],
        sigma: float,
        to: Scale,
        *,
        axes: tuple[int, ...],
        settings: Settings,
        progress: Progress,
    ) -> tuple[NDArray[np.float32], float]:
        """Posterior mean or mean of samples, bounded, in the units of `values`; the share
        bounded.
        """
        noisy = to.normalise(values)
        level = sigma / to.scale
        start = torch.from_numpy(noisy)
        if settings.samples == 0:
            mean = posterior_mean(self.denoiser, start, level, axes=axes, progress=progress)
        else:
            mean = sample_mean(
                self.denoiser, start, level, axes, samples=settings.samples,
                steps=settings.steps, seed=settings.seed, progress=progress,
            )  # fmt: skip
        result, bounded = bound_residual(noisy, mean.numpy(), level)
        return to.restore(result), bounded


def _modality(volume: NDArray[np.floating], settings: Settings) -> Modality:
    return recognise(volume) if settings.modality == "auto" else settings.modality


def _axes(volume: NDArray[np.floating], spacing: Spacing) -> tuple[int, ...]:
    thinnest = int(np.argmin(volume.shape))
    return (thinnest,) if volume.shape[thinnest] < THIN else slab_axes(spacing)


def _check(volume: NDArray[np.floating], spacing: Spacing) -> None:
    if volume.ndim != 3 or volume.size == 0 or sum(n > 1 for n in volume.shape) < 2:
        raise ValueError(
            f"array has shape {volume.shape}; expected (X, Y, Z) or (X, Y), not empty, with at "
            "least two axes longer than 1"
        )
    if len(spacing) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing):
        raise ValueError(f"spacing is {spacing}; expected three positive numbers, mm")
    bad = int(np.count_nonzero(~np.isfinite(volume)))
    if bad:
        raise ValueError(f"array has {bad} voxels that are NaN or Inf; expected finite values")
