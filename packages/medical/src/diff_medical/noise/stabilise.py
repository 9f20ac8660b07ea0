"""Variance stabilisation of magnitude MR noise, with its exact unbiased inverse.

A magnitude image M = |A + n_1 + i n_2|, n ~ N(0, sigma^2), follows the Rice distribution: near A =
0 its noise is smaller than sigma and its mean is above A. Here M / sigma is mapped by an
increasing f so that f(M / sigma) has standard deviation 1 whatever A is; a Gaussian denoiser then
applies, and the inverse maps what it estimates, E[f(M) | A], back to A itself (not to the mean of
M), so the Rician bias is removed in the same step.

f starts as the classical integral f(m) = int_0^m du / s(u), s(u) the standard deviation of Rice at
mean u, and its slope is then refined until sd[f(M)] = 1 where the first-order formula is inexact
(A < 3 sigma).

The same holds for the root of the sum of squares of N coils, each with its own complex noise:
non-central chi, with 2 N degrees of freedom, of which Rice is N = 1. C. Constantinides et al.,
"Signal-to-noise measurements in magnitude images from NMR phased arrays", MRM 1997, eq. 3.

A. Foi, "Noise estimation and removal in MR imaging: the variance-stabilization approach", ISBI
2011, eqs. 3 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stabiliser", "stabiliser"]

Array = NDArray[np.floating]

_A_MAX = 60.0
_REFINEMENTS = 60


@dataclass(frozen=True)
class Stabiliser:
    """Tables of f (magnitude -> stabilised) and of its unbiased inverse, all in units of sigma.

    m, f:         nodes of f; linear with slope 1 beyond the last
    expected, a:  nodes of E[f(M) | A] -> A; 0 below the first, slope 1 beyond the last
    mean:         E[M | A] at the nodes a
    """

    m: Array
    f: Array
    expected: Array
    a: Array
    mean: Array

    def forward(self, magnitude: Array, sigma: float | Array) -> Array:
        """Return f(magnitude / sigma), float32, same shape; magnitude in scanner units, >= 0;
        sigma > 0, one number or one a voxel.
        """
        _check(sigma)
        scaled = np.asarray(magnitude, dtype=np.float32) / np.asarray(sigma, dtype=np.float32)
        return _interpolate(scaled, self.m, self.f)

    def inverse(self, stabilised: Array, sigma: float | Array) -> Array:
        """The amplitude A whose E[f(M) | A] is `stabilised`, in scanner units, float32; never
        below 0.
        """
        _check(sigma)
        a = _interpolate(np.asarray(stabilised, dtype=np.float32), self.expected, self.a)
        return a * np.asarray(sigma, dtype=np.float32)

    def mean_of(self, amplitude: Array, sigma: float | Array) -> Array:
        """Return the mean E[M | A] of magnitudes of an amplitude, in scanner units, float32."""
        _check(sigma)
        scaled = np.asarray(amplitude, np.float32) / np.asarray(sigma, np.float32)
        return _interpolate(scaled, self.a, self.mean) * np.asarray(sigma, np.float32)

    def reach(self, change: float) -> float:
        """Return the most that a value moves, in units of sigma, whose stabilised value moves by
        at most `change`.

        At high values that is `change` itself. Near 0, where the inverse also removes the bias of
        magnitudes, it is more: 4.5 for 3.5 with Rician noise.
        """
        values = np.arange(0, float(self.m[-1]), 0.01, dtype=np.float32)
        stable = self.forward(values, 1.0)
        moved = (self.inverse(stable + np.float32(s), 1.0) - values for s in (-change, change))
        return max(change, *(float(np.abs(one).max()) for one in moved))


def _check(sigma: float | Array) -> None:
    if not np.all(np.asarray(sigma) > 0):
        raise ValueError(f"sigma must be positive, got {np.min(sigma):g}")


def _interpolate(x: Array, nodes: Array, values: Array) -> Array:
    """Piecewise linear, constant before the first node, slope 1 after the last; slab by slab to
    bound memory.
    """
    out = np.empty(x.shape, dtype=np.float32)
    flat_in, flat_out = x.reshape(-1), out.reshape(-1)
    for start in range(0, flat_in.size, 1 << 20):
        part = flat_in[start : start + (1 << 20)]
        flat_out[start : start + part.size] = np.interp(part, nodes, values) + np.maximum(
            part - nodes[-1], 0
        )
    return out


@lru_cache(maxsize=4)
def stabiliser(coils: int = 1) -> Stabiliser:
    """The stabiliser of magnitude data of `coils` coils, 1 for Rice; made once, in about 0.1 s.

    Beyond an amplitude of 60 sqrt(coils) sigma it is a shift, wrong there by less than
    sqrt(coils) / 60 sigma. Raises ValueError for coils < 1.
    """
    if coils < 1:
        raise ValueError(f"coils is {coils}; expected at least 1")
    floor = float(np.sqrt(2 * coils))  # about the mean where there is no signal
    last = _A_MAX * float(np.sqrt(coils))
    knee = 12 + floor - np.sqrt(2)  # from here on the first-order formula is exact enough
    a = np.concatenate([np.linspace(0, knee, 241)[:-1], np.arange(knee, last + 0.5, 0.5)])
    # m = 0 to where the density at the largest A ends; midpoints carry the slope, the nodes carry
    # f
    nodes = np.concatenate([np.arange(0, knee + 8, 0.025), np.arange(knee + 8, last + 9, 0.125)])
    centres = (nodes[1:] + nodes[:-1]) / 2
    widths = np.diff(nodes)
    density = _density(centres, a[:, None], coils) * widths
    density /= density.sum(axis=1, keepdims=True)
    mean = density @ centres
    sd = np.sqrt(density @ np.square(centres) - np.square(mean))
    edge = a > last - 8  # the upper tail of these leaves the table
    sd[edge] = 1.0
    mean_of_m = np.where(edge, a + (2 * coils - 1) / (2 * np.maximum(a, 1)), mean)

    slope = 1 / np.interp(centres, mean, sd)
    for _ in range(_REFINEMENTS):
        f = np.concatenate([[0.0], np.cumsum(slope * widths)])
        at_centres = (f[1:] + f[:-1]) / 2
        expected = density @ at_centres
        spread = np.sqrt(np.maximum(density @ np.square(at_centres) - np.square(expected), 1e-12))
        spread[edge] = 1.0
        slope = slope * np.interp(centres, mean, spread) ** -0.3
        slope[centres > knee] = 1 / np.interp(centres[centres > knee], mean, sd)
    f = np.concatenate([[0.0], np.cumsum(slope * widths)])
    expected = density @ ((f[1:] + f[:-1]) / 2)
    return Stabiliser(m=nodes, f=f, expected=expected, a=a, mean=mean_of_m)


def _density(m: Array, a: Array, coils: int) -> Array:
    """Density of the non-central chi distribution at m for the amplitude a, up to a factor that
    depends on a alone.
    """
    from scipy.special import ive

    some = m**coils * np.exp(-np.square(m - a) / 2) * ive(coils - 1, m * a)
    none = m ** (2 * coils - 1) * np.exp(-np.square(m) / 2)
    return np.where(a == 0, none, some)
