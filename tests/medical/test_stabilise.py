"""The Rician stabiliser against scipy's Rice distribution and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diff_medical.stabilise import rice_mean, rice_sd, rician_stabiliser


@pytest.mark.parametrize("a", [0.0, 0.3, 1.0, 2.5, 7.0, 30.0])
def test_moments_are_those_of_the_rice_distribution(a: float) -> None:
    rice = stats.rice(a)
    assert float(rice_mean(np.array(a))) == pytest.approx(float(rice.mean()), rel=1e-6)
    assert float(rice_sd(np.array(a))) == pytest.approx(float(rice.std()), rel=1e-5)


def test_moments_far_out_are_those_of_the_limit() -> None:
    a = np.array([500.0, 1e4])
    np.testing.assert_allclose(rice_mean(a), a + 1 / (2 * a), rtol=1e-9)
    np.testing.assert_allclose(rice_sd(a), 1, atol=1e-5)


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0, 80.0])
@pytest.mark.parametrize("sigma", [0.01, 17.0])
def test_noise_is_one_after_and_the_inverse_is_unbiased(a: float, sigma: float) -> None:
    rng = np.random.default_rng(0)
    magnitude = sigma * np.hypot(a + rng.standard_normal(200_000), rng.standard_normal(200_000))
    table = rician_stabiliser()
    stable = table.forward(magnitude, sigma).astype(np.float64)
    assert stable.std() == pytest.approx(1.0, abs=0.04)
    back = table.inverse(np.array([stable.mean()]), sigma)[0] / sigma
    # near 0 the inverse is steep: an error of 0.002 in the mean is one of 0.06 in A
    assert back == pytest.approx(a, abs=0.08 if a < 0.5 else 0.02)


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=20, unique=True))
def test_forward_and_inverse_are_increasing(values: list[float]) -> None:
    table = rician_stabiliser()
    magnitude = np.sort(np.array(values, dtype=np.float32))
    assert (np.diff(table.forward(magnitude, 2.0)) >= 0).all()
    assert (np.diff(table.inverse(magnitude, 2.0)) >= 0).all()


def test_below_the_noise_floor_the_amplitude_is_zero() -> None:
    table = rician_stabiliser()
    floor = float(table.expected[0])
    np.testing.assert_array_equal(table.inverse(np.array([0.0, floor / 2, floor]), 5.0), 0)


def test_sigma_must_be_positive() -> None:
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        rician_stabiliser().forward(np.ones(3), 0.0)
