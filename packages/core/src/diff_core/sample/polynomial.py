r"""Weights that integrate a polynomial through given values exactly.

A multistep method replaces the integrand by the polynomial through its values at some nodes. On a
step scaled to v in [0, 1] that is sum_i w_i f(v_i), where the weights are fixed by the moments
m_j = int_0^1 kernel(v) v^j dv of what the integrand is multiplied by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul

__all__ = ["falling_moments", "rising_moments", "steady", "weights"]


def rising_moments(z: float, count: int) -> list[float]:
    """int_0^1 z e^(-z (1 - v)) v^j dv for j < count: data prediction over a step of z > 0.

    These are j! z phi_(j+1)(-z), with the phi functions of exponential integrators.
    """
    if z >= 1:
        found = [-math.expm1(-z)]
        for j in range(1, count):
            found.append(1 - j / z * found[-1])
        return found
    # that recurrence loses digits for small z: the last by its series, the others downwards
    term = last = z / count
    for m in range(count + 1, count + _TERMS):
        term *= -z / m
        last += term
    found = [last]
    for j in range(count - 1, 0, -1):
        found.append((1 - found[-1]) * z / j)
    return found[::-1]


def falling_moments(z: float, count: int) -> list[float]:
    """int_0^1 z e^(-z v) v^j dv for j < count: noise prediction over a step of z > 0."""
    decay = math.exp(-z)
    if z >= 1:
        found = [-math.expm1(-z)]
        for j in range(1, count):
            found.append(j / z * found[-1] - decay)
        return found
    power, last = z, z / count
    for m in range(1, _TERMS):
        power *= -z / m
        last += power / (m + count)
    found = [last]
    for j in range(count - 1, 0, -1):
        found.append((found[-1] + decay) * z / j)
    return found[::-1]


def weights(nodes: Sequence[float], moments: Sequence[float]) -> list[float]:
    """w with sum_i w_i p(nodes[i]) = sum_j p_j moments[j] for p of degree below len(nodes).

    The nodes are all different; more moments than nodes are ignored.
    """
    found: list[float] = []
    for i, here in enumerate(nodes):
        # Lagrange's basis polynomial of node i, rising powers
        basis, scale = [1.0], 1.0
        for j, other in enumerate(nodes):
            if j != i:
                basis = [
                    up - other * level
                    for up, level in zip([0.0, *basis], [*basis, 0.0], strict=True)
                ]
                scale *= here - other
        found.append(math.fsum(map(mul, basis, moments)) / scale)
    return found


def steady(most: int, length: float, weigh: Callable[[int], Sequence[float]]) -> int:
    """The greatest number p <= most of values that may be extrapolated over a step.

    length: of the step in log-SNR; weigh(p): the weights of the last p values. An error of these
    values grows by up to sum |w| / |sum w|. Where the steps are equal that is at most 2^p - 1, the
    sum of the binomials that extrapolate by a whole step. Where a step is much longer than those
    before it, as the last one of many grids is, it has no bound, and p is lowered until it is no
    more than that. Steps of up to `_SHORT` are left alone, over which the values change little: so
    every grid that grows finer keeps the order of the method.
    """
    for points in range(most, 1, -1):
        found = weigh(points)
        growth = sum(map(abs, found)) / abs(math.fsum(found))
        if length <= _SHORT or growth <= (2**points - 1) * (1 + 1e-9):
            return points
    return 1


_SHORT = 0.65
_TERMS = 20
