"""The settings of an enhancement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from diff_medical.noise.model import Distribution, parse_distribution
from diff_medical.slices.passes import QUALITIES, Quality

__all__ = ["Floor", "Settings"]

Floor = Literal["remove", "keep"]
"""The ways to treat the noise floor of magnitudes."""
SeriesMethod = Literal["auto", "lowrank", "network", "both"]


@dataclass(frozen=True)
class Settings:
    """The settings of an enhancement.

    modality:    "auto" recognises CT by its Hounsfield units of air
    noise:       "gaussian", "rician", "ncchi:N" (sum of squares of N coils), "poisson-ct" (of CT,
                 stronger where rays are attenuated more: `diff_medical.noise.ct.noise_map`), or
                 "auto": Gaussian, Rician where an MR scan has a Rayleigh background
    sigma:       standard deviation of the noise in the units of the scan, for "poisson-ct" of soft
                 tissue; None estimates it
    percent:     the same in percent of the maximum of the scan, instead of `sigma`
    local:       estimate the level of each voxel of an MR scan, where it varies by more than half
                 and no map is given
    strength:    share of the change that is made, 0 to 1
    dose:        of CT: the share of a full dose that the scan was made with, in (0, 1). The noise
                 that a full dose has stays in; None removes all of it
    floor:       of magnitudes: "remove" gives the amplitude without the bias of the noise, "keep"
                 the mean of magnitudes of that amplitude, as an average over repeats has it
    samples:     0 gives the posterior mean in one pass; K > 0 the mean of K posterior samples
    steps:       passes for each posterior sample
    seed:        of the noise of the samples, and of the probes of the uncertainty
    quality:     "draft", "default" or "best": in how many planes the scan is looked at, and how
                 often, see `diff_medical.slices.passes`
    uncertainty: also estimate the standard deviation of the error of each voxel
    series:      of the volumes of a series: "lowrank" enhances them together
                 (`diff_medical.enhancer.low_rank`), "network" each alone, "both" in that order;
                 "auto" takes "lowrank" where it applies, and "both" where much noise is left

    Raises ValueError for a value that is not allowed.
    """

    modality: Literal["auto", "mr", "ct"] = "auto"
    noise: str = "auto"
    sigma: float | None = None
    percent: float | None = None
    local: bool = False
    strength: float = 1.0
    dose: float | None = None
    floor: Floor = "remove"
    samples: int = 0
    steps: int = 8
    seed: int = 0
    quality: Quality = "default"
    uncertainty: bool = False
    series: SeriesMethod = "auto"

    def __post_init__(self) -> None:
        if self.modality not in ("auto", "mr", "ct"):
            raise ValueError(f"modality is {self.modality!r}; expected auto, mr or ct")
        if self.quality not in QUALITIES:
            raise ValueError(f"quality is {self.quality!r}; expected draft, default or best")
        if self.floor not in ("remove", "keep"):
            raise ValueError(f"floor is {self.floor!r}; expected remove or keep")
        if self.series not in get_args(SeriesMethod):
            raise ValueError(f"series is {self.series!r}; expected auto, lowrank, network or both")
        if self.samples and self.series in ("lowrank", "both"):
            raise ValueError("samples are of single volumes; they need series=network")
        parse_distribution(self.noise)
        for name, value in (("sigma", self.sigma), ("percent", self.percent)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; expected a number >= 0")
        if self.sigma is not None and self.percent is not None:
            raise ValueError("sigma and percent both give the noise level; expected one of them")
        if self.local and (self.declares_level or self.samples):
            other = "samples" if self.samples else "sigma and percent"
            raise ValueError(f"local gives a noise level for each voxel; it excludes {other}")
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength is {self.strength}; expected 0 to 1")
        if self.dose is not None and not (0 < self.dose < 1 and self.strength == 1):
            raise ValueError(
                f"dose is {self.dose:g}; expected a share between 0 and 1, without `strength`"
            )
        if self.samples < 0 or self.steps < 1:
            raise ValueError(
                f"samples is {self.samples}, steps {self.steps}; expected >= 0 and >= 1"
            )
        if self.samples and self.noise == "poisson-ct":
            raise ValueError(
                "samples needs one noise level for the whole scan; noise=poisson-ct gives one a "
                "voxel"
            )
        if self.uncertainty and self.strength != 1:
            raise ValueError(
                f"uncertainty is that of the whole change; it needs strength=1, not "
                f"{self.strength:g}"
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
    def change(self) -> float:
        """The fraction of the estimated noise that is removed.

        Where noise of variance s^2 has a part of the share a that is to stay, as a full dose has
        it (the variance goes with 1 / dose), the expected value of that part is a times the noise:
        E[x + n_full | y] = D(y) + a (y - D(y)).
        """
        return self.strength if self.dose is None else 1 - self.dose

    def check_values(self, low: float, modality: str) -> None:
        """Raise ValueError where the settings do not fit a scan.

        low: its least value, which is not negative where its noise is that of magnitudes
        modality: "mr" or "ct", of which only CT has a dose
        """
        if self.dose is not None and modality != "ct":
            raise ValueError(
                "dose is for CT, and this scan is taken for MR; expected modality=ct, or "
                "`strength` instead"
            )
        if self.distribution in ("rician", "ncchi") and low < 0:
            raise ValueError(
                f"noise is {self.noise}, but values go down to {low:g}: magnitudes are never "
                "negative; use noise=gaussian"
            )

    def check_map(self, *, given: bool) -> None:
        """Raise ValueError for a map of levels that is `given` beside another level or samples."""
        if given and self.samples:
            raise ValueError("samples needs one noise level; `sigma_map` gives one a voxel")
        if given and self.declares_level:
            raise ValueError("sigma_map excludes sigma and percent; leave out one of them")

    @property
    def declares_level(self) -> bool:
        """True if the noise level is given, not estimated."""
        return self.sigma is not None or self.percent is not None
