"""Blobs in what was removed: found where they are, and none in noise."""

import numpy as np
import pytest

from diff_medical.enhancer.blobs import MOST, find_blobs
from diff_medical.enhancer.checks import measure

SHAPE = (80, 72, 40)
FINE = (0, 1, 2)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("axes", [FINE, (0, 1)])
def test_white_noise_has_none(seed: int, axes: tuple[int, ...]) -> None:
    assert find_blobs(noise(seed), np.ones(SHAPE, bool), axes) == (0, ())


@pytest.mark.parametrize("width", [3, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_blobs_are_found_where_they_are(width: int, sign: int) -> None:
    residual = noise()
    distance = np.sqrt(
        sum((i - c) ** 2 for i, c in zip(np.indices(SHAPE), (30, 40, 11), strict=True))
    )
    residual[distance <= width / 2 + 0.3] += sign * 2.5
    count, found = find_blobs(residual, np.ones(SHAPE, bool), FINE, first=100)
    assert count == len(found) == 1
    assert np.abs(np.array(found[0].place) - (30, 40, 111)).max() <= 1
    assert (found[0].sign, abs(found[0].width - width) <= 2) == (sign, True)
    assert found[0].score > 5.5


def test_the_surest_are_listed_and_all_are_counted() -> None:
    residual = noise()
    residual[4::9, 4::9, 4::9] += 12
    count, found = find_blobs(residual, np.ones(SHAPE, bool), FINE)
    assert count >= residual[4::9, 4::9, 4::9].size * 0.85
    assert len(found) == MOST
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_they_are_among_the_checks() -> None:
    estimate = np.zeros(SHAPE, np.float32)
    noisy = 7 * noise()
    noisy[30:33, 40:43, 11:14] += 7 * 3
    sigma = np.full(SHAPE, 7, np.float32)
    for level in (7.0, sigma):
        made = measure(noisy, estimate, level, np.ones(SHAPE, bool), bounded=0, broad=0, largest=1,
                       limit=1, gain=None)  # fmt: skip
        assert made.blob_count == 1
        assert made.blobs[0].place == (31, 41, 12)
