"""The noise of CT, its level and its map, against noise whose variance is known."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diff_medical import Enhancer, Settings
from diff_medical.enhance import main
from diff_medical.noise.ct import LIMITS, noise_map
from diff_medical.noise.level import estimate
from diff_medical.noise.low_dose import Dose, noise_textures

Write = Callable[..., Path]
SIZE, PIXEL = 96, 3.7
SPACING = (PIXEL, PIXEL, 5.0)


def body() -> np.ndarray:
    """An elliptic patient (X, Y) with a lung and a spine, HU."""
    x, y = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL
    made = np.where((x / 138) ** 2 + (y / 92) ** 2 < 1, 40.0, -1000.0)
    made[((x - 55) / 30) ** 2 + (y / 44) ** 2 < 1] = -800
    made[(x + 66) ** 2 + y**2 < 12**2] = 700
    return made.astype(np.float32)


@lru_cache
def noises() -> np.ndarray:
    """40 slices (40, X, Y) of the body's noise at a quarter of 3e5 photons, HU."""
    textures = noise_textures(np.stack([body()] * 40), PIXEL, np.random.default_rng(0), views=120)
    return Dose(3e5, 0.0).weights(0.25)[0] * textures.photon


def known_sd() -> np.ndarray:
    """Its standard deviation (X, Y) over the slices, steadied over 2 voxels."""
    return np.sqrt(gaussian_filter(np.square(noises()).mean(0), 2))


def scan(count: int = 8) -> np.ndarray:
    return np.moveaxis(body() + noises()[:count], 0, 2)


def inside(margin: float) -> np.ndarray:
    return gaussian_filter((body() > -900).astype(float), 4) > margin


def test_the_map_is_that_of_simulated_projections() -> None:
    truth, tissue = known_sd(), (body() > 0) & (body() < 100)
    blind = estimate(scan(), SPACING, modality="ct", distribution="poisson-ct")
    assert blind.distribution == "poisson-ct"
    assert blind.sigma == pytest.approx(float(np.median(truth[tissue])), rel=0.15)
    ratio = noise_map(scan(), SPACING, blind.sigma)[..., 0] / truth
    assert np.quantile(truth[inside(0.98)], 0.98) > 1.4 * np.quantile(truth[inside(0.98)], 0.02)
    low, high = np.quantile(ratio[inside(0.98)], [0.02, 0.98])
    assert 1 / 1.25 < low / high
    assert np.median(ratio[inside(0.98)]) == pytest.approx(1.0, abs=0.15)


def test_slices_of_other_tube_currents_have_levels_of_their_own() -> None:
    current = np.where(np.arange(40) < 20, 1.0, 2.0)
    volume = np.moveaxis(body() + noises()[:40] * current[:, None, None], 0, 2)
    found = noise_map(volume, SPACING, 10.0)[SIZE // 4, SIZE // 2]
    assert found[30:].mean() / found[:10].mean() == pytest.approx(2.0, rel=0.12)


def test_sigma_is_the_level_in_soft_tissue_and_bounds_the_map() -> None:
    one, two = (noise_map(scan(2), SPACING, sigma) for sigma in (7.0, 14.0))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)
    tissue = (body() > 0) & (body() < 100) & inside(0.98)
    assert np.median(one[tissue]) == pytest.approx(7.0, rel=0.1)
    assert LIMITS[0] * 7 - 1e-4 <= one.min() and one.max() <= LIMITS[1] * 7 + 1e-4
    with pytest.raises(ValueError, match="sigma is 0.0; expected a positive number"):
        noise_map(scan(2), SPACING, 0.0)


def test_thin_slices_are_interpolated_and_air_alone_is_even() -> None:
    thin = noise_map(scan(8), (PIXEL, PIXEL, 1.0), 10.0)
    steps = np.diff(thin[:, :, :6], 2, axis=2)  # slices 0 and 5 are computed
    assert np.abs(steps).max() < 1e-3
    air = np.full((SIZE, SIZE, 3), -1000.0, np.float32)
    np.testing.assert_allclose(noise_map(air, SPACING, 5.0), 5.0, rtol=0.05)


@pytest.mark.parametrize("padding", [-2000.0, -3024.0])
def test_poisson_ct_keeps_units_padding_and_metal(weights: Path, padding: float) -> None:
    volume = scan(4).copy()
    volume[:4] = padding
    volume[40:42, 42:44, 1] = 10_000
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    for noise in ("poisson-ct", "gaussian", "auto"):
        settings = Settings(modality="ct", noise=noise, sigma=20.0)
        found = enhancer(volume, SPACING, settings)
        odd = (volume == padding) | (volume == 10_000)
        assert np.array_equal(found.volume[odd], volume[odd])
        assert found.modality == "ct" and np.isfinite(found.volume).all()
        limit = 3.5 * 20 * (LIMITS[1] if noise == "poisson-ct" else 1)
        assert 0 < np.abs(found.volume - volume).max() <= limit * 1.001
        assert found.volume[~odd].min() < -950  # air is where it was: nothing is cut off


def test_poisson_ct_takes_more_where_there_is_more_noise(weights: Path) -> None:
    """The network of the fixture shrinks by sigma^2 / (sigma^2 + s_d^2): more where sigma is."""
    volume = scan(4)
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    found = enhancer(volume, SPACING, Settings(noise="poisson-ct", sigma=20.0))
    taken = (volume - found.volume) / (volume + 1000)
    truth = known_sd()
    tissue = (body() > 0) & (body() < 100) & inside(0.98)
    noisy = tissue & (truth > np.quantile(truth[tissue], 0.9))
    quiet = tissue & (truth < np.quantile(truth[tissue], 0.1))
    assert np.median(taken[noisy]) > 1.2 * np.median(taken[quiet])


def test_the_command_takes_poisson_ct(write_scan: Write, weights: Path) -> None:
    affine = np.diag([*SPACING, 1.0])
    path = write_scan(np.rint(scan(3)).astype(np.int16), "ct.nii.gz", affine=affine)
    options = ["--noise", "poisson-ct", "--sigma", "15"]
    assert main([str(path), "--weights", str(weights), *options]) == 0
    before, after = (nib.load(p) for p in (path, path.with_name("ct_enhanced.nii.gz")))
    assert after.get_data_dtype() == np.int16
    assert not np.array_equal(before.get_fdata(), after.get_fdata())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--noise", "poisson-ct"], "poisson-ct is noise of CT"),
        (["--noise", "poisson-ct", "--sigma", "9"], "poisson-ct is noise of CT"),
        (["--noise", "poisson-ct", "--samples", "2"], "poisson-ct gives one a voxel"),
        (["--noise", "poisson-ct", "--upsample", "2"], "does not go with"),
    ],
)
def test_what_poisson_ct_does_not_go_with(
    make_head: Callable[..., np.ndarray],
    write_scan: Write,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    path = write_scan(make_head((24, 24, 8)))
    assert main([str(path), "--weights", str(weights), *options]) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if said in line]) == 1
    assert not path.with_name("scan_enhanced.nii.gz").exists()
