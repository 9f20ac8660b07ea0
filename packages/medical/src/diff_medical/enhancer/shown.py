"""The noise and the kind of a volume: what is declared of them, or what the volume shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diff_medical.enhancer.grid import measured_grid, unfilled
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source, Survey
from diff_medical.enhancer.task import Array
from diff_medical.noise.level import estimate, probed
from diff_medical.noise.model import Noise
from diff_medical.scan.intensity import Modality, recognise
from diff_medical.scan.spacing import Spacing

__all__ = ["CONSTANT", "modality_of", "noise_in", "noise_of", "noise_shown"]

CONSTANT = Noise(0.0, "gaussian", "constant volume")


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


def noise_shown(source: Source, settings: Settings) -> tuple[Noise, float]:
    """Return the noise that the settings declare or that a volume shows, and its least value.

    A volume of one value shows none.
    """
    survey = source.survey()
    if not survey.low < survey.high:
        return CONSTANT, survey.low
    modality = modality_of(source, survey, settings)
    if (counts := measured_grid(source, survey, settings, modality)) is not None:
        source = unfilled(source, counts, positive=survey.low >= 0)
        return noise_in(source, source.survey(), settings, modality), survey.low
    return noise_in(source, survey, settings, modality), survey.low


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
