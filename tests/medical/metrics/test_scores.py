"""Scores against scikit-image, MONAI and closed forms."""

import numpy as np
import pytest
from scipy import stats
from skimage.metrics import (
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)

from diff_core.evaluate import mean_interval
from diff_medical.metrics.scores import score


def pair(shape: tuple[int, ...] = (24, 20, 18)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.uniform(0, 3, shape).cumsum(0).astype(np.float32)
    return reference, reference + rng.normal(0, 2, shape).astype(np.float32)


def test_agrees_with_scikit_image() -> None:
    reference, estimate = pair()
    found = score(reference, estimate, data_range=60.0)
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(reference, estimate, data_range=60))
    expected = structural_similarity(
        reference, estimate, data_range=60.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert found.ssim == pytest.approx(float(expected), abs=1e-4)
    assert found.nmse == pytest.approx(normalized_root_mse(reference, estimate) ** 2, rel=1e-5)
    assert found.mae == pytest.approx(float(np.abs(reference - estimate).mean()), rel=1e-5)
    assert (found.dims, found.voxels, found.data_range) == (3, reference.size, 60.0)


def test_agrees_with_monai() -> None:
    import torch
    from monai.metrics.regression import PSNRMetric

    reference, estimate = pair()
    monai = PSNRMetric(max_val=60.0)(
        torch.from_numpy(estimate)[None, None], torch.from_numpy(reference)[None, None]
    )
    assert score(reference, estimate, data_range=60.0).psnr == pytest.approx(
        float(monai), rel=1e-5
    )


def test_data_range_defaults_to_that_of_the_reference() -> None:
    reference, estimate = pair()
    found = score(reference, estimate)
    assert found.data_range == pytest.approx(float(np.ptp(reference)))


def test_mask_counts_its_voxels_only() -> None:
    reference, estimate = pair()
    mask = np.zeros(reference.shape)
    mask[5:10, 5:10, 5:10] = 2
    estimate = np.where(mask > 0, reference + 3, estimate)
    found = score(reference, estimate, data_range=30.0, mask=mask, mask_name="m")
    assert found.psnr == pytest.approx(20.0, abs=1e-4)
    assert found.mae == pytest.approx(3.0, abs=1e-4)
    assert (found.voxels, found.mask) == (125, "m")
    full = structural_similarity(
        reference.astype(float), estimate.astype(float), data_range=30.0, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False, full=True,
    )[1]  # fmt: skip
    assert found.ssim == pytest.approx(float(full[mask > 0].mean()))


def test_equal_volumes_are_perfect() -> None:
    reference, _ = pair()
    found = score(reference, reference)
    assert (found.psnr, found.ssim, found.nmse, found.mae) == (float("inf"), 1.0, 0.0, 0.0)


@pytest.mark.parametrize("shape", [(30, 28), (30, 28, 1), (30, 28, 4)])
def test_thin_volumes_have_scores(shape: tuple[int, ...]) -> None:
    reference, estimate = pair(shape)
    found = score(reference, estimate)
    assert 0 < found.ssim < 1
    assert found.dims == (3 if shape[-1] == 4 else 2)


def test_slice_scores_as_two_dimensional() -> None:
    reference, estimate = pair((40, 36))
    plane = structural_similarity(
        reference, estimate, data_range=60.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    found = score(reference[..., None], estimate[..., None], data_range=60.0)
    assert found.ssim == pytest.approx(float(plane), abs=1e-4)


def test_interval_is_students() -> None:
    values = [30.0, 31.0, 33.5, 29.0]
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.low, found.high, found.count) == (pytest.approx(low), pytest.approx(high), 4)
    assert np.isnan(mean_interval([1.0]).low)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, e: (r, e[:-1], None), "expected the same"),
        (lambda r, e: (np.zeros_like(r), e, None), "data_range is 0"),
        (lambda r, e: (r, e, np.zeros(r.shape)), "no voxel other than 0"),
        (lambda r, e: (r, e, np.ones((2, 2))), "mask has shape"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, message: str) -> None:
    reference, estimate, mask = change(*pair())
    with pytest.raises(ValueError, match=message):
        score(reference, estimate, mask=mask)
