"""The mean of scores with its confidence interval; needs the extra `diff-core[scores]` (scipy)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Interval", "Summary", "mean_interval", "summarise"]


@dataclass(frozen=True)
class Interval:
    """The mean of `count` values and the ends of its interval, in the unit of the values.

    low, high: NaN where there are fewer than two values, or one is not finite
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def half(self) -> float:
        """Half the width of the interval: mean - low."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Summary(Interval):
    """The mean of the scores of files, from which no bad file is missing.

    count:     files in the mean
    bounded:   how many of them lie beyond a bound, and count as the bound
    undefined: how many more have no score: NaN
    """

    bounded: int = 0
    undefined: int = 0


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean of independent values and its interval by Student's t.

    mean -+ t(n - 1) s / sqrt(n) covers the true mean with probability `level` where the values are
    normal (Student, "The probable error of a mean", 1908). The mean of no values is NaN.

    level: the coverage, in (0, 1)
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1")
    array = np.asarray(values, np.float64).ravel()
    count = len(array)
    mean = float(array.mean()) if count else float("nan")
    if count < 2 or not np.isfinite(array).all():
        return Interval(mean, float("nan"), float("nan"), count)
    from scipy.stats import t

    half = float(t.ppf((1 + level) / 2, count - 1) * array.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half, count)


def summarise(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> Summary:
    """Return the mean of scores of which some may be infinite or undefined.

    A mean over finite scores alone would favour a system that fails: its worst files would be
    missing. So a score beyond a bound counts as the bound, and one that is undefined is counted
    beside the mean.

    low, high: the bounds, in the unit of the scores
    """
    array = np.asarray(values, np.float64).ravel()
    defined = array[~np.isnan(array)]
    found = mean_interval(defined.clip(low, high).tolist())
    bounded = int(np.count_nonzero((defined < low) | (defined > high)))
    undefined = len(array) - len(defined)
    return Summary(found.mean, found.low, found.high, found.count, bounded, undefined)
