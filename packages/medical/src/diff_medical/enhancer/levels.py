"""The noise level of each voxel of a volume whose noise varies, from the volume itself."""

from __future__ import annotations

from dataclasses import replace

from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source
from diff_medical.noise.local import LocalLevels, local_levels
from diff_medical.noise.model import Noise
from diff_medical.scan.intensity import Modality

__all__ = ["levels_shown", "of_levels"]


def levels_shown(
    source: Source, noise: Noise, settings: Settings, modality: Modality
) -> LocalLevels | None:
    """Return the levels of a volume of that noise; None where they are not asked for, where one
    level fits or a map is given, or where they cannot be told.

    CT has a map of its own, which has to be asked for (`diff_medical.noise.ct.NoiseMap`).
    """
    is_asked_for = settings.local and source.sigma_map is None
    if modality == "ct" or not is_asked_for or not noise.sigma > 0:
        return None
    found = local_levels(source.read, source.shape, source.spacing, noise)
    return found if found is not None and found.varies else None


def of_levels(source: Source, noise: Noise, found: LocalLevels) -> tuple[Source, Noise]:
    """Return a volume and its noise with levels that were found."""
    varying = replace(noise, method="local fine detail", varies=found.ends)
    return replace(source, sigma_map=found), varying
