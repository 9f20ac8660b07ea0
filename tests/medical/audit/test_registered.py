"""Copies that were turned, zoomed, moved, given noise, inverted or spliced, and strangers."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter, rotate, shift

from diff_medical.audit.halves import halves
from diff_medical.audit.registered import registered
from diff_medical.audit.statistics import copy_limit

SIZE = 96
RNG = np.random.default_rng(1)


def heads(count: int, seed: int) -> np.ndarray:
    """Heads of one outline in air, with as much of their own inside as in common."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, SIZE),) * 2, indexing="ij")
    outline = gaussian_filter((x**2 / 0.6 + y**2 / 0.45 < 1).astype(float), 1.0)

    def smooth(rng: np.random.Generator, n: int) -> np.ndarray:
        found = gaussian_filter(rng.standard_normal((n, SIZE, SIZE)), (0, 2.0, 2.0))
        return found / found.std()

    own, common = smooth(np.random.default_rng(seed), count), smooth(np.random.default_rng(99), 1)
    return ((0.5 + 0.1 * (own + common)) * outline).astype(np.float32)


TRAIN, HELDOUT = heads(20, 0), heads(40, 1)


@pytest.fixture(scope="module")
def limit() -> float:
    """The limit for 100 samples and four searches."""
    return copy_limit(registered(HELDOUT, TRAIN)[0], 400)


def zoomed(image: np.ndarray, by: float) -> np.ndarray:
    middle = np.full(2, (SIZE - 1) / 2)
    return affine_transform(image, np.eye(2) / by, middle - middle / by, order=1)


PLANTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda x: x,
    "moved 6": lambda x: shift(x, (6, -6), order=1),
    "moved 12": lambda x: shift(x, (-12, 11), order=1),
    "mirrored": lambda x: x[::-1],
    "turned 5": lambda x: rotate(x, 5, reshape=False, order=1),
    "turned 10": lambda x: rotate(x, -10, reshape=False, order=1),
    "zoomed 1.05": lambda x: zoomed(x, 1.05),
    "zoomed 1.15": lambda x: zoomed(x, 1.15),
    "zoomed 0.87": lambda x: zoomed(x, 1 / 1.15),
    "noise 15 %": lambda x: x + 0.15 * RNG.standard_normal(x.shape),
    "inverted": lambda x: x.max() - x,
    "inverted inside": lambda x: np.where(x > 0.1, 1 - x, x),
    "all of it": lambda x: 1 - zoomed(rotate(x, 6, reshape=False, order=1), 1.08)[::-1],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_a_copy_is_found_however_it_was_changed(name: str, limit: float) -> None:
    samples = np.stack([PLANTS[name](image) for image in TRAIN[5:9]]).astype(np.float32)
    ncc, scan = registered(samples, TRAIN)
    assert scan.tolist() == [5, 6, 7, 8]
    assert (ncc > limit).all()


@pytest.mark.slow
def test_a_hundred_strangers_are_no_copies(limit: float) -> None:
    strangers = heads(100, 7)
    strangers[70:] += 0.15 * RNG.standard_normal((30, SIZE, SIZE)).astype(np.float32)
    assert not (registered(strangers, TRAIN)[0] > limit).any()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_half_of_a_scan_is_found_beside_the_half_of_another(axis: int) -> None:
    limit = copy_limit(halves(HELDOUT, TRAIN)[0], 400)
    strangers = heads(100, 7)
    assert not (halves(strangers, TRAIN)[0] > limit).any()
    spliced = strangers[:6].copy()
    half = (slice(None),) * (1 + axis) + (slice(SIZE // 2, None),)
    spliced[half] = TRAIN[:6][half]
    for samples in (spliced, np.ascontiguousarray(np.flip(spliced, 1 + axis))):
        ncc, scan = halves(samples, TRAIN)
        assert scan.tolist() == [0, 1, 2, 3, 4, 5]
        assert (ncc > limit).all()


def test_the_tip_of_a_head_is_no_half() -> None:
    def cut(image: np.ndarray, rows: int) -> np.ndarray:
        """Nothing but some rows of one half, and no other half."""
        found = np.zeros_like(image)
        found[:, :, SIZE // 2 : SIZE // 2 + rows] = image[:, :, SIZE // 2 : SIZE // 2 + rows]
        return found

    one = TRAIN[:1]
    assert halves(cut(one, SIZE // 4), cut(one, SIZE // 4))[0][0] > 0.99
    assert halves(cut(one, 3), cut(one, 3))[0][0] == 0


def test_an_empty_sample_is_like_nothing() -> None:
    assert not registered(np.zeros((1, SIZE, SIZE), np.float32), TRAIN)[0].any()
    assert not halves(np.zeros((1, SIZE, SIZE), np.float32), TRAIN)[0].any()
