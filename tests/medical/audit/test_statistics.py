"""The audit's probabilities: closed forms, other implementations, and false alarms."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import beta, binom, gumbel_r

from diff_medical.audit.statistics import copy_limit, exchange, nearer


@given(st.integers(1, 300), st.data())
@settings(max_examples=25, deadline=None)
def test_the_interval_is_the_exact_one(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = nearer([np.array([k, n - k])], [np.array([True, False])])
    # C. Clopper and E. Pearson, 1934
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.chance == pytest.approx(binom.sf(k - 1, n, 0.5), rel=1e-9)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="votes is empty"):
        nearer([np.array([0, 0])], [np.array([True, False])])


def test_exchange_of_people_is_what_counting_all_deals_gives() -> None:
    votes, trained = (
        np.array([7, 0, 5, 1, 2, 0]),
        np.array([True, False, True, False, True, False]),
    )
    deals = [sum(votes[list(chosen)]) for chosen in itertools.combinations(range(6), 3)]
    expected = np.mean([total >= 14 for total in deals])
    found, least = exchange([votes], [trained])
    assert found == pytest.approx(expected, abs=0.02)
    # four people have votes, so that no three can have them all
    assert least == pytest.approx(1 / math.comb(6, 3))
    # two kinds of scan are dealt apart
    both, _ = exchange([votes, votes], [trained, trained])
    sums = [a + b for a in deals for b in deals]
    assert both == pytest.approx(np.mean([total >= 28 for total in sums]), abs=0.02)


def test_with_few_people_the_binomial_decides() -> None:
    alone = nearer([np.array([30, 0])], [np.array([True, False])])
    assert not alone.decisive
    assert alone.probability == alone.chance == pytest.approx(0.5**30)
    # one train scan that draws all samples: exchange says 1/2, and could not say less
    hub = nearer([np.array([30] + [0] * 39)], [np.arange(40) < 20])
    assert hub.exchanged == pytest.approx(0.5, abs=0.03)
    assert not hub.decisive
    spread = nearer([np.array([1] * 20 + [0] * 20)], [np.arange(40) < 20])
    assert spread.decisive
    assert spread.probability == spread.exchanged < 0.001


def test_fresh_samples_fail_no_oftener_than_stated() -> None:
    rng = np.random.default_rng(0)
    scans, samples, level = 40, 200, 0.01
    labels = np.arange(2 * scans) < scans
    chance = either = 0
    for _ in range(150):
        drawn = rng.standard_normal((samples + 2 * scans, 12))
        votes = np.bincount(cdist(drawn[:samples], drawn[samples:]).argmin(1), minlength=2 * scans)
        found = nearer([votes], [labels])
        chance += found.chance < level
        either += found.probability < level
    # five of 150 at 1 % happen once in a hundred times; the binomial alone is far off: samples
    # crowd around few of the scans
    assert either <= 5
    assert chance >= 6


def test_the_limit_is_gumbels_quantile_whatever_a_few_doubles_are() -> None:
    places = (np.arange(2000) + 0.5) / 2000
    real = np.tanh(gumbel_r.ppf(places, 0.6, 0.1))
    doubles = np.concatenate([real, np.ones(40)])
    for samples, q in ((1, 0.999), (200, 1 - 0.01 / 200)):
        expected = math.tanh(float(gumbel_r.ppf(q, 0.6, 0.1)))
        assert copy_limit(real, samples) == pytest.approx(expected, abs=1e-3)
        assert copy_limit(doubles, samples) == pytest.approx(expected, abs=0.02)
    with pytest.raises(ValueError, match="real has 7 values; expected at least 8"):
        copy_limit(real[:7], 10)
