"""SSIM of slices and over scales against other implementations, edge sharpness in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import MultiScaleSSIMMetric, SSIMMetric
from scipy.ndimage import gaussian_filter

from diff_medical.metrics.structure import edge_sharpness, multiscale_ssim, slice_ssim

RNG = np.random.default_rng(3)
CLEAN = gaussian_filter(RNG.standard_normal((180, 176, 3)), (3, 3, 0)) * 10
NOISY = CLEAN + 0.3 * RNG.standard_normal(CLEAN.shape)


def batch(volume: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(volume, 2, 0)[:, None].copy()).float()


def test_slices_agree_with_monai_inside() -> None:
    monai = SSIMMetric(2, data_range=8.0, kernel_sigma=1.5, win_size=11)
    expected = monai(batch(NOISY), batch(CLEAN)).mean().item()
    assert slice_ssim(CLEAN, NOISY, 8.0) == pytest.approx(expected, abs=2e-4)
    assert math.isnan(slice_ssim(CLEAN[:10], NOISY[:10], 8.0))


def test_scales_are_monais_and_fewer_where_slices_are_small() -> None:
    monai = MultiScaleSSIMMetric(2, data_range=8.0)
    found, scales = multiscale_ssim(CLEAN, NOISY, 8.0)
    assert scales == 5
    assert found == pytest.approx(monai(batch(NOISY), batch(CLEAN)).mean().item(), rel=1e-5)
    assert multiscale_ssim(CLEAN[:48, :64], NOISY[:48, :64], 8.0)[1] == 3
    assert multiscale_ssim(CLEAN[:48, :64], CLEAN[:48, :64], 8.0)[0] == pytest.approx(1, abs=1e-5)
    assert multiscale_ssim(CLEAN[:15], NOISY[:15], 8.0)[1] == 0


def test_edges_of_a_ramp_keep_their_slope() -> None:
    ramp = np.broadcast_to(np.arange(20.0)[:, None, None], (20, 8, 8))
    assert edge_sharpness(ramp, 0.7 * ramp + 3) == pytest.approx(0.7)
    assert math.isnan(edge_sharpness(np.ones((4, 4, 4)), np.ones((4, 4, 4))))


def test_blur_lowers_sharpness_and_noise_does_not() -> None:
    step = np.where(np.arange(64) < 32, 0.0, 100.0)[:, None, None] * np.ones((64, 32, 32))
    noisy = step + RNG.standard_normal(step.shape)
    assert edge_sharpness(step, gaussian_filter(step, 2)) < 0.6
    assert edge_sharpness(step, noisy) == pytest.approx(1, abs=0.01)
