"""Blind noise levels: on volumes whose noise is known, and on traps."""

from collections.abc import Callable

import numpy as np
import pytest

from diff_medical.noise.ct import soft_tissue
from diff_medical.noise.level import background, detail_sigma, estimate, fine_axes

ISO = (1.0, 1.0, 1.0)
Make = Callable[..., np.ndarray]


@pytest.mark.parametrize("level", [0.01, 0.05, 0.1])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((64, 60, 56), ISO), ((96, 96, 14), (0.8, 0.8, 5.0)), ((128, 120, 1), ISO)],
)
def test_gaussian_level_within_five_percent(
    make_head: Make, level: float, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    clean = make_head(shape)
    sigma = level * float(clean.max())
    noisy = clean + sigma * np.random.default_rng(1).standard_normal(shape)
    found = estimate(noisy, spacing)
    assert found.distribution == "gaussian"
    assert found.sigma == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("level", [0.03, 0.1, 0.2])
@pytest.mark.parametrize("declared", ["auto", "rician"])
def test_rician_is_recognised_and_its_level_within_six_percent(
    make_head: Make, level: float, declared: str
) -> None:
    clean = make_head((72, 72, 60))
    sigma = level * float(clean.max())
    rng = np.random.default_rng(2)
    real, imaginary = rng.standard_normal((2, *clean.shape))
    noisy = np.hypot(clean + sigma * real, sigma * imaginary)
    found = estimate(noisy, ISO, distribution=declared)  # type: ignore[arg-type]
    assert found.distribution == "rician"
    assert found.sigma == pytest.approx(sigma, rel=0.06)
    if declared == "auto":
        assert found.correlation is not None
        assert found.correlation < 0.4


def test_rayleigh_background_has_the_sigma_it_was_made_with() -> None:
    rng = np.random.default_rng(0)
    noise = np.hypot(*(7.0 * rng.standard_normal((2, 60, 60, 20))))
    found = background(noise)
    assert found is not None
    assert found.sigma == pytest.approx(7.0, rel=0.03)
    assert found.correlation < 0.15


def test_correlated_background_is_said_to_be(make_head: Make) -> None:
    from scipy.ndimage import gaussian_filter1d

    rng = np.random.default_rng(0)
    parts = rng.standard_normal((2, 72, 72, 40))
    for axis in (1, 2):
        parts = gaussian_filter1d(parts, 0.8, axis=axis)
    found = background(np.hypot(*(5 * parts / parts.std())))
    assert found is not None
    # autocorrelation at lag 1 of Gaussian-filtered white noise is exp(-1 / (4 sd^2))
    assert found.correlation == pytest.approx(np.exp(-1 / (4 * 0.8**2)), abs=0.12)


def test_zero_padding_and_skull_stripping_do_not_count(make_head: Make) -> None:
    clean = make_head((64, 60, 56))
    noisy = clean + 30 * np.random.default_rng(1).standard_normal(clean.shape)
    noisy[clean < 300] = 0
    assert estimate(noisy, ISO).sigma == pytest.approx(30, rel=0.06)
    padded = np.pad(noisy, ((20, 20), (30, 10), (5, 5)))
    assert estimate(padded, ISO).sigma == pytest.approx(30, rel=0.06)


def test_eight_bit_values_and_saturation_do_not_break_it(make_head: Make) -> None:
    clean = make_head((64, 60, 56)) / 4
    noisy = clean + 9 * np.random.default_rng(1).standard_normal(clean.shape)
    coded = np.clip(np.rint(noisy), 0, 255)
    found = estimate(coded, ISO)
    assert found.sigma == pytest.approx(9, rel=0.08)


def test_units_scale_the_level(make_head: Make) -> None:
    clean = make_head((48, 48, 40))
    noisy = clean + 40 * np.random.default_rng(3).standard_normal(clean.shape)
    once = estimate(noisy, ISO).sigma
    assert estimate(noisy * 0.001, ISO).sigma == pytest.approx(0.001 * once, rel=1e-4)


@pytest.mark.parametrize("value", [0.0, -1000.0, 5.0])
def test_constant_volume_has_no_noise(value: float) -> None:
    volume = np.full((20, 20, 20), value, dtype=np.float32)
    assert estimate(volume, ISO).sigma == 0
    assert estimate(volume, ISO, modality="ct").sigma == 0


def test_noise_free_anatomy_is_nearly_noise_free(make_head: Make) -> None:
    clean = make_head((64, 60, 56))
    assert estimate(clean, ISO).sigma < 0.003 * clean.max()


@pytest.mark.parametrize("smooth", [0.0, 0.7, 0.9])
def test_ct_level_counts_correlated_noise_too(smooth: float) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    body = np.where(x**2 + y**2 < 0.7, 40.0, -1000.0)
    body[(np.abs(x) < 0.1) & (np.abs(y) < 0.3)] = 900
    white = rng.standard_normal((6, 128, 128))
    noise = np.stack([gaussian_filter(part, smooth) for part in white], -1)
    noisy = body[..., None] + 20 * noise / noise.std()
    found = estimate(noisy, (0.7, 0.7, 5.0), modality="ct")
    assert found.method == "soft tissue"
    # a window of 7 x 7 misses a part of correlated noise, differences of neighbours most of it
    assert found.sigma == pytest.approx(20, rel=0.08) if smooth == 0 else 16 < found.sigma < 20
    assert detail_sigma(noisy, (0, 1)) < 0.55 * found.sigma or smooth == 0
    # autocorrelation at lag 1 of Gaussian-filtered white noise is exp(-1 / (4 sd^2))
    expected = np.exp(-1 / (4 * smooth**2)) if smooth else 0
    assert found.correlation == pytest.approx(expected, abs=0.08)


def test_thick_axis_is_not_differenced() -> None:
    assert fine_axes((64, 64, 20), (1, 1, 6)) == (0, 1)
    assert fine_axes((64, 20, 64), (1, 6, 1)) == (0, 2)
    assert fine_axes((64, 64, 64), (1, 1.2, 0.8)) == (0, 1, 2)
    assert fine_axes((64, 64, 1), (1, 1, 1)) == (0, 1)
    volume = np.random.default_rng(0).standard_normal((40, 40, 10))
    volume += 100 * np.arange(10) ** 2 % 7
    assert detail_sigma(volume, (0, 1)) == pytest.approx(1, rel=0.08)


def test_soft_tissue_needs_tissue() -> None:
    assert soft_tissue(np.full((64, 64, 4), -1000.0), (0, 1)) is None


@pytest.mark.parametrize("snr", [1, 1.5, 2, 3, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_rician_level_of_low_signal_is_within_three_percent(
    make_head: Make, snr: float, seed: int
) -> None:
    clean = make_head((72, 72, 48))
    sigma = float(clean[clean > 300].mean()) / snr
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *clean.shape))
    found = estimate(np.hypot(clean + sigma * real, sigma * imaginary), ISO)
    assert found.distribution == "rician"
    assert found.sigma == pytest.approx(sigma, rel=0.03)
