"""Scans filled with zeros in k-space: the band that was measured, and their way through."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diff_medical.enhance import main
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.band import cropped, filled, measured

ISO = (1.0, 1.0, 1.0)
Make = Callable[..., np.ndarray]
SHAPE = (72, 80, 16)


def zero_filled(values: np.ndarray, counts: tuple[int, int]) -> np.ndarray:
    """The same image of the middle of its k-space."""
    k = np.fft.fftshift(np.fft.fft2(values, axes=(0, 1)), axes=(0, 1))
    kept = np.zeros_like(k)
    inner = tuple(
        slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(k.shape, counts, strict=False)
    )
    kept[inner] = k[inner]
    return np.fft.ifft2(np.fft.ifftshift(kept, axes=(0, 1)), axes=(0, 1))


def scan_of(clean: np.ndarray, sigma: float, counts: tuple[int, int]) -> np.ndarray:
    """A magnitude scan whose noise has level `sigma` after filling."""
    real, imaginary = np.random.default_rng(0).standard_normal((2, *clean.shape))
    share = counts[0] * counts[1] / (clean.shape[0] * clean.shape[1])
    noise = sigma / share**0.5 * (real + 1j * imaginary)
    return np.abs(zero_filled(clean + noise, counts)).astype(np.float32)


@pytest.mark.parametrize("sigma", [15, 50, 100])
@pytest.mark.parametrize("counts", [(36, 40), (56, 40), (72, 58)])
def test_the_edge_is_found(make_head: Make, sigma: float, counts: tuple[int, int]) -> None:
    found = measured(scan_of(make_head(SHAPE), sigma, counts), (0, 1))
    assert found[2] == 16
    for axis in range(2):
        assert counts[axis] - 2 <= found[axis] <= counts[axis] + 4


def test_other_scans_have_no_edge(make_head: Make) -> None:
    clean = make_head(SHAPE)
    white = 40 * np.random.default_rng(0).standard_normal(SHAPE)
    blurred = [gaussian_filter(clean + white, sd) for sd in (0.8, 1.5)]
    for volume in (clean, clean + white, np.hypot(clean + white, white[::-1]), *blurred):
        assert measured(volume, (0, 1, 2)) == SHAPE


def test_cropping_and_filling_keep_level_and_band() -> None:
    white = np.random.default_rng(0).standard_normal((36, 40, 16)).astype(np.float32)
    fine = filled(white, SHAPE)
    assert fine.std() == pytest.approx(white.std(), rel=0.03)
    np.testing.assert_allclose(cropped(fine, white.shape), white, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(36, 40), (72, 58)])
def test_zero_filled_scans_lose_their_noise(make_head: Make, counts: tuple[int, int]) -> None:
    enhancer = Enhancer.from_pretrained()
    clean = make_head(SHAPE)
    scan = scan_of(clean, 50, counts)
    truth = np.abs(zero_filled(clean, counts))
    found = enhancer(scan, ISO, Settings(uncertainty=True))
    assert found.noise.sigma == pytest.approx(50, rel=0.07)
    inside = clean > 300

    def rmse(volume: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(volume - truth)[inside])))

    assert rmse(found.volume) < 0.6 * rmse(scan)
    assert found.volume.min() > 0
    assert found.uncertainty is not None
    within = np.abs(found.volume - truth) < 2 * found.uncertainty
    assert 0.85 < within[inside].mean() < 0.995


def test_the_command_reports_it(
    make_head: Make, write_scan: Callable[..., Path], weights: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = write_scan(scan_of(make_head(SHAPE), 50, (36, 40)))
    mask = np.ones(SHAPE, np.uint8)
    mask[:20] = 0
    where = write_scan(mask, "mask.nii")
    out, page = tmp_path / "out.nii", tmp_path / "page.html"
    done = main([
        str(a) for a in (source, "-o", out, "--weights", weights, "--mask", where, "--sigma", 50,
                         "--report", page, "--noise-map", tmp_path / "map.nii")
    ])  # fmt: skip
    assert done == 0
    assert "samples were measured" in capsys.readouterr().err
    assert "Voxels measured" in page.read_text()
    before, after = (np.asarray(nib.load(p).dataobj) for p in (source, out))
    np.testing.assert_array_equal(after[:20], before[:20])
    assert (after[20:] != before[20:]).any()
    levels = np.asarray(nib.load(tmp_path / "map.nii").dataobj)
    np.testing.assert_allclose(levels, 50, rtol=1e-5)
