"""The record of what was done to one file."""

from __future__ import annotations

from dataclasses import dataclass

from diff_medical.enhancer.checks import Checks
from diff_medical.scan.spacing import Spacing

__all__ = ["Joined", "Outcome", "VolumeOutcome"]


@dataclass(frozen=True)
class Joined:
    """The record of volumes that were enhanced together (`diff_medical.enhancer.low_rank`).

    volumes:    their numbers, from 0
    directions: how many directions of the whole series are signal
    left:       the level of the noise that is left, as a share of what there was (median)
    given_back: share of voxels to which what was removed was given back
    network:    whether the network removed more of it
    """

    volumes: tuple[int, ...]
    directions: int
    left: float
    given_back: float
    network: bool


@dataclass(frozen=True)
class VolumeOutcome:
    """The record of one volume of a series, with the fields of `Outcome`.

    volume: its number, from 0
    shared: whether it shares the noise of other volumes, whose levels agree with its own
    """

    volume: int
    modality: str
    sigma: float
    distribution: str
    method: str
    correlation: float | None
    varies: tuple[float, float] | None
    shared: bool
    unchanged: str
    checks: Checks | None


@dataclass(frozen=True)
class Outcome:
    """The record of what was done to one file; `--json` prints it.

    sigma, distribution, coils, correlation, varies, method: the noise, in the units of the scan
                   (`Noise`); of a series, that of its first volume
    dtype, policy: datatype written, and why
    quality, planes: what was asked for, and in which planes the scan was looked at
    measured:      samples along each axis that were measured, of a scan that was filled with
                   zeros in k-space; None for another scan
    unchanged:     why the scan was left as it is, "" if it was not
    strength:      share of the change that was made
    dose:          share of a full dose whose noise was left in, None if none was
    checks:        what was measured of the change (`Checks`); of a series, in its first volume
    joined:        the record of volumes that were enhanced together, None where each was alone
    series:        the record of each volume of a series (4-D); empty for one volume
    zeroed:        NaN or Inf voxels that were set to 0
    notes:         what a user should know about the file
    synthetic:     what the scan says of being synthetic, "" if it says nothing
    """

    input: str
    output: str
    products: tuple[str, ...]
    shape: tuple[int, ...]
    spacing: Spacing
    modality: str
    sigma: float
    distribution: str
    coils: int
    correlation: float | None
    varies: tuple[float, float] | None
    method: str
    dtype: str
    policy: str
    quality: str
    planes: str
    measured: tuple[int, int, int] | None
    unchanged: str
    strength: float
    dose: float | None
    checks: Checks | None
    joined: Joined | None
    series: tuple[VolumeOutcome, ...]
    zeroed: int
    notes: tuple[str, ...]
    samples: int
    seed: int
    synthetic: str
    model: str
    code: str
    seconds: float
