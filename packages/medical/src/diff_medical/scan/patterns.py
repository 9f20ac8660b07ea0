"""Values that are no intensities: phase, and labels. Both are told from the values alone.

Noise removal averages neighbouring values. That is right for intensities. Phase wraps, so the mean
of two neighbours across a wrap is on the other side of the circle. The mean of two labels is a
third label.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["LABELS", "PHASE", "not_intensities"]

Array = NDArray[np.floating]

PHASE = "its values look like phase: they fill their whole range up to both ends"
"""The reason why a scan is taken for a phase image."""
LABELS = "its values look like labels: few whole numbers, and most neighbours are equal"
"""The reason why a scan is taken for a label map."""

EDGE = 0.05  # of half the range, beside either end
FULL = 0.004  # share of voxels there; values spread evenly have 0.025
LOPSIDED = 0.02  # of the range: the most that its middle may be off 0
ENDS = (2 * math.pi, 4095.0, 4096.0)
"""Upper ends of phase without a sign: radians, and 12 bits."""
TENTHS = 0.015  # least share of voxels in each tenth of such a range
MOST_LABELS = 512
EQUAL = 0.6  # share of equal neighbours, where not both are background


def not_intensities(planes: Array) -> str:
    """Return why the values of some planes (X, Y, n) are no intensities, "" if they may be.

    Values that are not finite, and the commonest value, which is the background, do not count.
    """
    values = planes[np.isfinite(planes)]
    if values.size < 512:
        return ""
    some = values[:: max(1, values.size // 1_000_000)]
    distinct, counts = np.unique(some, return_counts=True)
    if len(distinct) < 2:
        return ""
    common = distinct[counts.argmax()]
    if len(distinct) <= MOST_LABELS and _are_labels(planes, distinct, float(common)):
        return LABELS
    if len(distinct) > MOST_LABELS and _is_phase(some[some != common]):
        return PHASE
    return ""


def _is_phase(values: Array) -> bool:
    if values.size < 512:
        return False
    low, high = float(values.min()), float(values.max())
    width = high - low
    if low < 0 < high and abs(low + high) < LOPSIDED * width:
        edge = EDGE * width / 2
        return bool(min((values < low + edge).mean(), (values > high - edge).mean()) > FULL)
    if low >= 0 and any(0.985 * end < high <= 1.0001 * end for end in ENDS):
        shares = np.histogram(values, 10, (0.0, high))[0] / values.size
        return bool(shares.min() > TENTHS)
    return False


def _are_labels(planes: Array, distinct: Array, common: float) -> bool:
    if not np.array_equal(distinct, np.rint(distinct)):
        return False
    equal = pairs = jumps = 0
    step = float(np.diff(distinct).min())
    for axis in (0, 1):
        one, other = (np.take(planes, range(s, planes.shape[axis] - 1 + s), axis) for s in (0, 1))
        inside = ~((one == common) & (other == common))
        change = np.abs(one - other)[inside]
        pairs += change.size
        equal += int(np.count_nonzero(change == 0))
        jumps += int(np.count_nonzero(change > 1.5 * step))
    if pairs < 64 or equal < EQUAL * pairs:
        return False
    # an image in a few coarse steps changes by one step, labels by any
    return len(distinct) <= 12 or jumps > 0.3 * (pairs - equal)
