"""The noise level voxel by voxel: found where it varies, one level where it does not."""

from collections.abc import Callable

import numpy as np
import pytest

from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.level import estimate
from diff_medical.noise.local import LocalLevels, local_levels, pooled
from diff_medical.noise.model import Noise

ISO = (1.0, 1.0, 1.0)
Make = Callable[..., np.ndarray]


def gain(shape: tuple[int, ...]) -> np.ndarray:
    """Noise of parallel imaging: three times as strong in the middle as at the rim."""
    x, y = (np.linspace(-1, 1, n) for n in shape[:2])
    bump = np.exp(-(x[:, None, None] ** 2 + y[:, None] ** 2) / 0.3)
    return 1 + 2 * bump * np.ones(shape)


def with_noise(clean: np.ndarray, sigma: np.ndarray | float, kind: str) -> np.ndarray:
    real, imaginary = np.random.default_rng(1).standard_normal((2, *clean.shape))
    noisy = clean + sigma * real
    return np.hypot(noisy, sigma * imaginary) if kind == "rician" else noisy


def found_in(volume: np.ndarray, spacing: tuple[float, float, float] = ISO) -> LocalLevels | None:
    return local_levels(
        lambda planes: volume[..., planes], volume.shape, spacing, estimate(volume, spacing)
    )


@pytest.mark.parametrize("kind", ["gaussian", "rician"])
@pytest.mark.parametrize(
    ("shape", "spacing"), [((72, 80, 32), ISO), ((128, 120, 12), (0.8, 0.8, 5.0))]
)
def test_levels_that_vary_are_found(
    make_head: Make, kind: str, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    clean = make_head(shape)
    sigma = 25 * gain(shape)
    found = found_in(with_noise(clean, sigma, kind), spacing)
    assert found is not None
    assert found.varies
    ratio = (found(slice(0, shape[2])) / sigma)[clean > 300]
    assert np.median(ratio) == pytest.approx(1, abs=0.08)
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.17  # one level has 0.5
    assert 25 < found.ends[0] < 40
    assert 60 < found.ends[1] < 80


@pytest.mark.parametrize("kind", ["gaussian", "rician"])
@pytest.mark.parametrize("level", [5, 20, 50, 100])
@pytest.mark.parametrize("spacing", [ISO, (0.8, 0.8, 5.0)])
def test_even_noise_is_even(
    make_head: Make, kind: str, level: float, spacing: tuple[float, float, float]
) -> None:
    found = found_in(with_noise(make_head((72, 80, 32)), level, kind), spacing)
    assert found is None or not found.varies


def test_planes_are_those_of_the_whole(make_head: Make) -> None:
    volume = with_noise(make_head((72, 80, 32)), 25 * gain((72, 80, 32)), "gaussian")
    found = found_in(volume)
    assert found is not None
    whole = found(slice(0, 32))
    np.testing.assert_array_equal(found(slice(5, 12)), whole[..., 5:12])
    np.testing.assert_allclose(pooled([found, found])(slice(0, 32)), whole, rtol=1e-5)


def test_large_volumes_are_read_in_parts(make_head: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = with_noise(make_head((72, 80, 32)), 25 * gain((72, 80, 32)), "rician")
    whole = found_in(volume)
    monkeypatch.setattr("diff_medical.noise.local.CHUNK", 72 * 80 * 8)
    parts = found_in(volume)
    assert whole is not None
    assert parts is not None
    np.testing.assert_allclose(parts.nodes, whole.nodes, rtol=0.02)


def test_nothing_is_told_of_too_little() -> None:
    noise = Noise(1.0, "gaussian", "fine detail")
    small = np.random.default_rng(0).standard_normal((8, 8, 4))
    assert local_levels(lambda p: small[..., p], small.shape, ISO, noise) is None
    empty = np.zeros((40, 40, 20))
    assert local_levels(lambda p: empty[..., p], empty.shape, ISO, noise) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gaussian", "rician"])
def test_the_middle_is_enhanced_by_its_own_level(make_head: Make, kind: str) -> None:
    enhancer = Enhancer.from_pretrained()
    clean = make_head((72, 80, 16))
    sigma = 25 * gain(clean.shape)
    noisy = with_noise(clean, sigma, kind)
    middle = (sigma > 60) & (clean > 300)

    def rmse(volume: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(volume - clean)[middle])))

    auto = enhancer(noisy, ISO, Settings(local=True))
    assert auto.noise.method == "local fine detail"
    assert auto.noise.varies is not None
    one = enhancer(noisy, ISO, Settings(noise=kind, sigma=estimate(noisy, ISO).sigma))
    true = enhancer(noisy, ISO, Settings(noise=kind), sigma_map=sigma)
    assert rmse(auto.volume) < 0.8 * rmse(one.volume)
    assert rmse(auto.volume) < 1.15 * rmse(true.volume)


@pytest.mark.slow
def test_even_scans_are_enhanced_as_with_one_level(make_head: Make) -> None:
    enhancer = Enhancer.from_pretrained()
    noisy = with_noise(make_head((56, 56, 24)), 40, "rician")
    with_map = enhancer(noisy, ISO, Settings(local=True))
    without = enhancer(noisy, ISO, Settings())
    np.testing.assert_array_equal(with_map.volume, without.volume)
    assert with_map.noise == without.noise
    assert with_map.noise.varies is None
