"""The noise and the kind of a volume: what is declared of them, or what the volume shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diff_medical.enhancer.grid import measured_grid, unfilled
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source, Survey
from diff_medical.enhancer.task import Array
from diff_medical.noise.level import estimate, probed
from diff_medical.noise.model import Noise
from diff_medical.scan.intensity import Modality, recognise
from diff_medical.scan.spacing import Spacing

__all__ = ["CONSTANT", "Shown", "modality_of", "noise_in", "noise_of", "noise_shown"]

CONSTANT = Noise(0.0, "gaussian", "constant volume")
"""The noise of a volume of one value."""


def noise_of(volume: Array, spacing: Spacing, settings: Settings, modality: Modality) -> Noise:
    """Return the noise that the settings declare or that the volume (X, Y, Z) shows."""
    distribution = settings.distribution
    sigma = settings.sigma
    if settings.percent is not None:
        sigma = settings.percent / 100 * float(np.max(volume))
    if sigma is not None and distribution not in ("auto", "poisson-ct"):
        return Noise(sigma, distribution, "declared", coils=settings.coils)
    found = estimate(
        volume, spacing, modality=modality, distribution=distribution, coils=settings.coils
    )
    return found if sigma is None else replace(found, sigma=sigma, method="declared")


@dataclass(frozen=True)
class Shown:
    """The look of a volume: its noise, its least and greatest value, its modality, and the samples
    that were measured along each axis (`measured_grid`).
    """

    noise: Noise
    low: float
    high: float
    modality: Modality
    measured: tuple[int, int, int] | None = None


def noise_shown(source: Source, settings: Settings) -> Shown:
    """Return the noise that the settings declare or that a volume shows, with its look.

    A volume of one value shows none.
    """
    survey = source.survey()
    modality = modality_of(source, survey, settings)
    if not survey.low < survey.high:
        return Shown(CONSTANT, survey.low, survey.high, modality)
    counts, inner = measured_grid(source, survey, settings, modality), survey
    if counts is not None:
        source = unfilled(source, counts, positive=survey.low >= 0)
        inner = source.survey()
    noise = noise_in(source, inner, settings, modality)
    return Shown(noise, survey.low, survey.high, modality, counts)


def modality_of(source: Source, survey: Survey, settings: Settings) -> Modality:
    """Return what is declared, what the file says, or what the values look like."""
    if settings.modality != "auto":
        return settings.modality
    return source.modality or recognise(survey.sample)


def noise_in(source: Source, survey: Survey, settings: Settings, modality: Modality) -> Noise:
    """Return the noise that the settings declare or that the middle of the volume shows."""
    if settings.percent is not None:
        settings = replace(settings, sigma=settings.percent / 100 * survey.high, percent=None)
    if settings.noise == "auto" and survey.low < 0:  # which the middle need not show
        settings = replace(settings, noise="gaussian" if modality == "mr" else "auto")
    middle = source.read(probed(source.shape))
    return noise_of(middle, source.spacing, settings, modality)
