"""What a user may choose of an enhancement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .noise_model import Distribution, parse_distribution

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How to enhance.

    modality:    "auto" recognises CT by its Hounsfield units of air
    noise:       "gaussian", "rician", "ncchi:N" (sum of squares of N coils), or "auto": Rician
                 where an MR scan has a Rayleigh background
    sigma:       standard deviation of the noise in the units of the scan; None estimates it
    percent:     the same in percent of the maximum of the scan, instead of `sigma`
    strength:    share of the change that is made, 0 to 1
    samples:     0 gives the posterior mean in one pass; K > 0 the mean of K posterior samples
    steps:       passes for each posterior sample
    seed:        of the noise of the samples, and of the probes of the uncertainty
    uncertainty: also estimate the standard deviation of the error of each voxel

    Raises ValueError for a value that is not allowed.
    """

    modality: Literal["auto", "mr", "ct"] = "auto"
    noise: str = "auto"
    sigma: float | None = None
    percent: float | None = None
    strength: float = 1.0
    samples: int = 0
    steps: int = 8
    seed: int = 0
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.modality not in ("auto", "mr", "ct"):
            raise ValueError(f"modality is {self.modality!r}; expected auto, mr or ct")
        parse_distribution(self.noise)
        for name, value in (("sigma", self.sigma), ("percent", self.percent)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; expected a number >= 0")
        if self.sigma is not None and self.percent is not None:
            raise ValueError("sigma and percent both give the noise level; expected one of them")
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength is {self.strength}; expected 0 to 1")
        if self.samples < 0 or self.steps < 1:
            raise ValueError(
                f"samples is {self.samples}, steps {self.steps}; expected >= 0 and >= 1"
            )
        if self.uncertainty and self.strength != 1:
            raise ValueError(
                "uncertainty is that of the whole change; it needs a strength of 1, not "
                f"{self.strength}"
            )

    @property
    def distribution(self) -> Distribution | Literal["auto"]:
        """The distribution that `noise` names."""
        return parse_distribution(self.noise)[0]

    @property
    def coils(self) -> int:
        """The number of coils that `noise` names, 1 if none."""
        return parse_distribution(self.noise)[1]

    @property
    def declares_level(self) -> bool:
        """Whether the noise level is given, not estimated."""
        return self.sigma is not None or self.percent is not None
