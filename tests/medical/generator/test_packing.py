"""Haar packing: orthonormal, invertible, and of even variance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_medical.generator.packing import Packing, fit_packing, haar, inverse_haar

SHAPES = st.sampled_from([(2, 1), (2, 2), (2, 3), (3, 1), (3, 2)])


@given(SHAPES, st.integers(0, 2**31), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_haar_is_orthonormal(shape: tuple[int, int], seed: int, channels: int) -> None:
    spatial, levels = shape
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, 2, channels, *(16,) * spatial, generator=generator, dtype=torch.double)
    packed = haar(x, spatial, levels)
    assert packed.shape == (2, channels * 2 ** (spatial * levels), *(16 // 2**levels,) * spatial)
    assert torch.allclose(inverse_haar(packed, spatial, levels), x)
    product = (packed * haar(y, spatial, levels)).sum()
    assert torch.allclose(product, (x * y).sum())


def test_the_first_subband_is_the_mean_of_blocks() -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    means = torch.nn.functional.avg_pool2d(x, 4)
    assert torch.allclose(haar(x, 2, 2)[:, :1], 4 * means)


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        haar(torch.zeros(1, 1, 8, 6), 2, 2)


def smooth(count: int = 32, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 1, 4, 4)).astype(np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(coarse), (16, 16), mode="bicubic")


@pytest.mark.parametrize("whiten", [0.0, 0.5, 1.0])
def test_a_packing_has_unit_mean_square_and_goes_back(whiten: float) -> None:
    images = smooth()
    packing = fit_packing(images, 2, 2, whiten)
    packed = packing.pack(images)
    assert torch.allclose(packing.unpack(packed), images, atol=1e-5)
    deviation = packed.transpose(0, 1).flatten(1).std(1)
    assert float(deviation.square().mean()) == pytest.approx(1, rel=1e-3)
    spread = float(deviation.max() / deviation.min())
    if whiten == 1:
        assert spread < 1.05
    if whiten == 0:
        assert np.ptp(packing.scales) < 1e-6
        assert spread > 10


def test_numbers_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 of each"):
        Packing(2, 1, (0.0,) * 4, (1.0,) * 3)
    with pytest.raises(ValueError, match="above 0"):
        Packing(2, 1, (0.0,) * 4, (1.0, 1.0, 1.0, 0.0))
    with pytest.raises(ValueError, match="whiten is 2"):
        fit_packing(smooth(), 2, 2, 2)
