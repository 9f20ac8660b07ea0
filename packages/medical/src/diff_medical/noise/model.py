"""The model of the noise of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Distribution", "Noise", "Region", "parse_distribution"]

Distribution = Literal["gaussian", "rician", "ncchi", "poisson-ct"]
"""The distribution of the noise."""
MOST_COILS = 128


@dataclass(frozen=True)
class Noise:
    """Noise of a scan.

    sigma:        standard deviation, in the units of the scan; for magnitudes (Rician, non-central
                  chi), of each channel of each coil; of a map, the median of what is above 0; of
                  "poisson-ct", that of soft tissue
    distribution: "gaussian", "rician", or "ncchi": the root of the sum of squares of `coils`
                  complex channels (Constantinides et al., Signal-to-noise measurements in
                  magnitude images from NMR phased arrays, 1997); with one coil that is Rician.
                  "poisson-ct": Gaussian, its level the map of `diff_medical.noise.ct.noise_map`
    method:       where sigma comes from: "declared", "map", "fine detail" (and "background"),
                  "local fine detail" (a map that was estimated), "soft tissue"
    correlation:  correlation of the noise between neighbouring voxels, None where it could not be
                  measured (it needs a signal-free background in MR, soft tissue in CT)
    coils:        of "ncchi", else 1
    varies:       of a map that was estimated, the range of the level where there is signal (3rd
                  and 97th percentile), None for one level
    """

    sigma: float
    distribution: Distribution
    method: str
    correlation: float | None = None
    coils: int = 1
    varies: tuple[float, float] | None = None

    @property
    def is_magnitude(self) -> bool:
        """True for the noise of magnitudes, which are never negative and biased near 0."""
        return self.distribution in ("rician", "ncchi")


@dataclass(frozen=True)
class Region:
    """Noise in a uniform region: sigma in scan units, correlation of neighbours, share of the
    image it covers.
    """

    sigma: float
    correlation: float
    share: float


def parse_distribution(text: str) -> tuple[Distribution | Literal["auto"], int]:
    """Return distribution and coils of "auto", "gaussian", "rician", "ncchi:N" or "poisson-ct".
    Raises ValueError for another.
    """
    if text in ("auto", "gaussian", "rician", "poisson-ct"):
        return text, 1
    name, _, count = text.partition(":")
    if name == "ncchi" and count.isdecimal() and 1 <= int(count) <= MOST_COILS:
        return "ncchi", int(count)
    raise ValueError(
        f"noise is {text!r}; expected auto, gaussian, rician, ncchi:N or poisson-ct, N coils from "
        f"1 to {MOST_COILS}"
    )
