"""The volumes of a series: the noise that each is taken to have, and the record of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from diff_medical.enhancer.engine import Findings, noise_shown
from diff_medical.enhancer.outcome import VolumeOutcome
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source
from diff_medical.noise.model import Noise
from diff_medical.noise.series import by_volume
from diff_medical.scan.nifti import Scan
from diff_medical.scan.scratch import release

__all__ = ["noise_of_volumes", "record_of_volumes"]


def noise_of_volumes(
    scan: Scan, source: Callable[[int], Source], settings: Settings
) -> list[Noise | None]:
    """Return the noise that several volumes share, None for a volume that has its own."""
    if scan.volumes == 1:
        return [None]
    found: list[Noise] = []
    signed: list[bool] = []
    for index in range(scan.volumes):
        noise, low = noise_shown(source(index), settings)
        found.append(noise)
        signed.append(low < 0)
        release(scan.stored)
    assumed = by_volume(found, signed)
    counts = Counter(map(id, assumed))
    return [noise if counts[id(noise)] > 1 else None for noise in assumed]


def record_of_volumes(
    findings: Sequence[Findings], shared: Sequence[bool]
) -> tuple[VolumeOutcome, ...]:
    """Return the record of each volume of a series; none for a single volume."""
    if len(findings) == 1:
        return ()
    return tuple(
        VolumeOutcome(
            index, found.modality, found.noise.sigma, found.noise.distribution,
            found.noise.method, found.noise.correlation, is_shared, found.unchanged, found.checks,
        )
        for index, (found, is_shared) in enumerate(zip(findings, shared, strict=True))
    )  # fmt: skip
