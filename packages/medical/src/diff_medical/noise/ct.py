"""The noise of a CT scan: its level in soft tissue, and its map over the slices.

Level: the mode of the local standard deviation in soft tissue, which also sees noise that is
correlated between voxels. O. Christianson et al., "Automated technique to measure noise in
clinical CT examinations", AJR 2015.

Map: photons are counted, so a ray that is attenuated by e^p has a variance of its line integral in
proportion to e^p (Poisson), and filtered back-projection adds up those of all rays that pass:
Var(x) ~ sum over angles of e^p(angle, x). A. Kak and M. Slaney, "Principles of Computerized
Tomographic Imaging", 1988, chapter 5.2. The line integrals are those of the scan itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diff_medical.noise.model import Region
from diff_medical.scan import scratch
from diff_medical.scan.spacing import Spacing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MAD_TO_SD", "NoiseMap", "noise_map", "soft_tissue"]

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

MAD_TO_SD = 1 / 0.6744897501960817
"""The standard deviation of normal noise over its median absolute deviation."""
TISSUE = (-150.0, 250.0)  # HU of soft tissue, fat included
FEWEST = 500  # voxels of soft tissue from which its noise can be told
WINDOW = 7
VIEWS = 60
STEP = 5.0  # mm between the slices of a map that are computed; those between are interpolated
NEAR = 3  # slices computed, on either side, that a slice's own level is the median of
LIMITS = (0.5, 3.0)  # times the level in soft tissue: the range of a map


def soft_tissue(volume: Array, axes: tuple[int, ...]) -> Region | None:
    """Return the mode of the 7-by-7 standard deviation where all of the window is soft tissue
    (-150 to 250 HU); None if nowhere.
    """
    plane = axes[:2]
    if len(plane) < 2:
        return None
    values = volume.astype(np.float32, copy=False)
    sd, tissue = _local_sd(values, plane)
    if (within := _mode(sd[tissue])) is None:
        return None
    steps = np.abs(np.diff(values, axis=plane[0], append=values.take([-1], plane[0]))[tissue])
    step = float(np.median(steps)) * MAD_TO_SD
    return Region(within, _window_correlation(within, step), float(tissue.mean()))


def noise_map(volume: Array, spacing: Spacing, sigma: float) -> NDArray[np.float32]:
    """The whole map of a CT volume (X, Y, Z) that `NoiseMap.of` makes."""
    made = NoiseMap.of(lambda planes: volume[:, :, planes], volume.shape, spacing, sigma)
    return made(slice(0, volume.shape[2]))


@dataclass(frozen=True)
class NoiseMap:
    """Standard deviation of the noise of each voxel of a CT volume, HU; slices between those that
    were computed are interpolated when they are asked for.

    nodes:  (X, Y, N), of the slices `chosen`
    chosen: which slices those are, the first and the last among them
    """

    nodes: NDArray[np.float32]
    chosen: tuple[int, ...]

    def __call__(self, planes: slice) -> NDArray[np.float32]:
        """(X, Y, n) of the slices from `planes.start` to `planes.stop`."""
        shape = (*self.nodes.shape[:2], planes.stop - planes.start)
        made = np.empty(shape, np.float32, order="F")
        for number in range(planes.start, planes.stop):
            upper = int(np.searchsorted(self.chosen, number))
            lower = max(0, upper - 1)
            span = self.chosen[upper] - self.chosen[lower]
            share = np.float32((number - self.chosen[lower]) / span if span else 0.0)
            low, high = self.nodes[:, :, lower], self.nodes[:, :, upper]
            made[:, :, number - planes.start] = low * (1 - share) + high * share
        return made

    @classmethod
    def of(
        cls,
        read: Callable[[slice], Array],
        shape: tuple[int, ...],
        spacing: Spacing,
        sigma: float,
    ) -> NoiseMap:
        """The map of a CT volume (X, Y, Z), whose planes along Z `read` gives, where the noise is
        `sigma` in soft tissue.

        Axial slices along Z, pixels of spacing[0] mm, a parallel beam, no filter in front of the
        tube. Slices follow their own soft tissue, as tube currents differ along a patient; within
        a slice the shape is that of physics. The map is kept within 0.5 to 3 times sigma. Without
        soft tissue it is of all voxels that sigma is the median.

        Raises ValueError for a sigma that is not positive.
        """
        if not (math.isfinite(sigma) and sigma > 0):
            raise ValueError(f"sigma is {sigma}; expected a positive number")
        import torch

        depth = shape[2]
        step = max(1, round(STEP / spacing[2]))
        chosen = sorted({*range(0, depth, step), depth - 1})
        angles = torch.arange(VIEWS, dtype=torch.float64) * (math.pi / VIEWS)
        size = (*shape[:2], len(chosen))
        nodes = scratch.empty(size, np.float32, large=math.prod(size) > scratch.LARGE)
        levels: list[float] = []
        modes: list[float] = []
        for place, number in enumerate(chosen):
            plane = np.asarray(read(slice(number, number + 1))[:, :, 0], np.float32)
            profile = _shape(plane, spacing[0], angles)
            sd, tissue = _local_sd(plane, (0, 1))
            nodes[:, :, place] = profile
            levels.append(_mode((sd / profile)[tissue]) or math.nan)
            modes.append(float(np.median(profile[tissue if tissue.sum() >= FEWEST else ...])))
        steady = _steady(np.array(levels))
        factors = steady * (sigma / float(np.median(steady * np.array(modes))))
        for place, factor in enumerate(factors.tolist()):
            level = nodes[:, :, place] * np.float32(factor)
            nodes[:, :, place] = np.clip(level, LIMITS[0] * sigma, LIMITS[1] * sigma)
        scratch.release(nodes)
        return cls(nodes, tuple(chosen))


def _shape(plane: NDArray[np.float32], pixel: float, angles: Tensor) -> NDArray[np.float32]:
    """The noise of a slice (X, Y) by physics, up to a factor."""
    from diff_medical.noise.low_dose import line_integrals, smear

    integral = line_integrals(plane.clip(-1024, 3000), pixel, angles)
    variance = smear(integral.exp()[None], angles, max(plane.shape))[0].numpy()
    return np.sqrt(variance[: plane.shape[0], : plane.shape[1]])


def _steady(levels: Array) -> Array:
    """Running median over 2 NEAR + 1 levels, of those that are finite; 1 if none is."""
    known = levels[np.isfinite(levels)]
    if not known.size:
        return np.ones_like(levels)
    made = np.empty_like(levels)
    for number in range(len(levels)):
        near = levels[max(0, number - NEAR) : number + NEAR + 1]
        near = near[np.isfinite(near)]
        made[number] = np.median(near if near.size else known)
    return made


def _local_sd(values: NDArray[np.float32], plane: tuple[int, ...]) -> tuple[Array, Mask]:
    """The standard deviation within a window around each voxel, and where all of that window is
    soft tissue.
    """
    from scipy.ndimage import uniform_filter1d

    def window_mean(x: Array) -> Array:
        for axis in plane:
            x = uniform_filter1d(x, WINDOW, axis=axis)
        return x

    mean = window_mean(values)
    # noise alone may leave the range, so it is the smoothed value that must be tissue, all over
    # the window
    inside = (mean > TISSUE[0]) & (mean < TISSUE[1])
    tissue = window_mean(inside.astype(np.float32)) > 0.999
    return np.sqrt(np.maximum(window_mean(np.square(values - mean)), 0)), tissue


def _mode(sd: Array) -> float | None:
    """The commonest of positive numbers that spread over a few powers of ten; None of too few."""
    sd = sd[sd > 0]
    if sd.size < FEWEST:
        return None
    low, high = np.log(np.quantile(sd, [0.001, 0.95]) + 1e-6)
    counts, edges = np.histogram(np.log(sd), bins=60, range=(low, max(high, low + 1e-3)))
    counts = np.convolve(counts, [1, 2, 3, 2, 1], mode="same")
    peak = int(np.argmax(counts))
    return float(np.exp((edges[peak] + edges[peak + 1]) / 2))


def _window_correlation(within: float, step: float) -> float:
    """Correlation rho of neighbours from the sd within windows and the sd of first differences.

    With a Gaussian autocorrelation rho^(d^2), separable in the plane, both are known functions:
    within^2 = sigma^2 g(rho), since a window's own mean takes away more of a correlated noise, and
    step^2 = 2 sigma^2 (1 - rho). `within` itself is not corrected by g: where fine anatomy passes
    for correlated noise that would overstate sigma, which is the harmful side.
    """
    rho = np.linspace(0, 0.95, 400)
    offset = np.arange(-3, 4)
    centre = np.power(rho[:, None], np.square(offset)).mean(axis=1)
    pairs = np.power(rho[:, None, None], np.square(offset[:, None] - offset)).mean(axis=(1, 2))
    ratio = (1 - rho) / (1 - 2 * centre**2 + pairs**2)
    return float(rho[np.argmin(np.abs(ratio - step**2 / (2 * within**2)))])
