"""The mean and its interval: scipy's own, and as often right as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from diff_core.evaluate import mean_interval


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_it_is_scipys_interval(level: float) -> None:
    values = [1.0, 2.0, 4.0, 4.5]
    found = mean_interval(values, level)
    low, high = stats.t.interval(level, 3, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert (found.mean, found.count) == (np.mean(values), 4)
    assert found.half == pytest.approx(found.mean - found.low)


def test_it_covers_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    rows = [mean_interval(rng.normal(3.0, 2.0, 5).tolist(), 0.9) for _ in range(2000)]
    share = np.mean([row.low <= 3 <= row.high for row in rows])
    assert abs(share - 0.9) < 4 * math.sqrt(0.9 * 0.1 / 2000)


def test_one_value_none_and_infinite_ones_have_no_interval() -> None:
    one = mean_interval([2.0])
    assert (one.mean, one.count) == (2.0, 1) and math.isnan(one.low) and math.isnan(one.half)
    infinite = mean_interval([1.0, math.inf])
    assert infinite.mean == math.inf and math.isnan(infinite.high)
    none = mean_interval([])
    assert none.count == 0 and math.isnan(none.mean)
    with pytest.raises(ValueError, match=r"level is 95; expected"):
        mean_interval([1.0, 2.0], 95)
