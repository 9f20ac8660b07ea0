"""The trained enhancer as an object: a volume and its voxel size in, the posterior mean out.

Around the network it puts what a scan needs: modality and noise level, variance stabilisation for
Rician noise, the intensity scale, the bounds of `diff_medical.enhancer.bounds`, and the way back
to the units that came in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diff_core.denoiser import Denoiser
from diff_core.device import pick_device
from diff_core.io import Card, load
from diff_core.progress import Progress
from diff_core.train.precision import narrow_dtype
from diff_medical.enhancer.bounds import (
    LEAST_GAIN,
    constant_regions,
    nothing_to_do,
    outside_tissue,
    too_little,
)
from diff_medical.enhancer.checks import Checks, measure
from diff_medical.enhancer.settings import Settings, check_map
from diff_medical.enhancer.task import denoise, gain_of, prepare, restore
from diff_medical.noise.ct import noise_map
from diff_medical.noise.level import estimate
from diff_medical.noise.model import Noise
from diff_medical.scan.intensity import Modality, recognise, scale, step_of
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.network import NETWORK_TYPES, SlabNetwork, network_of
from diff_medical.slices.uneven import at_least, check_levels, of_map
from diff_medical.weights import path_of

__all__ = ["Enhanced", "Enhancer", "Settings"]


@dataclass(frozen=True)
class Enhanced:
    """An enhanced volume and how it came about.

    volume:      float32, shape and units of the input
    noise:       the noise that was assumed, in the units of the input
    modality:    "mr" or "ct"
    unchanged:   why the volume is the input itself, "" if it is not
    checks:      what was measured of the change, None where nothing was computed
    uncertainty: standard deviation of the error of each voxel, if it was asked for; 0 where the
                 volume is the input
    """

    volume: NDArray[np.float32]
    noise: Noise
    modality: Modality
    unchanged: str = ""
    checks: Checks | None = None
    uncertainty: NDArray[np.float32] | None = None


class Enhancer:
    """Removes noise from MR and CT volumes.

    denoiser: a slab denoiser (`diff_medical.slices.network`), on the device where it shall run
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
        denoiser, card = load(path or path_of("enhance"), types=NETWORK_TYPES)
        denoiser = denoiser.to(where)
        if where.type == "cpu":
            denoiser = denoiser.to(memory_format=torch.channels_last)
            # twice as fast, and differs by a hundredth of the noise
            if isinstance(denoiser.network, SlabNetwork):
                denoiser.network.narrow = narrow_dtype("auto", where)
        return cls(denoiser, card)

    def noise_of(
        self, volume: NDArray[np.floating], spacing: Spacing, settings: Settings
    ) -> Noise:
        """The noise that `settings` declare or the volume (X, Y, Z) shows."""
        modality, distribution = _modality(volume, settings), settings.distribution
        sigma = settings.sigma
        if settings.percent is not None:
            sigma = settings.percent / 100 * float(np.max(volume))
        if sigma is not None and distribution not in ("auto", "poisson-ct"):
            return Noise(sigma, distribution, "declared", coils=settings.coils)
        found = estimate(
            volume, spacing, modality=modality, distribution=distribution, coils=settings.coils
        )
        return found if sigma is None else replace(found, sigma=sigma, method="declared")

    def __call__(
        self,
        array: ArrayLike,
        spacing: Spacing,
        settings: Settings | None = None,
        *,
        noise: Noise | None = None,
        sigma_map: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> Enhanced:
        """The enhanced `array`, (X, Y, Z) or (X, Y), finite, in any unit (HU for CT).

        spacing:   voxel size in mm, three numbers; what counts is their ratio
        noise:     if given, settings for the noise are not used
        sigma_map: standard deviation of the noise of each voxel, in the units of the scan, instead
                   of one for all; where it is 0 the voxel stays as it is
        mask:      voxels where it is 0 stay as they are
        progress:  called with the finished share, 0 to 1

        Raises ValueError for an array of other shape or with NaN or Inf, for noise of magnitudes
        in an array with negative values, and for a map or mask that does not fit.
        """
        settings = settings or Settings()
        given = np.asarray(array, dtype=np.float32)
        volume = given[..., None] if given.ndim == 2 else given
        _check(volume, spacing)
        modality = _modality(volume, settings)
        low, high = float(volume.min()), float(volume.max())
        settings.check_values(low, modality)
        check_map(settings, given=sigma_map is not None)
        levels = None if sigma_map is None else _whole_map(sigma_map, volume)
        is_told = settings.declares_level or sigma_map is not None or noise is not None
        if noise is None and low < high:
            noise = self.noise_of(volume, spacing, settings)
        noise = noise or Noise(0.0, "gaussian", "constant volume")
        if levels is not None and noise.method != "constant volume":
            noise = of_map(noise, levels.flat[:: step_of(levels.size)])
        declared = settings.declares_level or levels is not None
        bright = scale(volume, modality).scale
        if reason := nothing_to_do(low, high, noise.sigma, bright, declared=declared):
            return self._unchanged(given, noise, modality, settings, reason)

        if noise.distribution == "poisson-ct" and levels is None:
            levels, is_told = noise_map(volume, spacing, noise.sigma), True
        kept = constant_regions(volume)
        if modality == "ct":
            kept |= outside_tissue(volume)
        if levels is not None:
            kept |= levels == 0
        if mask is not None:
            kept |= ~_checked_mask(mask, volume)
        level = noise.sigma if levels is None else at_least(levels, noise)
        report = progress or (lambda share: None)
        task = prepare(
            volume, spacing, noise, level, modality,
            quality=settings.quality, slices=network_of(self.denoiser).slices,
        )  # fmt: skip
        gain = None if is_told else gain_of(self.denoiser, task, settings.seed)
        if gain is not None and gain < LEAST_GAIN:
            return self._unchanged(given, noise, modality, settings, too_little(gain))
        found = denoise(self.denoiser, task, settings, report)
        checks = measure(
            task.values, found.values, level, ~kept,
            bounded=found.bounded, broad=found.broad, gain=gain,
        )  # fmt: skip
        result, spread = restore(task, found, noise, (low, high))
        if settings.change < 1:
            result = np.asarray(volume + settings.change * (result - volume), np.float32)
        result[kept] = volume[kept]
        if spread is not None:
            spread[kept] = 0
            spread = spread.reshape(given.shape)
        report(1.0)
        return Enhanced(np.reshape(result, given.shape), noise, modality, "", checks, spread)

    def _unchanged(
        self,
        given: NDArray[np.float32],
        noise: Noise,
        modality: Modality,
        settings: Settings,
        reason: str,
    ) -> Enhanced:
        nothing = np.zeros_like(given) if settings.uncertainty else None
        return Enhanced(given.copy(), noise, modality, reason, None, nothing)


def _whole_map(given: ArrayLike, volume: NDArray[np.float32]) -> NDArray[np.float32]:
    levels = np.asarray(given, np.float32)
    if levels.size != volume.size:
        raise ValueError(f"sigma_map is {levels.shape}; expected the grid {volume.shape}")
    check_levels(float(levels.min()), float(levels.max()))
    return levels.reshape(volume.shape)


def _checked_mask(given: ArrayLike, volume: NDArray[np.float32]) -> NDArray[np.bool_]:
    inside = np.asarray(given) != 0
    if inside.size != volume.size or not inside.any():
        raise ValueError(
            f"mask is {inside.shape} with {int(inside.sum())} voxels other than 0; expected at "
            f"least one, on the grid {volume.shape}"
        )
    return inside.reshape(volume.shape)


def _modality(volume: NDArray[np.floating], settings: Settings) -> Modality:
    return recognise(volume) if settings.modality == "auto" else settings.modality


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
