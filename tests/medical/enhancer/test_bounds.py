"""The bounds and checks on made-up denoisers that remove too much."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from diff_medical.enhancer.bounds import BROAD, BROAD_BOUND, bound_broad, bound_residual
from diff_medical.enhancer.checks import measure
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.uncertainty import (
    PROBES,
    beside_bias,
    expected_gain,
    of_full_dose,
    pushed,
    signs_of,
    slope,
    spread_of,
)

RNG = np.random.default_rng(0)
AXES = (0, 1, 2)
NOISE = RNG.standard_normal((40, 40, 40)).astype(np.float32)
ALL = np.ones(NOISE.shape, dtype=bool)
WITHIN = {"bounded": 0.0, "broad": 0.0, "largest": 0.0, "limit": 3.5}


def posterior_sd(estimate, noisy, mean, sigma, axes, seed):  # noqa: ANN201
    """The uncertainty of a volume in memory, as the engine finds it part by part."""
    diagonal = torch.zeros_like(noisy)
    for number in range(PROBES):
        signs = signs_of(tuple(noisy.shape), seed, number)
        diagonal += slope(estimate(pushed(noisy, sigma, signs)), mean, sigma, signs)
    return spread_of(diagonal, sigma, axes)


def test_white_noise_may_be_removed_whole() -> None:
    for sigma in (2.0, np.full(NOISE.shape, 2.0, np.float32)):
        kept, share = bound_broad(2 * NOISE, np.zeros_like(NOISE), sigma, AXES)
        assert share < 3e-3  # at the borders, where a window is half as large
        assert np.abs(kept).max() < 0.05


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_broad_faint_structure_can_neither_vanish_nor_appear(sign: int) -> None:
    place = np.indices(NOISE.shape) - 20
    blob = (0.8 * sign * np.exp(-(place**2).sum(0) / (2 * 6.0**2))).astype(np.float32)
    kept, share = bound_broad(NOISE, NOISE - blob, 1.0, AXES)
    assert share > 0.1
    limit = BROAD_BOUND * (2 * np.sqrt(np.pi) * BROAD) ** -1.5
    left = gaussian_filter(NOISE - kept, BROAD, truncate=3.0)[20, 20, 20]
    before = gaussian_filter(blob, BROAD, truncate=3.0)[20, 20, 20]
    assert abs(before) > 4 * limit
    # what is given back is itself broad, so most of the excess is gone, not all
    assert abs(left) - limit < 0.7 * (abs(before) - limit)


@given(st.floats(0.1, 10), st.booleans())
def test_no_voxel_moves_beyond_the_bound(sigma: float, varying: bool) -> None:
    level = np.linspace(0.5, 2, 40, dtype=np.float32)[:, None, None] * sigma if varying else sigma
    kept, share = bound_residual(NOISE, 50 * NOISE[::-1], level)
    assert (np.abs(kept - NOISE) <= 3.5 * level * (1 + 1e-5) + 1e-6).all()
    assert share > 0.3


def test_doubt_grows_where_more_than_noise_was_removed() -> None:
    even = torch.full(NOISE.shape, 0.8)
    sd = beside_bias(even, 2 * NOISE, 2.0, AXES).numpy()
    # averaged noise is beyond 1.7 standard deviations in 9 % of the voxels, which mark others
    alone = beside_bias(even, 0 * NOISE, 2.0, AXES).numpy()
    np.testing.assert_allclose(alone, 0.8, rtol=1e-6)
    assert 0.2 < (sd == alone).mean() < 0.95
    assert (sd >= alone).all()
    level = np.linspace(1, 3, 40, dtype=np.float32)[:, None, None] + 0 * NOISE
    for sigma in (np.float32(2.0), level):
        lesion = np.zeros_like(NOISE)
        lesion[19:21, 19:21, 19:21] = 2
        doubt = beside_bias(even, lesion * sigma, sigma, AXES).numpy()
        relative = (doubt / sigma)[lesion > 0]
        assert (relative > 1.0).all()  # so the 2 that are gone lie within two of them
        assert doubt[:14].max() == pytest.approx(0.8)


def checked(removed: np.ndarray, output: np.ndarray, sigma: float = 1.0):  # noqa: ANN201
    return measure(output + removed, output, sigma, ALL, **WITHIN, gain=None)


def test_white_residual_passes_and_correlated_or_edgy_ones_do_not() -> None:
    output = np.where(np.arange(40) < 20, 0, 100)[:, None, None] + 0.1 * NOISE[::-1]
    white = checked(NOISE, output)
    assert max(abs(w) for w in white.whiteness if w is not None) < 0.02
    assert abs(white.edges) < 0.02
    assert white.spread == pytest.approx(1, abs=0.01)
    assert white.remarks() == ()

    smooth = gaussian_filter(NOISE, (0, 1.0, 0))
    found = checked(smooth / smooth.std(), output)
    x, y, z = found.whiteness
    assert y == pytest.approx(np.exp(-1 / 4), abs=0.03)  # autocorrelation of a Gaussian of sd 1
    assert x is not None and abs(x) < 0.02
    assert z is not None and abs(z) < 0.02
    assert "correlated between neighbours" in found.remarks()[0]

    edges = NOISE.copy()
    edges[19:21] *= 4
    assert checked(edges, output).edges > 0.3
    assert "stronger at edges" in checked(edges, output).remarks()[0]


def test_noise_levels_that_vary_are_taken_out_first() -> None:
    level = np.linspace(1, 4, 40, dtype=np.float32)[:, None, None] * np.ones_like(NOISE)
    output = np.zeros_like(NOISE)
    found = measure(level * NOISE, output, level, ALL, **WITHIN, gain=None)
    assert found.spread == pytest.approx(1, abs=0.01)
    flat = measure(NOISE[:, :, :1], output[:, :, :1], 1.0, ALL[:, :, :1], **WITHIN, gain=1)
    assert flat.whiteness[2] is None


def wiener(signal: float, noise: float):  # noqa: ANN201
    """The posterior mean of a Gaussian of standard deviation `signal` in noise."""
    return lambda y: y * (signal**2 / (signal**2 + noise**2))


@pytest.mark.parametrize("signal", [0.1, 0.5, 3.0])
def test_uncertainty_is_the_posterior_deviation_where_that_is_known(signal: float) -> None:
    noisy = torch.from_numpy(NOISE)
    run = wiener(signal, 0.5)
    known = signal * 0.5 / np.hypot(signal, 0.5)
    for sigma in (torch.tensor(0.5), torch.full(noisy.shape, 0.5)):
        sd = posterior_sd(run, noisy, run(noisy), sigma, AXES, seed=0)
        np.testing.assert_allclose(sd.numpy(), known, rtol=1e-3)


def test_uncertainty_of_a_linear_filter_is_its_diagonal() -> None:
    def smooth(y: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(gaussian_filter(y.numpy(), 1.0))

    noisy = torch.from_numpy(NOISE)
    sd = posterior_sd(smooth, noisy, smooth(noisy), torch.tensor(2.0), AXES, seed=0).numpy()
    impulse = np.zeros((9, 9, 9))
    impulse[4, 4, 4] = 1
    known = 2 * np.sqrt(gaussian_filter(impulse, 1.0)[4, 4, 4])
    assert np.median(sd[8:-8, 8:-8, 8:-8]) == pytest.approx(known, rel=0.1)


def test_the_scan_of_a_full_dose_lies_where_it_is_expected() -> None:
    # Gaussian truth with noise of which a quarter of the variance is to stay: E and sd are exact
    share, sigma, signal = 0.25, 0.8, 1.5
    parts = np.random.default_rng(5).standard_normal((3, *NOISE.shape))
    full = signal * parts[0] + share**0.5 * sigma * parts[1]
    noisy = torch.from_numpy(full + (1 - share) ** 0.5 * sigma * parts[2])
    mean = wiener(signal, sigma)(noisy)
    alone = torch.tensor(signal * sigma / np.hypot(signal, sigma))
    spread = of_full_dose(alone, torch.tensor(sigma), share)
    change = Settings(dose=share).change
    error = (noisy + change * (mean - noisy)).numpy() - full
    assert error.std() == pytest.approx(float(spread), rel=0.01)
    for other in (0.0, 0.6, 0.9, 1.0):  # no other share of the change is nearer
        assert ((noisy + other * (mean - noisy)).numpy() - full).std() > error.std()


def test_expected_gain_is_the_true_one() -> None:
    truth = torch.from_numpy(RNG.standard_normal((48, 48, 48)).astype(np.float32))
    noisy = truth + 0.5 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    run = wiener(1.0, 0.5)
    true = 10 * torch.log10((noisy - truth).square().mean() / (run(noisy) - truth).square().mean())
    assert expected_gain(run, noisy, 0.5, seed=0) == pytest.approx(float(true), abs=0.15)
    assert expected_gain(lambda y: y, noisy, 0.5, seed=0) == pytest.approx(0, abs=0.01)
    assert expected_gain(torch.zeros_like, noisy, 0.5, seed=0) < 0  # removes the signal too
