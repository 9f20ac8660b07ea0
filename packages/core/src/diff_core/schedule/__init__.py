r"""Noise schedules: the Gaussian path x_t = alpha(t) x_0 + sigma(t) z for continuous t in [0, 1].

t = 0 is clean (alpha = 1, sigma = 0) and t = 1 is the noisiest point. There are no integer steps:
a network trained on a table of steps is served by `Tabulated`. All that a sampler needs is alpha,
sigma and the *log-SNR* lambda(t) = log(alpha(t) / sigma(t)), which falls strictly from +inf.

Every function is elementwise: t may have any shape, dtype and device, and the answer has the same.
Values outside [0, 1] are not defined; `forward`, `grid` and the samplers check for them.
"""

from __future__ import annotations

from diff_core.schedule.paths import (
    Cosine,
    Edm,
    RectifiedFlow,
    Schedule,
    ShiftedSnr,
    Sigmoid,
    VarianceExploding,
    VariancePreserving,
    log_ratio,
    log_snr,
)
from diff_core.schedule.tabulated import Tabulated

__all__ = [
    "Cosine",
    "Edm",
    "RectifiedFlow",
    "Schedule",
    "ShiftedSnr",
    "Sigmoid",
    "Tabulated",
    "VarianceExploding",
    "VariancePreserving",
    "log_ratio",
    "log_snr",
]
