"""Variance stabilisation of magnitude MR noise, with its exact unbiased inverse.

A magnitude image M = |A + n_1 + i n_2|, n ~ N(0, sigma^2), follows the Rice distribution: near A =
0 its noise is smaller than sigma and its mean is above A. Here M / sigma is mapped by an
increasing f so that f(M / sigma) has standard deviation 1 whatever A is; a Gaussian denoiser then
applies, and the inverse maps what it estimates, E[f(M) | A], back to A itself (not to the mean of
M), so the Rician bias is removed in the same step.

f starts as the classical integral f(m) = int_0^m du / s(u), s(u) the standard deviation of Rice at
mean u, and its slope is then refined until sd[f(M)] = 1 where the first-order formula is inexact
(A < 3 sigma).

A. Foi, "Noise estimation and removal in MR imaging: the variance-stabilization approach", ISBI
2011, eqs. 3 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["RicianStabiliser", "rice_mean", "rice_sd", "rician_stabiliser"]

Array = NDArray[np.floating]

_A_MAX = 60.0
_REFINEMENTS = 60


def rice_mean(a: Array) -> Array:
    """Mean of the Rice distribution with sigma = 1 and true amplitude `a` >= 0 (any shape)."""
    from scipy.special import ive

    half = np.square(np.asarray(a, dtype=np.float64)) / 4
    return np.sqrt(np.pi / 2) * ((1 + 2 * half) * ive(0, half) + 2 * half * ive(1, half))


def rice_sd(a: Array) -> Array:
    """Standard deviation of the Rice distribution with sigma = 1 and true amplitude `a` >= 0 (any
    shape).
    """
    a = np.asarray(a, dtype=np.float64)
    large = 1 - 1 / (4 * np.square(np.maximum(a, 1.0)))  # the difference below cancels for large a
    return np.where(
        a > 200, large, np.sqrt(np.maximum(2 + np.square(a) - np.square(rice_mean(a)), 1e-12))
    )


@dataclass(frozen=True)
class RicianStabiliser:
    """Tables of f (magnitude -> stabilised) and of its unbiased inverse, all in units of sigma.

    m, f:         nodes of f; linear with slope 1 beyond the last
    expected, a:  nodes of E[f(M) | A] -> A; 0 below the first, slope 1 beyond the last
    """

    m: Array
    f: Array
    expected: Array
    a: Array

    def forward(self, magnitude: Array, sigma: float) -> Array:
        """f(magnitude / sigma), float32, same shape; magnitude in scanner units, >= 0; sigma >
        0.
        """
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        scaled = np.asarray(magnitude, dtype=np.float32) / np.float32(sigma)
        return _interpolate(scaled, self.m, self.f)

    def inverse(self, stabilised: Array, sigma: float) -> Array:
        """The amplitude A whose E[f(M) | A] is `stabilised`, in scanner units, float32; never
        below 0.
        """
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        a = _interpolate(np.asarray(stabilised, dtype=np.float32), self.expected, self.a)
        return a * np.float32(sigma)


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


@lru_cache(maxsize=1)
def rician_stabiliser() -> RicianStabiliser:
    """The stabiliser for single-coil magnitude data (Rice); computed once, in about 0.1 s."""
    from scipy.special import ive

    a = np.concatenate([np.linspace(0, 12, 241)[:-1], np.linspace(12, _A_MAX, 97)])
    mean, sd = rice_mean(a), rice_sd(a)
    # m = 0 to where the density at the largest A ends; midpoints carry the slope, the nodes carry
    # f
    nodes = np.concatenate([np.linspace(0, 20, 801)[:-1], np.linspace(20, _A_MAX + 9, 393)])
    centres = (nodes[1:] + nodes[:-1]) / 2
    widths = np.diff(nodes)

    density = (
        centres
        * np.exp(-np.square(centres - a[:, None]) / 2)
        * ive(0, centres * a[:, None])
        * widths
    )
    density /= density.sum(axis=1, keepdims=True)

    slope = 1 / np.interp(centres, mean, sd)
    for _ in range(_REFINEMENTS):
        f = np.concatenate([[0.0], np.cumsum(slope * widths)])
        at_centres = (f[1:] + f[:-1]) / 2
        expected = density @ at_centres
        spread = np.sqrt(np.maximum(density @ np.square(at_centres) - np.square(expected), 1e-12))
        spread[a > _A_MAX - 8] = 1.0  # their upper tail leaves the table
        slope = slope * np.interp(centres, mean, spread) ** -0.3
        slope[centres > 12] = 1 / np.interp(centres[centres > 12], mean, sd)
    f = np.concatenate([[0.0], np.cumsum(slope * widths)])
    expected = density @ ((f[1:] + f[:-1]) / 2)
    return RicianStabiliser(m=nodes, f=f, expected=expected, a=a)
