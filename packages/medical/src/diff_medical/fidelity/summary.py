"""The summary of a set of images before it is compared: features, tones, spectra, diversity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "RANGE", "Summary", "diversity", "histograms", "radii_of", "spectra"]

Array = NDArray[np.floating]
RANGE = 1.25
"""The highest tone of a histogram, which begins at 0."""
BINS = 250
"""The number of bins of a histogram."""
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang 2003, of the scales


@dataclass(frozen=True)
class Summary:
    """The summary of N images: features (N, D), histograms (N, BINS), spectra (N, R), similarity
    (P,).

    similarity: MS-SSIM of pairs of the images
    """

    features: Array
    histograms: Array
    spectra: Array
    similarity: Array

    @classmethod
    def of(cls, images: NDArray[np.float32], features: Array, seed: int = 0) -> Summary:
        """Return the summary of tones (N, *S) and their features. Raises ValueError for other
        numbers of rows.
        """
        if len(images) != len(features):
            raise ValueError(
                f"features has {len(features)} rows for {len(images)} images; expected one each"
            )
        return cls(features, histograms(images), spectra(images), diversity(images, seed))

    def part(self, rows: NDArray[np.int64]) -> Summary:
        """Return some of the images; the similarity is of all."""
        return Summary(
            self.features[rows], self.histograms[rows], self.spectra[rows], self.similarity
        )

    def __len__(self) -> int:
        return len(self.features)


def histograms(images: NDArray[np.float32]) -> Array:
    """Return (N, BINS) counts of tones from 0 to RANGE; what is beyond counts at the ends."""
    places = (images.reshape(len(images), -1).clip(0, RANGE) / RANGE * BINS).astype(np.int64)
    places = places.clip(0, BINS - 1) + np.arange(len(images))[:, None] * BINS
    counts = np.bincount(places.reshape(-1), minlength=len(images) * BINS)
    return counts.reshape(len(images), BINS).astype(np.float64)


def radii_of(size: int) -> Array:
    """Return the radii, cycles a pixel, of `spectra`: 1 / size to 1 / 2."""
    return np.arange(1, size // 2 + 1) / size


def spectra(images: NDArray[np.float32]) -> Array:
    """Return (N, R) mean power of images (N, *S) with equal axes at each of the radii, Hann
    window.

    Never 0: a floor far below the rounding of the images is added.
    """
    size = images.shape[1]
    axes = tuple(range(1, images.ndim))
    taper = np.hanning(size + 2)[1:-1]
    window = taper
    for _ in axes[1:]:
        window = np.multiply.outer(window, taper)
    frequencies = [np.fft.fftfreq(size) * size] * (len(axes) - 1) + [np.fft.rfftfreq(size) * size]
    grid = np.meshgrid(*frequencies, indexing="ij")
    rings = np.sqrt(sum(np.square(g) for g in grid)).round().astype(np.int64).reshape(-1)
    count = np.bincount(rings)[1 : size // 2 + 1]
    made = np.empty((len(images), size // 2))
    for row, image in zip(made, images, strict=True):
        centred = (image - image.mean()) * window
        power = np.square(np.abs(np.fft.rfftn(centred))).reshape(-1) / size ** len(axes)
        row[:] = np.bincount(rings, power)[1 : size // 2 + 1] / count
    return made + 1e-12


def diversity(images: NDArray[np.float32], seed: int = 0, most: int = 100) -> Array:
    """Return (P,) MS-SSIM of disjoint pairs of images (N, *S), P = N / 2 but at most `most`.

    Z. Wang et al., "Multiscale structural similarity for image quality assessment", 2003, by
    MONAI, with as many of the five scales as fit the size. Alike samples of a generator that has
    collapsed come near 1; compare with the same of real images.
    """
    import torch
    from monai.metrics.regression import compute_ms_ssim

    order = np.random.default_rng(seed).permutation(len(images))
    count = min(len(images) // 2, most)
    size = min(images.shape[1:])
    # the window, of eleven pixels, must fit the coarsest; MONAI asks for it at (scales - 1)^2
    scales = next(
        n for n in range(5, 0, -1) if n == 1 or size // max(2 ** (n - 1), (n - 1) ** 2) > 10
    )
    weights = np.array(_WEIGHTS[:scales]) / sum(_WEIGHTS[:scales])
    first, second = (
        torch.from_numpy(images[order[start : 2 * count : 2]])[:, None] for start in (0, 1)
    )
    found = compute_ms_ssim(
        first, second, images.ndim - 1, data_range=RANGE, weights=weights.tolist()
    )
    return found[:, 0].numpy().astype(np.float64)
