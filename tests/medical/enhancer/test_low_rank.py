"""Volumes enhanced together: noise by the law of Marchenko and Pastur, and known series."""

import numpy as np
import pytest

from diff_medical.enhancer import low_rank as module
from diff_medical.enhancer.low_rank import directions, low_rank, noise_variance

AXES = (0, 1, 2)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.asfortranarray(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def shared(shape: tuple[int, int, int], volumes: int, count: int, seed: int = 1) -> np.ndarray:
    """A smooth series of `count` directions."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    maps = [np.cos(a * x + b * y + c * z) for a, b, c in rng.uniform(-1, 1, (count, 3))]
    courses = np.linalg.qr(rng.standard_normal((volumes, count)))[0].T * volumes**0.5
    return np.asfortranarray(8 * np.stack(maps, -1) @ courses, np.float32)


@pytest.mark.parametrize("level", [0.5, 1.0, 3.0])
def test_eigenvalues_of_noise_give_its_level(level: float) -> None:
    matrix = level * np.random.default_rng(0).standard_normal((4000, 40))
    eigenvalues = np.linalg.eigvalsh(matrix.T @ matrix / 4000)
    edges = level**2 * (1 + np.array([-1, 1]) * 0.1) ** 2  # sqrt(40 / 4000), Marchenko and Pastur
    np.testing.assert_allclose(eigenvalues[[0, -1]], edges, rtol=0.03)
    assert noise_variance(eigenvalues, 4000) == pytest.approx(level**2, rel=0.02)
    assert directions(matrix.T @ matrix / 4000, 4000)[1] == 0


def test_directions_above_the_noise_are_counted() -> None:
    series = shared((12, 12, 10), 20, 3) + noise((12, 12, 10, 20))
    vectors = series.reshape(-1, 20).astype(float)
    basis, known = directions(vectors.T @ vectors / len(vectors), len(vectors))
    assert known == 3
    np.testing.assert_allclose(basis.T @ basis, np.eye(20), atol=1e-5)


def test_noise_alone_becomes_the_mean_of_patches() -> None:
    found = low_rank(noise((14, 12, 10, 24)), AXES)
    assert found.directions == 0
    # means of 27 voxels, averaged over patches, and chance
    assert found.values[3:-3, 3:-3, 3:-3].std() < 0.3
    assert found.given_back < 0.02


def test_what_is_left_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = shared((14, 12, 10), 30, 3)
    found = low_rank(truth + noise(truth.shape), AXES)
    assert found.directions == 3  # a tenth of 30: all of it stays
    error = (found.values - truth).std()
    assert error == pytest.approx(0.1**0.5, rel=0.3)
    assert np.sqrt(found.left.mean()) == pytest.approx(error, rel=0.25)
    monkeypatch.setattr(module, "FEW", 0.0)
    fewer = low_rank(truth + noise(truth.shape), AXES)
    assert (fewer.values - truth).std() < error


def test_noise_that_varies_is_measured_where_it_is() -> None:
    truth = shared((20, 12, 10), 30, 3)
    level = np.linspace(0.5, 2, 20, dtype=np.float32)[:, None, None, None]
    found = low_rank(truth + level * noise(truth.shape), AXES)
    error = (found.values - truth) / level
    assert error[:7].std() == pytest.approx(error[-7:].std(), rel=0.3)
    assert error.std() < 0.5


def test_a_small_activation_stays() -> None:
    volumes = 100
    course = np.where(np.arange(volumes) // 10 % 2 == 1, 0.5, -0.5).astype(np.float32)
    truth = np.full((16, 16, 12, volumes), 30, np.float32)
    places = [(x, y, z) for x in (4, 10) for y in (4, 10) for z in (3, 8)]
    for x, y, z in places:
        truth[x : x + 2, y : y + 2, z : z + 2] += 0.9 * course
    found = low_rank(np.asfortranarray(truth + noise(truth.shape)), AXES)
    height = [
        (found.values[x : x + 2, y : y + 2, z : z + 2] @ course).mean() / (0.9 * course @ course)
        for x, y, z in places
    ]
    assert np.mean(height) > 0.85
    assert found.values.std(-1).mean() < 0.4  # and the rest is quiet


def test_padding_has_no_noise_and_stays() -> None:
    series = noise((12, 12, 10, 16)) + 20
    series[:4] = 0
    found = low_rank(series, AXES)
    assert np.abs(found.values[:2]).max() < 1e-3
    assert found.directions == 1


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 1)])
def test_tiles_make_no_difference(axes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    series = shared((9, 7, 6), 12, 4) + noise((9, 7, 6, 12))
    whole = low_rank(series, axes)
    monkeypatch.setattr(module, "BUDGET", 1)
    tiled = low_rank(series, axes)
    np.testing.assert_allclose(tiled.values, whole.values, atol=1e-3)
    np.testing.assert_allclose(tiled.left, whole.left, atol=1e-5)


def test_one_slice_and_few_volumes() -> None:
    found = low_rank(shared((16, 14, 1), 8, 1) + noise((16, 14, 1, 8)), (0, 1))
    assert found.values.shape == (16, 14, 1, 8)
    with pytest.raises(ValueError, match="8 or more volumes"):
        low_rank(noise((8, 8, 8, 7)), AXES)


@pytest.mark.parametrize("volumes", [8, 100, 3000])
def test_what_is_read_at_once_does_not_grow_with_the_number_of_volumes(volumes: int) -> None:
    shape, size = (96, 96, 60), (3, 3, 3)
    covered = np.zeros(shape, int)
    for outer, inner, target in module._tiles(shape, size, volumes):
        sides = [s.stop - s.start for s in outer]
        assert np.prod(sides) * volumes <= module.BUDGET
        patches = [n - s + 1 for n, s in zip(sides, size, strict=True)]
        assert patches[1] * patches[2] * 27 * volumes <= 8 * module.BUDGET  # of one row
        assert [s.stop - s.start for s in inner] == [s.stop - s.start for s in target]
        covered[target] += 1
    assert (covered == 1).all()
    series = np.broadcast_to(np.float32(0), (16, 16, 16, volumes))
    sizes = [part.size for _, part in module._chunks(np.asfortranarray(series))]
    assert max(sizes) <= module.BUDGET
    assert sum(sizes) == series.size
