"""Making a clean slab look like a worse scan: shading, motion, resolution, noise.

Every part is off by default. What is random comes from the generator given, so that an item of
training stays a pure function of its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diff_medical.noise.low_dose import Dose

__all__ = [
    "Degradation", "add_noise", "bias_field", "coarsen", "low_dose_noise", "move", "wear",
]  # fmt: skip

Array = NDArray[np.float32]
Noise = Literal["none", "gaussian", "rician", "noncentral chi"]


@dataclass(frozen=True)
class Degradation:
    """The degradation of a slab (S, H, W) in normalised units. Probabilities are per item; 0 is
    off.

    noise:      of MR: none, Gaussian, of one coil (Rician) or of several (non-central chi)
    sigma:      its range, log-uniform, in units of the bright level; of each channel of a coil
    coils:      of non-central chi noise
    bias, bias_sd: probability of shading over the field of view, which stays in the target, and
                the standard deviation of its logarithm
    motion, shift, turn, poses: probability that an MR patient moved; ranges of each movement along
                each axis of the slices (voxels) and about their normal (degrees), either way; and
                how many poses at most
    blur, factor: probability of a lower resolution in plane, and how much lower at most
    low_dose, share, dose: probability that a CT slab gets the noise of a lower dose, the range of
                its share of the dose, log-uniform, and the dose of the scan; the corpus must hold
                the textures
    """

    noise: Noise = "none"
    sigma: tuple[float, float] = (0.01, 0.2)
    coils: int = 8
    bias: float = 0.0
    bias_sd: float = 0.2
    motion: float = 0.0
    shift: float = 3.0
    turn: float = 2.0
    poses: int = 6
    blur: float = 0.0
    factor: float = 2.0
    low_dose: float = 0.0
    share: tuple[float, float] = (0.05, 0.5)
    dose: Dose = field(default_factory=Dose)

    def __post_init__(self) -> None:
        if self.noise not in ("none", "gaussian", "rician", "noncentral chi"):
            raise ValueError(
                "noise must be 'none', 'gaussian', 'rician' or 'noncentral chi', "
                f"got {self.noise!r}"
            )
        for name in ("bias", "motion", "blur", "low_dose"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must be a probability in [0, 1], got {value}")
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma must be a range of positive numbers, got {self.sigma}")
        if not 0 < self.share[0] <= self.share[1] < 1:
            raise ValueError(f"share must be a range in (0, 1), got {self.share}")
        if self.coils < 1 or self.poses < 2 or self.factor < 1:
            raise ValueError(
                "coils must be 1 or more, poses 2 or more, factor 1 or more, "
                f"got {self.coils}, {self.poses}, {self.factor:g}"
            )

    @property
    def is_on(self) -> bool:
        """True if anything is done at all."""
        return self.noise != "none" or self.wears or self.low_dose > 0

    @property
    def wears(self) -> bool:
        """True if `wear` does anything, for which it needs whole slices."""
        return any((self.bias, self.motion, self.blur))


def wear(
    planes: Array, degradation: Degradation, modality: str, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Whole slices (S, H, W) to (target, worn): both shaded, one moved and coarsened too."""
    target = planes
    if modality == "mr" and degradation.bias and rng.random() < degradation.bias:
        target = target * bias_field(target.shape, degradation.bias_sd, rng)
    worn = target
    if modality == "mr" and degradation.motion and rng.random() < degradation.motion:
        worn = move(worn, degradation, rng)
    if degradation.blur and rng.random() < degradation.blur:
        worn = coarsen(worn, rng.uniform(1.0, degradation.factor), int(rng.integers(1, 3)))
    return target, worn


def bias_field(shape: tuple[int, ...], sd: float, rng: np.random.Generator) -> Array:
    """A smooth positive field of geometric mean near 1: cosines of up to one period an axis.

    sd: of its logarithm, natural
    """
    log = np.zeros(shape)
    waves = [
        [
            np.cos(np.pi * k * (np.arange(n) + 0.5) / n) * (2.0 if k else 1.0) ** 0.5
            for k in range(3)
        ]
        for n in shape
    ]
    orders = [
        (i, j, k)
        for i in range(2)
        for j in range(3)
        for k in range(3)
        if 0 < i + j + k <= 2
    ]  # fmt: skip
    for i, j, k in orders:
        cosine = waves[0][i][:, None, None] * waves[1][j][None, :, None] * waves[2][k]
        log += sd / len(orders) ** 0.5 * rng.standard_normal() * cosine
    return np.exp(log).astype(np.float32)


def move(planes: Array, degradation: Degradation, rng: np.random.Generator) -> Array:
    """Magnitude slices (S, H, W) of a patient who moves between groups of phase-encoding lines.

    R. Shaw et al., "MRI k-space motion artefact augmentation: model robustness and task-specific
    uncertainty", MIDL 2019. The lines run along the last axis, in order; those around the middle
    of k-space see the patient in place. Slices move together and in their plane.
    """
    from scipy.ndimage import rotate

    height, width = planes.shape[1:]
    edges = np.sort(rng.integers(1, height, int(rng.integers(1, degradation.poses))))
    spans = np.split(np.arange(height), edges)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    still = np.fft.fft2(planes)
    lines = np.fft.fftshift(np.arange(height))  # as they are acquired, lowest frequency first
    mixed = still.copy()
    for span in spans:
        if height // 2 in span:
            continue
        down, right = rng.uniform(-degradation.shift, degradation.shift, 2)
        turned = rotate(
            planes,
            rng.uniform(-degradation.turn, degradation.turn),
            (1, 2),
            reshape=False,
            order=1,
        )
        moved = np.fft.fft2(turned) * np.exp(-2j * np.pi * (down * rows + right * columns))
        mixed[:, lines[span]] = moved[:, lines[span]]
    return np.abs(np.fft.ifft2(mixed)).astype(np.float32)


def coarsen(planes: Array, factor: float, axis: int) -> Array:
    """Slices (S, H, W) with only the inner 1 / factor of k-space along an axis, as a scanner that
    fills the rest with zeros gives them; same size.
    """
    spectrum = np.fft.rfft(planes, axis=axis)
    kept = np.fft.rfftfreq(planes.shape[axis]) <= 0.5 / factor
    shape = [1, 1, 1]
    shape[axis] = len(kept)
    return np.fft.irfft(spectrum * kept.reshape(shape), planes.shape[axis], axis).astype(
        np.float32
    )


def low_dose_noise(
    photon: Array, electronic: Array, weights: tuple[float, float], rng: np.random.Generator
) -> Array:
    """The textures' sum with `weights` and random signs, HU."""
    signs = rng.choice((-1.0, 1.0), 2)
    noise = signs[0] * weights[0] * photon + signs[1] * weights[1] * electronic
    return noise.astype(np.float32)


def add_noise(
    worn: Array, degradation: Degradation, sigma: float, rng: np.random.Generator
) -> Array:
    """The slab with noise of standard deviation `sigma` in each channel.

    Gaussian: A + n. Rician: |A + n_1 + i n_2|. Non-central chi of L coils: the root of the sum of
    squares over 2 L channels of which one holds A (H. Gudbjartsson and S. Patz, "The Rician
    distribution of noisy MRI data", 1995; C. Constantinides et al., "Signal-to-noise measurements
    in magnitude images from NMR phased arrays", 1997).
    """
    if degradation.noise == "none":
        return worn
    first = worn + np.float32(sigma) * rng.standard_normal(worn.shape, dtype=np.float32)
    if degradation.noise == "gaussian":
        return first.astype(np.float32, copy=False)
    if degradation.noise == "rician":
        second = np.float32(sigma) * rng.standard_normal(worn.shape, dtype=np.float32)
        return np.hypot(first, second).astype(np.float32)
    rest = sigma**2 * rng.chisquare(2 * degradation.coils - 1, worn.shape)
    return np.sqrt(first**2 + rest).astype(np.float32)
