"""The record of what was done to one file."""

from __future__ import annotations

from dataclasses import dataclass

from diff_medical.enhancer.checks import Checks
from diff_medical.scan.spacing import Spacing

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The record of what was done to one file; `--json` prints it.

    sigma, distribution, coils, correlation, method: the noise, in the units of the scan (`Noise`)
    dtype, policy: datatype written, and why
    quality, planes: what was asked for, and in which planes the scan was looked at
    unchanged:     why the scan was left as it is, "" if it was not
    strength:      share of the change that was made
    dose:          share of a full dose whose noise was left in, None if none was
    checks:        what was measured of the change (`Checks`); of a series, in its first volume
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
    method: str
    dtype: str
    policy: str
    quality: str
    planes: str
    unchanged: str
    strength: float
    dose: float | None
    checks: Checks | None
    zeroed: int
    notes: tuple[str, ...]
    samples: int
    seed: int
    synthetic: str
    model: str
    code: str
    seconds: float
