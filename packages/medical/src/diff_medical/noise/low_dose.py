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

__all__ = [
    "WATER",
    "Dose",
    "Levels",
    "Textures",
    "back_project",
    "line_integrals",
    "noise_textures",
]

WATER = 0.0192
"""Attenuation of water, 1/mm, at about 75 keV."""

LARGEST = 12.0  # line integral from which on no photon arrives; keeps exp() in range
COARSE = 128  # pixels a side from which on line integrals are taken: they vary slowly
FINER = 8  # steps between two detector bins to which places are rounded


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


class Levels(NamedTuple):
    """Noise standard deviations as `diff_medical.noise.estimate` finds them, HU: of a scan as it
    is, and of its two textures.
    """

    scan: float
    photon: float
    electronic: float

    def at(self, weights: tuple[float, float]) -> float:
        """Return the level of the scan with the noise of a lower dose, of `Dose.weights`, added to
        its own.
        """
        return math.hypot(self.scan, weights[0] * self.photon, weights[1] * self.electronic)


def noise_textures(
    slices: NDArray[np.floating], pixel: float, rng: np.random.Generator, *, views: int = 360
) -> Textures:
    """Textures of axial slices (S, N, M) in HU, pixels of `pixel` mm.

    The beam is parallel, over half a turn in `views` steps; a detector bin is as wide as a pixel.
    """
    count, *shape = slices.shape
    size = max(shape)
    angles = torch.arange(views, dtype=torch.float64) * (math.pi / views)
    made = np.empty((2, count, *shape), np.float32)
    for number, hounsfield in enumerate(slices):
        integral = line_integrals(hounsfield, pixel, angles)
        white = torch.from_numpy(rng.standard_normal((2, *integral.shape), dtype=np.float32))
        noise = white * torch.stack((torch.exp(integral / 2), torch.exp(integral)))
        image = back_project(noise, angles, size) * (1000 / (WATER * pixel))
        made[:, number] = image[:, : shape[0], : shape[1]].numpy()
    return Textures(made[0], made[1])


def line_integrals(hounsfield: NDArray[np.floating], pixel: float, angles: Tensor) -> Tensor:
    """(angles, detectors) of an axial slice (N, M) in HU: how much each ray is attenuated, as the
    logarithm of a ratio, in 0 to 12. The slice is padded with air to a square; a detector bin is
    as wide as a pixel, and there are enough for the diagonal.

    A large slice is averaged over pixels first: attenuation along rays varies slowly.
    """
    size = max(hounsfield.shape)
    attenuation = WATER * (1 + torch.from_numpy(np.array(hounsfield, np.float32)) / 1000)
    missing = (0, size - hounsfield.shape[1], 0, size - hounsfield.shape[0])
    square = F.pad(attenuation.clamp(min=0), missing)[None, None]
    bins = _bins(size)
    factor = max(1, size // COARSE)
    if factor == 1:
        return (Radon(angles, size, bins)(square)[0, 0] * pixel).clamp(0, LARGEST)
    square = F.pad(square, (0, -size % factor, 0, -size % factor))
    coarse = Radon(angles, square.shape[-1] // factor)(F.avg_pool2d(square, factor))[0]
    # a coarse bin is `factor` pixels wide; the middles of both lie where the image's does, which
    # padding moves by at most half a coarse pixel
    place = (torch.arange(bins) - (bins - 1) / 2) / factor + (coarse.shape[-1] - 1) / 2
    place = place.clamp(0, coarse.shape[-1] - 1.001)
    low = place.long()
    share = place - low
    fine = coarse[0, :, low] * (1 - share) + coarse[0, :, low + 1] * share
    return (fine * (pixel * factor)).clamp(0, LARGEST)


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
    return smear(torch.fft.irfft(spectrum, length)[..., :detectors], angles, size)


def smear(rows: Tensor, angles: Tensor, size: int) -> Tensor:
    """Back-projection without a filter: (B, angles, detectors) to (B, size, size), the mean over
    angles times pi, linear between bins, which are a pixel apart.
    """
    detectors = rows.shape[-1]
    count = (detectors - 1) * FINER + 1
    fine = F.interpolate(rows.float(), count, mode="linear", align_corners=True).numpy()
    place = (np.arange(size) - (size - 1) / 2) * FINER
    image = np.zeros((rows.shape[0], size, size), np.float32)
    for number, angle in enumerate(angles.tolist()):
        column = (place * math.cos(angle) + ((count - 1) / 2 + 0.5)).astype(np.float32)
        row = (place * math.sin(angle)).astype(np.float32)
        index = (row[:, None] + column).astype(np.intp)
        for plane, values in zip(image, fine[:, number], strict=True):
            plane += np.take(values, index, mode="clip")
    return torch.from_numpy(image * np.float32(math.pi / len(angles)))


def _bins(size: int) -> int:
    """Detector bins that hold the diagonal, as many as `Radon` takes of its own accord."""
    length = math.ceil(math.sqrt(2) * size)
    return length + (length - size) % 2
