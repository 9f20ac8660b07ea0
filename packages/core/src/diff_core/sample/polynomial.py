r"""Weights that integrate a polynomial through given values exactly.

A multistep method replaces the integrand by the polynomial through its values at some nodes. On a
step scaled to v in [0, 1] that is sum_i w_i f(v_i), where the weights are fixed by the moments
m_j = int_0^1 kernel(v) v^j dv of what the integrand is multiplied by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import factorial

__all__ = ["falling_moments", "rising_moments", "weights"]


def rising_moments(z: float, count: int) -> list[float]:
    """int_0^1 z e^(-z (1 - v)) v^j dv for j < count: data prediction over a step of z > 0.

    These are j! z phi_(j+1)(-z), with the phi functions of exponential integrators.
    """
    if z < 1:
        # the recurrence divides by z, the series converges at once
        return [
            math.fsum(factorial(j) * z * (-z) ** m / factorial(m + j + 1) for m in _TERMS)
            for j in range(count)
        ]
    found = [-math.expm1(-z)]
    for j in range(1, count):
        found.append(1 - j / z * found[-1])
    return found


def falling_moments(z: float, count: int) -> list[float]:
    """int_0^1 z e^(-z v) v^j dv for j < count: noise prediction over a step of z > 0."""
    if z < 1:
        return [
            math.fsum(z * (-z) ** m / (factorial(m) * (m + j + 1)) for m in _TERMS)
            for j in range(count)
        ]
    found = [-math.expm1(-z)]
    for j in range(1, count):
        found.append(j / z * found[-1] - math.exp(-z))
    return found


def weights(nodes: Sequence[float], moments: Sequence[float]) -> list[float]:
    """w with sum_i w_i p(nodes[i]) = sum_j p_j moments[j] for p of degree below len(nodes).

    The nodes are all different; more moments than nodes are ignored.
    """
    found: list[float] = []
    for i, here in enumerate(nodes):
        # Lagrange's basis polynomial of node i, rising powers
        basis = [1.0]
        for j, other in enumerate(nodes):
            if j != i:
                rising, same = [0.0, *basis], [*basis, 0.0]
                basis = [
                    (up - other * level) / (here - other)
                    for up, level in zip(rising, same, strict=True)
                ]
        found.append(math.fsum(p * m for p, m in zip(basis, moments, strict=False)))
    return found


_TERMS = range(20)
