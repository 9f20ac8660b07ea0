"""Scores of an enhancer in training on CT of a lower dose: fixed slices, fixed noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from diff_core.denoiser import Denoiser
from diff_medical.data.reading import Loaded
from diff_medical.enhancer.training.validation import HeldOut
from diff_medical.metrics.scores import score
from diff_medical.noise.level import estimate
from diff_medical.noise.low_dose import Dose, noise_textures
from diff_medical.scan.intensity import WINDOWS, Modality, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.mean import posterior_mean

__all__ = ["DoseCase", "DoseValidation"]

SHARES = (0.25, 0.10)
SLICES = 6
SIDE = 320


@dataclass(frozen=True)
class DoseCase:
    """Axial slices (X, Y, Z) in HU as they are, and as each of SHARES of the dose shows them;
    spacing in mm, and the noise levels that the enhancer estimates, HU.
    """

    name: str
    clean: NDArray[np.float32]
    noisy: tuple[NDArray[np.float32], ...]
    levels: tuple[float, ...]
    spacing: Spacing

    @classmethod
    def of(cls, name: str, scan: NDArray[np.floating], spacing: Spacing) -> DoseCase:
        """The middle of a CT scan (X, Y, Z)."""
        depth = scan.shape[2]
        first = max(0, (depth - SLICES) // 2)
        planes = np.asarray(scan[:, :, first : first + SLICES], np.float32).clip(-1024, 3000)
        made = noise_textures(np.moveaxis(planes, 2, 0), spacing[0], np.random.default_rng(0))
        photon, electronic = (np.moveaxis(texture, 0, 2) for texture in made)
        noisy: list[NDArray[np.float32]] = []
        for share in SHARES:
            of_photons, of_detector = Dose().weights(share)
            noise = of_photons * photon + of_detector * electronic
            noisy.append(planes + noise.astype(np.float32))
        levels = tuple(estimate(one, spacing, modality="ct").sigma for one in noisy)
        starts = [max(0, (n - SIDE) // 2) for n in scan.shape[:2]]
        x, y = (slice(start, start + SIDE) for start in starts)
        return cls(name, planes[x, y], tuple(one[x, y] for one in noisy), levels, spacing)


@dataclass(frozen=True)
class DoseValidation(HeldOut[DoseCase]):
    """PSNR (dB) in the windows of the chest and the abdomen, data range 1.

    Of the middle SLICES slices of each scan the middle SIDE x SIDE pixels count. The noise is that
    of SHARES of the dose, simulated in the projections, its level the blind estimate.
    """

    modality: ClassVar[Modality] = "ct"

    @classmethod
    def case(cls, name: str, scan: Loaded) -> DoseCase:
        return DoseCase.of(name, scan.values, scan.spacing)

    def each(self, denoiser: Denoiser) -> dict[str, list[float]]:
        """The scores of each scan."""
        found: dict[str, list[float]] = {}
        for case in self.cases:
            to = scale(case.clean, "ct")
            for share, noisy, level in zip(SHARES, case.noisy, case.levels, strict=True):
                start = torch.from_numpy(to.normalise(noisy))
                mean = posterior_mean(denoiser, start, level / to.scale, case.spacing)
                estimate_hu = to.restore(mean.numpy())
                for name in ("chest", "abdomen"):
                    window = WINDOWS[name]
                    one = score(window(case.clean), window(estimate_hu), data_range=1.0)
                    found.setdefault(f"psnr {name} dose {share:.0%}", []).append(one.psnr)
        return found
