"""The noise of CT at a lower dose, made where it arises: in the projections.

Only the noise is simulated, and added to the scan: filtered back-projection is linear, so the scan
keeps its resolution and kernel. Photon noise and the detector's own noise enter with different
powers of the attenuation, so a slice has two textures, from which the noise at any dose is a
weighted sum: they are made once and kept.

L. Yu et al., "Development and validation of a practical lower-dose-simulation tool for optimizing
CT scan protocols", JCAT 2012. A. Kak and M. Slaney, "Principles of Computerized Tomographic
Imaging", 1988, eqs. 3.61 and 3.68.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diff_core.operator.radon import Radon

__all__ = ["WATER", "Dose", "Textures", "back_project", "noise_textures"]

WATER = 0.0192
"""Attenuation of water, 1/mm, at about 75 keV."""

LARGEST = 12.0  # line integral from which on no photon arrives; keeps exp() in range


@dataclass(frozen=True)
class Dose:
    """A scan of `photons` a ray in air and of electronic noise `electronic` (photons, sd).

    Raises ValueError for numbers out of range.
    """

    photons: float = 1e6
    electronic: float = 10.0

    def __post_init__(self) -> None:
        if not self.photons > 0 or self.electronic < 0:
            raise ValueError(
                f"photons must be positive and electronic at least 0, "
                f"got {self.photons} and {self.electronic}"
            )

    def weights(self, share: float) -> tuple[float, float]:
        """Factors of the two textures for the noise that a `share` in (0, 1) of the dose adds.

        Its variance in the projections is (1 - a)/a e^p/I (1 + (1 + a)/a s^2 e^p/I).
        """
        if not 0 < share < 1:
            raise ValueError(f"share must be in (0, 1), got {share}")
        photon = math.sqrt((1 - share) / (share * self.photons))
        detector = math.sqrt(1 - share**2) / share * self.electronic / self.photons
        return photon, detector


class Textures(NamedTuple):
    """Noise (..., N, M) in HU of one photon, and of one electron, a ray."""

    photon: NDArray[np.float32]
    electronic: NDArray[np.float32]


def noise_textures(
    slices: NDArray[np.floating], pixel: float, rng: np.random.Generator, *, views: int = 360
) -> Textures:
    """Textures of axial slices (S, N, M) in HU, pixels of `pixel` mm.

    The beam is parallel, over half a turn in `views` steps; a detector bin is as wide as a pixel.
    """
    count, *shape = slices.shape
    size = max(shape)
    angles = torch.arange(views, dtype=torch.float64) * (math.pi / views)
    radon = Radon(angles, size)
    made = np.empty((2, count, *shape), np.float32)
    for number, hounsfield in enumerate(slices):
        attenuation = WATER * (1 + torch.from_numpy(np.asarray(hounsfield, np.float32)) / 1000)
        padded = F.pad(attenuation.clamp(min=0), (0, size - shape[1], 0, size - shape[0]))
        integral = (radon(padded[None, None])[0] * pixel).clamp(0, LARGEST)
        white = torch.from_numpy(rng.standard_normal((2, *integral.shape[1:]), dtype=np.float32))
        noise = white * torch.cat((torch.exp(integral / 2), torch.exp(integral)))
        image = back_project(noise, angles, size) * (1000 / (WATER * pixel))
        made[:, number] = image[:, : shape[0], : shape[1]].numpy()
    return Textures(made[0], made[1])


def back_project(sinogram: Tensor, angles: Tensor, size: int) -> Tensor:
    """Filtered back-projection: line integrals (B, angles, detectors) in pixels, over half a turn,
    to images (B, size, size) with the axes of `diff_core.operator.Radon`.

    The ramp filter has a Hann window.
    """
    detectors = sinogram.shape[-1]
    length = 2 ** math.ceil(math.log2(2 * detectors))
    lag = torch.arange(length)
    lag = torch.minimum(lag, length - lag).double()
    ramp = torch.where(lag % 2 == 1, -1 / (math.pi * lag.clamp(min=1)) ** 2, torch.zeros_like(lag))
    ramp[0] = 0.25
    frequency = torch.fft.rfftfreq(length).double()
    response = torch.fft.rfft(ramp).real * (0.5 + 0.5 * torch.cos(2 * math.pi * frequency))
    spectrum = torch.fft.rfft(sinogram, length) * response.to(sinogram)
    rows = torch.fft.irfft(spectrum, length)[..., :detectors]

    image = sinogram.new_zeros(sinogram.shape[0], size, size)
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    for angle, row in zip(angles.tolist(), rows.unbind(1), strict=True):
        s = place[None, :] * math.cos(angle) + place[:, None] * math.sin(angle)
        s = (s + (detectors - 1) / 2).clamp(0, detectors - 1.001)
        low = s.long()
        share = (s - low).to(row)
        image += row[:, low] * (1 - share) + row[:, low + 1] * share
    return image * (math.pi / len(angles))
