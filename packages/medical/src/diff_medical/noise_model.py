"""What is known of the noise of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Distribution", "Noise", "parse_distribution"]

Distribution = Literal["gaussian", "rician", "ncchi"]
MOST_COILS = 128


@dataclass(frozen=True)
class Noise:
    """Noise of a scan.

    sigma:        standard deviation, in the units of the scan; for magnitudes (Rician, non-central
                  chi), of each channel of each coil; of a map, the median of what is above 0
    distribution: "gaussian", "rician", or "ncchi": the root of the sum of squares of `coils`
                  complex channels (Constantinides et al., Signal-to-noise measurements in
                  magnitude images from NMR phased arrays, 1997); with one coil that is Rician
    method:       where sigma comes from: "declared", "map", "fine detail" (and "background"),
                  "soft tissue"
    correlation:  correlation of the noise between neighbouring voxels, None where it could not be
                  measured (it needs a signal-free background in MR, soft tissue in CT)
    coils:        of "ncchi", else 1
    """

    sigma: float
    distribution: Distribution
    method: str
    correlation: float | None = None
    coils: int = 1

    @property
    def is_magnitude(self) -> bool:
        """Whether it is that of magnitudes, which are never negative and biased near 0."""
        return self.distribution != "gaussian"


def parse_distribution(text: str) -> tuple[Distribution | Literal["auto"], int]:
    """Distribution and coils of "auto", "gaussian", "rician" or "ncchi:N"; else ValueError."""
    if text in ("auto", "gaussian", "rician"):
        return text, 1
    name, _, count = text.partition(":")
    if name == "ncchi" and count.isdecimal() and 1 <= int(count) <= MOST_COILS:
        return "ncchi", int(count)
    raise ValueError(
        f"noise is {text!r}; expected auto, gaussian, rician or ncchi:N, N coils from 1 to "
        f"{MOST_COILS}"
    )
