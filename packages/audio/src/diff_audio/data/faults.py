"""The faults of samples that make a recording unusable for training, and those worth a remark."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fault", "remark"]

CLIPPED = 0.001  # share of samples at the peak above which a recording counts as clipped
CANCELLED = 0.01  # of the channels' power that their mean has: below it, one is turned
QUIET = 10 ** (-50 / 20)  # peak, of full scale


def fault(samples: NDArray[np.float64], *, is_room: bool = False) -> str:
    """Return why samples (C, T) cannot be used, or "".

    is_room: of a response only the first channel is used, so the others may be anything
    """
    if not np.isfinite(samples).all():
        return "holds samples that are NaN or Inf"
    if not samples.any():
        return "is silent from beginning to end"
    if is_room or len(samples) == 1:
        return ""
    power = float(np.mean(samples**2))
    if float(np.mean(samples.mean(0) ** 2)) < CANCELLED * power:
        return "its channels cancel each other: turn the polarity of one, or keep one channel"
    return ""


def remark(samples: NDArray[np.float64]) -> str:
    """Return what to know about finite samples (C, T), or ""."""
    peak = float(np.abs(samples).max())
    flat = np.abs(samples) > (1 - 1e-5) * peak  # two in a row: a tone's crest is rounder
    at_peak = float(np.mean(flat[:, 1:] & flat[:, :-1]))
    offset = float(np.abs(samples.mean(1)).max())
    dead = [str(number + 1) for number, row in enumerate(samples) if not row.any()]
    if dead:
        return f"channel {', '.join(dead)} of {len(samples)} is silent: the mean is half as loud"
    if at_peak > CLIPPED:
        return f"looks clipped: {at_peak:.1%} of its samples stay at the peak"
    if peak > 1:
        return f"goes beyond full scale, up to {peak:.3g}"
    if offset > 0.1 * peak:
        return f"has an offset of {offset:.2g} of full scale"
    if peak < QUIET:
        return f"is very quiet: its peak is {20 * np.log10(peak):.0f} dBFS"
    return ""
