"""Registered correlation: against the definition, and the fast search against the exact one."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from torch import from_numpy
from torch.nn.functional import avg_pool2d

from diff_medical.audit.match import detail, mirrors, paired
from diff_medical.audit.screen import blocks, likeness, nearest


def fields(count: int, shape: tuple[int, ...], seed: int = 0, blur: float = 1.5) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((count, *shape))
    smooth = gaussian_filter(noise, (0.0, *(blur,) * len(shape)))
    return (smooth / smooth.std()).astype(np.float32)


def registered(one: np.ndarray, others: np.ndarray, shift: int = 4) -> np.ndarray:
    """(N, M), with mirroring."""
    found = [
        paired(np.repeat(np.flip(row, mirror)[None], len(others), 0), others, shift)
        for row in one
        for mirror in mirrors(row.ndim)
    ]
    return np.stack(found).reshape(len(one), -1, len(others)).max(1)


def by_definition(one: np.ndarray, other: np.ndarray, shift: int) -> float:
    inner = one[tuple(slice(shift, n - shift) for n in one.shape)]
    best = -1.0
    for mirror in mirrors(one.ndim):
        template = np.flip(inner, mirror).ravel()
        for lag in np.ndindex(*(2 * shift + 1,) * one.ndim):
            place = tuple(slice(a, a + n) for a, n in zip(lag, inner.shape, strict=True))
            best = max(best, float(np.corrcoef(template, other[place].ravel())[0, 1]))
    return best


@pytest.mark.parametrize("shape", [(19, 14), (10, 9, 8)])
def test_it_is_what_the_definition_says(shape: tuple[int, ...]) -> None:
    one, others = fields(2, shape), fields(3, shape, seed=1)
    found = registered(one, others, 2)
    expected = [[by_definition(a, b, 2) for b in others] for a in one]
    assert np.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("mirror", mirrors(2))
def test_a_moved_mirrored_brighter_copy_is_the_same(mirror: tuple[int, ...]) -> None:
    image = fields(1, (40, 48))
    # the inner window of the copy lies in the original, whatever is at the edges
    copy = np.roll(np.flip(image, [1 + a for a in mirror]), (3, -2), (1, 2)) * 7 + 30
    copy[:, :3] = copy[:, :, -2:] = 0
    assert registered(copy, image)[0, 0] == pytest.approx(1.0, abs=1e-4)
    assert registered(copy, -image)[0, 0] < 0.7


def test_an_image_without_contrast_is_like_nothing() -> None:
    images = fields(2, (24, 24))
    flat = np.full((1, 24, 24), 5.0, np.float32)
    assert not registered(flat, images).any()
    assert not registered(images, flat).any()
    assert not likeness(flat, images).ncc.any()


def test_shapes_and_shifts_are_checked() -> None:
    images = fields(2, (16, 16))
    with pytest.raises(ValueError, match=r"shape \(2, 16, 16\), others \(2, 8, 8\)"):
        paired(images, images[:, :8, :8])
    with pytest.raises(ValueError, match="shift is 7; expected 0 to 6"):
        paired(images, images, 7)


def test_the_fast_search_is_the_exact_one_at_half_the_resolution() -> None:
    one, others = fields(3, (40, 40)), fields(4, (40, 40), seed=1)
    half = [avg_pool2d(from_numpy(x)[:, None], 2)[:, 0].numpy() for x in (one, others)]
    assert np.allclose(likeness(one, others).ncc, registered(*half, 2), atol=1e-4)


def test_a_patch_in_a_fresh_image_is_found_in_place() -> None:
    shape, scans = (80, 80), fields(5, (80, 80))
    samples = fields(1, shape, seed=1)
    samples[0, 20:64, 20:64] = scans[3, 21:65, 18:62]
    samples = np.ascontiguousarray(samples[:, ::-1])  # moved, and mirrored with the whole image
    found = likeness(samples, scans, 32)
    assert found.ncc[0].argmax() == 3
    ncc, index = nearest(samples, scans, found)
    assert index[0] == 3
    assert ncc[0] == pytest.approx(1.0, abs=1e-3)
    whole, _ = nearest(samples, scans, likeness(samples, scans))
    assert whole[0] < 0.8


def test_patches_reach_from_end_to_end() -> None:
    seen = np.zeros((128, 100), int)
    for block in blocks((128, 100), 32, 4):
        assert seen[block].shape == (40, 40)
        seen[block] += 1
    assert seen.min() == 1
    assert blocks((30, 30), 32, 4) == [(slice(0, 30), slice(0, 30))]


def test_detail_has_neither_shading_nor_offset() -> None:
    ramp = np.linspace(0, 1, 96, dtype=np.float32)[None, :, None] * np.ones(
        (1, 96, 96), np.float32
    )
    assert np.abs(detail(ramp + 5)[:, 30:-30]).max() < 1e-3
