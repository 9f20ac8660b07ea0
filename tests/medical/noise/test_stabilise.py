"""The stabiliser of magnitudes against scipy's distributions and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diff_medical.noise.stabilise import _density, stabiliser  # pyright: ignore[reportPrivateUsage]

COILS = (1, 4, 32)


@pytest.mark.parametrize("coils", COILS)
def test_density_is_that_of_the_distribution(coils: int) -> None:
    m = np.linspace(0.01, 40, 4000)
    for a in (0.0, 0.3, 2.5, 12.0):
        ours = _density(m, np.array(a), coils)
        # M^2 is non-central chi-squared with 2 N degrees of freedom
        theirs = 2 * m * stats.ncx2(2 * coils, max(a**2, 1e-12)).pdf(m**2)
        np.testing.assert_allclose(ours / ours.sum(), theirs / theirs.sum(), atol=1e-9)


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0, 80.0])
@pytest.mark.parametrize(("sigma", "coils"), [(0.01, 1), (17.0, 1), (2.0, 4), (2.0, 32)])
def test_noise_is_one_after_and_the_inverse_is_unbiased(
    a: float, sigma: float, coils: int
) -> None:
    rng = np.random.default_rng(0)
    power = stats.ncx2(2 * coils, max(a**2, 1e-12)).rvs(200_000, random_state=rng)
    magnitude = sigma * np.sqrt(power)
    table = stabiliser(coils)
    stable = table.forward(magnitude, sigma).astype(np.float64)
    assert stable.std() == pytest.approx(1.0, abs=0.04)
    back = table.inverse(np.array([stable.mean()]), sigma)[0] / sigma
    # near 0 the inverse is steep: an error of 0.002 in the mean is one of 0.06 in A
    near = 0.5 + 0.1 * coils**0.5
    assert back == pytest.approx(a, abs=0.09 * coils**0.25 if a <= near else 0.02 * coils**0.5)


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=20, unique=True))
def test_forward_and_inverse_are_increasing(values: list[float]) -> None:
    table = stabiliser()
    magnitude = np.sort(np.array(values, dtype=np.float32))
    assert (np.diff(table.forward(magnitude, 2.0)) >= 0).all()
    assert (np.diff(table.inverse(magnitude, 2.0)) >= 0).all()


def test_below_the_noise_floor_the_amplitude_is_zero() -> None:
    table = stabiliser()
    floor = float(table.expected[0])
    np.testing.assert_array_equal(table.inverse(np.array([0.0, floor / 2, floor]), 5.0), 0)


def test_sigma_must_be_positive() -> None:
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        stabiliser().forward(np.ones(3), 0.0)


@pytest.mark.parametrize("coils", [1, 4])
def test_mean_of_magnitudes_is_that_of_draws(coils: int) -> None:
    amplitude = np.array([0.0, 0.5, 1.0, 2.0, 5.0, 55.0 * coils**0.5, 200.0])
    rng = np.random.default_rng(0)
    squares = np.square(3.0 * amplitude + 3.0 * rng.standard_normal((100_000, 1)))
    for _ in range(2 * coils - 1):
        squares = squares + np.square(3.0 * rng.standard_normal((100_000, 1)))
    expected = np.sqrt(squares).mean(0)
    found = stabiliser(coils).mean_of(3.0 * amplitude, 3.0)
    np.testing.assert_allclose(found, expected, rtol=0.01)
