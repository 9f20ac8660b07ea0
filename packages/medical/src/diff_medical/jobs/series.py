"""The volumes of a series: the noise that each is taken to have, and the record of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from diff_medical.enhancer.engine import Findings
from diff_medical.enhancer.outcome import VolumeOutcome
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.shown import Shown, noise_shown
from diff_medical.enhancer.steps import Source
from diff_medical.noise.local import LocalLevels, local_levels, pooled
from diff_medical.noise.model import Noise
from diff_medical.noise.series import by_volume
from diff_medical.scan.nifti import Scan
from diff_medical.scan.scratch import release

__all__ = ["levels_of_volumes", "look_of_volumes", "noise_of_volumes", "record_of_volumes"]

LOOKED_AT = 8  # volumes of one noise, at most, from which its map is made


def look_of_volumes(
    scan: Scan, source: Callable[[int], Source], settings: Settings
) -> list[Shown]:
    """Return the look of each volume of a series; none of a single volume. Volumes whose levels
    agree share their noise, which is then one object.
    """
    found: list[Shown] = []
    for index in range(scan.volumes if scan.volumes > 1 else 0):
        found.append(noise_shown(source(index), settings))
        release(scan.stored)
    assumed = by_volume([one.noise for one in found], [one.low < 0 for one in found])
    return [replace(one, noise=noise) for one, noise in zip(found, assumed, strict=True)]


def noise_of_volumes(looks: Sequence[Shown]) -> list[Noise | None]:
    """Return the noise that several volumes share, None for a volume that has its own."""
    counts = Counter(id(look.noise) for look in looks)
    return [look.noise if counts[id(look.noise)] > 1 else None for look in looks] or [None]


def levels_of_volumes(
    noises: Sequence[Noise | None], source: Callable[[int], Source], settings: Settings
) -> list[LocalLevels | None]:
    """Return the levels of each voxel that several volumes share with their noise; None for a
    volume that has noise of its own, and where one level fits.

    They are the mean over volumes that lie evenly among those of one noise.
    """
    made: list[LocalLevels | None] = [None] * len(noises)
    groups: dict[int, list[int]] = {}
    for index, noise in enumerate(noises):
        if noise is not None:
            groups.setdefault(id(noise), []).append(index)
    for group in groups.values():
        noise = noises[group[0]]
        is_ct = noise is None or noise.method == "soft tissue"
        if is_ct or noise is None or not settings.local:
            continue
        chosen = group[:: -(-len(group) // LOOKED_AT)]
        sources = [source(index) for index in chosen]
        if any(one.sigma_map is not None or one.modality == "ct" for one in sources):
            continue
        found = [local_levels(one.read, one.shape, one.spacing, noise) for one in sources]
        known = [one for one in found if one is not None]
        if 2 * len(known) < len(chosen) or not (mean := pooled(known)).varies:
            continue
        for index in group:
            made[index] = mean
    return made


def record_of_volumes(
    findings: Sequence[Findings], shared: Sequence[bool]
) -> tuple[VolumeOutcome, ...]:
    """Return the record of each volume of a series; none for a single volume."""
    if len(findings) == 1:
        return ()
    return tuple(
        VolumeOutcome(
            index, found.modality, found.noise.sigma, found.noise.distribution,
            found.noise.method, found.noise.correlation, found.noise.varies, is_shared,
            found.unchanged, found.checks,
        )
        for index, (found, is_shared) in enumerate(zip(findings, shared, strict=True))
    )  # fmt: skip
