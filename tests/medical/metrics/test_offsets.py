"""Structural similarity of values far from 0, where single precision has no digits left."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from diff_medical.metrics.scores import score
from diff_medical.metrics.structure import multiscale_ssim, slice_ssim

RNG = np.random.default_rng(5)
# multiples of 1/64, which stay exact when an offset is added
CLEAN = np.rint(64 * gaussian_filter(RNG.standard_normal((120, 112, 4)), (2, 2, 0)) * 50) / 64
NOISY = np.rint(64 * (CLEAN + 2 * RNG.standard_normal(CLEAN.shape))) / 64
RANGE = float(np.ptp(CLEAN))


def in_fractions(offset: int) -> float:
    """The 2-D SSIM of the middle voxel of the first slice with exact integers (in 1/64)."""
    i, j = 60, 56
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(taps, taps) / taps.sum() ** 2
    x, y = ((64 * v[i - 5 : i + 6, j - 5 : j + 6, 0]).astype(int) for v in (CLEAN, NOISY))
    w = [[int(v) for v in row] for row in np.rint(weights * 2**50)]
    total = sum(map(sum, w))
    cells = [(a, b) for a in range(11) for b in range(11)]

    def mean(f) -> tuple[int, int]:
        return sum(w[a][b] * f(int(x[a, b]) + 64 * offset, int(y[a, b]) + 64 * offset)
                   for a, b in cells), total  # fmt: skip

    from fractions import Fraction

    m = [Fraction(*mean(f)) for f in (lambda p, _: p, lambda _, q: q, lambda p, _: p * p,
                                      lambda _, q: q * q, lambda p, q: p * q)]  # fmt: skip
    c_1, c_2 = (Fraction((k * RANGE * 64) ** 2) for k in (0.01, 0.03))
    luminance = (2 * m[0] * m[1] + c_1) / (m[0] ** 2 + m[1] ** 2 + c_1)
    both = 2 * (m[4] - m[0] * m[1]) + c_2
    return float(luminance * both / (m[2] - m[0] ** 2 + m[3] - m[1] ** 2 + c_2))


@pytest.mark.parametrize("offset", [0, 30_000, 1_000_000, 10**11])
def test_similarity_equals_exact_arithmetic(offset: int) -> None:
    from diff_medical.metrics.similarity import similarity

    luminance, structure = similarity(CLEAN + offset, NOISY + offset, RANGE, (0, 1))
    found = (luminance * structure)[60, 56, 0]
    assert found == pytest.approx(in_fractions(offset), abs=1e-7)


@pytest.mark.parametrize("offset", [30_000, 100_000, 1_000_000, 10**10])
def test_an_offset_changes_the_luminance_alone(offset: int) -> None:
    # with a mean far above its differences the luminance is 1: what is left has no offset
    far = [multiscale_ssim(CLEAN + o, NOISY + o, RANGE)[0] for o in (offset, 10**8)]
    assert far[0] == pytest.approx(far[1], abs=1e-6)
    assert 0.5 < far[0] < 1
    found = [score(CLEAN + o, NOISY + o).ssim for o in (offset, 10**8)]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert slice_ssim(CLEAN + offset, CLEAN + offset, RANGE) == pytest.approx(1, abs=1e-12)


def test_without_an_offset_it_is_that_of_scikit_image() -> None:
    expected = structural_similarity(
        CLEAN[..., 0], NOISY[..., 0], data_range=RANGE, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert slice_ssim(CLEAN[..., :1], NOISY[..., :1], RANGE) == pytest.approx(expected, abs=1e-9)
    assert not math.isnan(expected)
