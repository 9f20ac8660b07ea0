"""Worse scans: by closed forms, and for CT by an independent simulation of the whole scan."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader

from diff_core.operator.radon import Radon
from diff_medical.data.degrade import Degradation, add_noise, bias_field, coarsen, move, wear
from diff_medical.data.patches import Patches
from diff_medical.data.studies import Row
from diff_medical.data.volumes import Volume, build_corpus
from diff_medical.noise.low_dose import (
    LARGEST,
    WATER,
    Dose,
    Levels,
    back_project,
    line_integrals,
    noise_textures,
    smear,
)
from diff_medical.scan.intensity import CT_OFFSET, CT_SCALE

Make = Callable[..., np.ndarray]
RNG = np.random.default_rng


def disc(size: int, radius: float, centre: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    place = np.arange(size) - (size - 1) / 2
    return ((place - centre[0]) ** 2)[:, None] + (place - centre[1]) ** 2 < radius**2


def test_gaussian_and_rician_noise_have_their_moments() -> None:
    clean = np.full((40, 50, 50), 0.3, np.float32)
    gaussian = add_noise(clean, Degradation("gaussian"), 0.1, RNG(0))
    assert gaussian.mean() == pytest.approx(0.3, abs=0.002)
    assert gaussian.std() == pytest.approx(0.1, rel=0.02)
    rician = add_noise(clean, Degradation("rician"), 0.1, RNG(0))
    assert rician.mean() == pytest.approx(0.1 * stats.rice(3.0).mean(), rel=0.003)
    assert rician.std() == pytest.approx(0.1 * stats.rice(3.0).std(), rel=0.02)
    assert np.array_equal(add_noise(clean, Degradation(), 0.1, RNG(0)), clean)


@pytest.mark.parametrize("coils", [1, 4, 12])
def test_noncentral_chi_is_the_sum_over_coils(coils: int) -> None:
    """E[M^2] = A^2 + 2 L sigma^2 and Var[M^2] = 4 A^2 sigma^2 + 4 L sigma^4."""
    clean = np.full((60, 50, 50), 0.5, np.float32)
    noisy = add_noise(clean, Degradation("noncentral chi", coils=coils), 0.2, RNG(1))
    square = noisy.astype(np.float64) ** 2
    assert square.mean() == pytest.approx(0.25 + 2 * coils * 0.04, rel=0.005)
    assert square.var() == pytest.approx(4 * 0.25 * 0.04 + 4 * coils * 0.2**4, rel=0.03)


def test_bias_field_is_smooth_and_has_its_spread() -> None:
    fields = np.stack([np.log(bias_field((5, 40, 50), 0.3, RNG(s))) for s in range(400)])
    assert fields.std() == pytest.approx(0.3, rel=0.1)
    assert abs(fields.mean()) < 0.02
    for axis in (2, 3):
        assert np.abs(np.diff(fields, axis=axis)).max() < 0.15


def test_shading_stays_in_the_target_and_only_mr_is_shaded() -> None:
    planes = RNG(0).uniform(0.2, 1, (3, 20, 20)).astype(np.float32)
    shaded = Degradation(bias=1.0)
    target, worn = wear(planes, shaded, "mr", RNG(0))
    assert np.array_equal(target, worn) and not np.allclose(target, planes)
    assert np.array_equal(wear(planes, shaded, "ct", RNG(0))[0], planes)


@pytest.mark.parametrize("axis", [1, 2])
def test_coarsening_removes_the_outer_k_space_and_nothing_else(axis: int) -> None:
    planes = RNG(0).standard_normal((2, 64, 60)).astype(np.float32)
    coarse = coarsen(planes, 2.0, axis)
    before, after = (np.fft.fft(p.astype(np.float64), axis=axis) for p in (planes, coarse))
    inner = np.abs(np.fft.fftfreq(planes.shape[axis])) <= 0.25
    kept, lost = (np.moveaxis(a, axis, 0) for a in (after - before, after))
    assert np.abs(kept[inner]).max() < 1e-4 * np.abs(before).max()
    assert np.abs(lost[~inner]).max() < 1e-4 * np.abs(before).max()
    np.testing.assert_allclose(coarsen(planes, 1.0, axis), planes, atol=1e-5)


def test_motion_keeps_place_and_energy_and_none_changes_nothing() -> None:
    planes = np.stack([disc(64, 20) + 0.5 * disc(64, 8, (5, 3))] * 2).astype(np.float32)
    still = replace(Degradation(), motion=1.0, shift=0.0, turn=0.0)
    np.testing.assert_allclose(move(planes, still, RNG(0)), planes, atol=1e-5)
    for seed in range(5):
        moved = move(planes, Degradation(motion=1.0, shift=4.0, turn=0.0), RNG(seed))
        assert not np.allclose(moved, planes, atol=0.02)
        energy = np.square(moved.astype(np.float64)).sum() / np.square(planes).sum()
        assert energy == pytest.approx(1.0, rel=1e-5)  # Parseval: a shift is a phase
        across = np.fft.ifft2(np.fft.fft2(moved[0]) * np.conj(np.fft.fft2(planes[0]))).real
        row, column = np.unravel_index(np.argmax(across), across.shape)
        assert min(row, 64 - row) <= 2 and min(column, 64 - column) <= 2
        assert np.array_equal(moved[0], moved[1])  # slices move together


def test_back_projection_inverts_the_projector() -> None:
    size = 96
    image = (disc(size, 34, (4, -3)) + 0.5 * disc(size, 10, (-8, 12))).astype(np.float32)
    angles = torch.arange(180, dtype=torch.float64) * (np.pi / 180)
    found = back_project(Radon(angles, size)(torch.from_numpy(image)[None, None])[0], angles, size)
    for region in (disc(size, 6, (-8, 12)), disc(size, 8, (18, -15)), disc(size, 4, (42, 40))):
        assert float(found[0].numpy()[region].mean()) == pytest.approx(
            float(image[region].mean()), abs=0.01
        )


def test_textures_have_the_noise_of_a_whole_simulated_scan() -> None:
    """Photons counted ray by ray and reconstructed by scikit-image, against the textures."""
    from skimage.transform import iradon, radon

    size, pixel, views, photons, share = 128, 2.5, 180, 2e5, 0.25
    water = disc(size, 50)
    hounsfield = np.where(water, 0.0, -1000.0).astype(np.float32)
    degrees = np.arange(views) * 180 / views
    p = radon(np.where(water, WATER, 0.0), degrees, circle=True) * pixel
    rng = RNG(0)
    images = []
    for _ in range(4):
        # difference of a full and of a low-dose scan of the same patient: its variance is theirs
        counts = [rng.poisson(photons * part * np.exp(-p)) for part in (1.0, share)]
        noise = [-np.log(n / (photons * f)) - p for n, f in zip(counts, (1.0, share), strict=True)]
        images.append(iradon((noise[1]), degrees, filter_name="hann", circle=True) / pixel)
        images[-1] = images[-1] * np.sqrt(1 - share)  # what a full scan does not already have
    simulated = np.stack(images) * 1000 / WATER

    textures = noise_textures(np.stack([hounsfield] * 4), pixel, RNG(1), views=views)
    ours = Dose(photons, 0.0).weights(share)[0] * textures.photon
    for region in (disc(size, 12), disc(size, 6, (36, 0)), disc(size, 6, (0, -36))):
        assert ours[:, region].std() == pytest.approx(simulated[:, region].std(), rel=0.12)
    assert ours[:, disc(size, 12)].std() > 1.2 * ours[:, disc(size, 6, (36, 0))].std()
    neighbours = [
        np.corrcoef(n[:, disc(size, 12)].ravel(), np.roll(n, 1, 2)[:, disc(size, 12)].ravel())[
            0, 1
        ]
        for n in (ours, simulated)
    ]
    assert neighbours[0] == pytest.approx(neighbours[1], abs=0.12)


def test_dose_weights_are_those_of_the_formula() -> None:
    dose, a, p = Dose(1e5, 8.0), 0.2, 3.0
    photon, detector = dose.weights(a)
    variance = photon**2 * np.exp(p) + detector**2 * np.exp(2 * p)
    expected = (1 - a) / a * np.exp(p) / 1e5 * (1 + (1 + a) / a * 64 * np.exp(p) / 1e5)
    assert variance == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got 1"):
        dose.weights(1.0)
    with pytest.raises(ValueError, match="photons must be positive"):
        Dose(photons=0)


def test_levels_add_in_squares() -> None:
    assert Levels(3.0, 2.0, 12.0).at((2.0, 0.25)) == pytest.approx((9 + 16 + 9) ** 0.5)


@pytest.mark.parametrize("size", [96, 300])
def test_line_integrals_are_chords_of_a_disc_also_on_a_coarse_grid(size: int) -> None:
    pixel, radius = 0.8 * 256 / size, 0.35 * size
    hounsfield = np.where(disc(size, radius), 0.0, -1000.0)[:, : size - 5]
    angles = torch.tensor([0.0, 0.7, 2.0])
    found = line_integrals(hounsfield, pixel, angles).numpy()
    place = np.arange(found.shape[1]) - (found.shape[1] - 1) / 2
    chord = 2 * np.sqrt(np.maximum(radius**2 - place**2, 0)) * pixel * WATER
    inner = np.abs(place) < 0.9 * radius
    np.testing.assert_allclose(found[:, inner], chord[inner][None].repeat(3, 0), rtol=0.04)
    assert found[:, np.abs(place) > 1.05 * radius].max() < 0.02 * chord.max()
    metal = line_integrals(np.full((64, 64), 30_000.0), 5.0, angles)
    assert metal.max() == LARGEST


def test_smearing_adds_up_what_the_rays_through_a_pixel_hold() -> None:
    angles = torch.arange(40, dtype=torch.float64) * (np.pi / 40)
    ramp = torch.arange(60, dtype=torch.float32).expand(1, 40, 60) - 29.5
    found = smear(ramp, angles, 40)[0].numpy()
    place = np.arange(40) - 19.5
    # the mean over angles of u cos a + v sin a, times pi
    expected = [float((torch.cos(angles) * u).sum()) for u in place]
    down = [float((torch.sin(angles) * v).sum()) for v in place]
    np.testing.assert_allclose(found, np.pi / 40 * np.add.outer(down, expected), atol=0.13 * np.pi)


def volume(modality: str = "mr", shape: tuple[int, int, int] = (30, 40, 36)) -> Volume:
    array = RNG(0).uniform(0.2, 1, shape).astype(np.float16)
    centres = np.array([[15, 20, 18]], np.int16)
    return Volume("v", modality, array, centres, (0, 1, 2), (1.0, 1.0, 1.0), 0.0, 1.0)  # type: ignore[arg-type]


def test_worse_items_are_aligned_and_depend_on_their_number_only() -> None:
    everything = Degradation("rician", bias=0.5, motion=0.5, blur=0.5)
    patches = Patches([volume()], seed=2, size=16, degradation=everything)
    alone = [patches[i] for i in range(8)]
    loader = DataLoader(patches, 4, sampler=range(8), num_workers=2)  # type: ignore[arg-type]
    for batch, start in zip(loader, (0, 4), strict=True):
        for key in ("x_0", "y", "sigma", "slices"):
            for n in range(4):
                assert torch.equal(batch[key][n], alone[start + n][key])
    clear = Patches([volume()], size=16, degradation=Degradation("gaussian", sigma=(1e-6, 1e-6)))
    for i in range(20):  # flips, gamma, thin stacks: whatever is done to one is done to the other
        torch.testing.assert_close(clear[i]["y"], clear[i]["x_0"], atol=2e-5, rtol=0)


def test_noise_of_an_item_has_the_sigma_that_it_says() -> None:
    patches = Patches([volume()], size=32, thin=0.0, degradation=Degradation("gaussian"))
    for i in range(10):
        item = patches[i]
        assert (item["y"] - item["x_0"]).std().item() == pytest.approx(
            item["sigma"].item(), rel=0.1
        )


def test_off_is_the_shipped_recipe() -> None:
    plain, given = (
        Patches([volume()], seed=1),
        Patches([volume()], seed=1, degradation=Degradation()),
    )
    assert set(plain[0]) == {"x_0", "slices"}
    assert all(torch.equal(plain[i]["x_0"], given[i]["x_0"]) for i in range(10))


def test_cubes_of_64() -> None:
    item = Patches([volume(shape=(70, 66, 80))], slices=64, size=64, thin=0.0)[3]
    assert item["x_0"].shape == (64, 64, 64)
    assert item["slices"].tolist() == list(range(64))


def test_low_dose_items_from_a_scan(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    hounsfield = np.where(disc(48, 20)[..., None], 40.0, -1000.0) * np.ones(6)
    path = write_scan(
        (hounsfield + RNG(0).uniform(-3, 3, hounsfield.shape)).astype(np.float32),
        "ct.nii.gz",
        affine=np.diag([5.0, 5, 5, 1]),
    )
    rows = [Row(path, "train", "ct")]
    low = Degradation(low_dose=1.0, dose=Dose(1e4))
    plain = build_corpus(rows, tmp_path / "cache")
    with pytest.raises(ValueError, match="low_dose needs a corpus built with textures=True"):
        Patches(plain, degradation=low)
    volumes = build_corpus(rows, tmp_path / "cache", textures=True)
    patches = Patches(volumes, size=24, background=0.0, degradation=low)
    items = [patches[i] for i in range(40)]
    noise = [item["y"] - item["x_0"] for item in items]
    assert all(n.std() > 0.002 for n in noise)
    levels = volumes[0].levels
    assert levels is not None
    assert levels.scan == pytest.approx(3**0.5, rel=0.3)
    # half of them say what was added to them and the scan's own 3 / sqrt(3) HU, half what an
    # estimate on the whole scan would say, which is of soft tissue
    added = np.array([float(n.square().mean().sqrt()) for n in noise])
    brightest = np.array([float(item["x_0"].max()) for item in items])
    gain = brightest / ((hounsfield.max() + 3 - CT_OFFSET) / CT_SCALE)
    said = np.array([float(item["sigma"]) for item in items])
    ratio = said / np.hypot(added, gain * levels.scan / CT_SCALE)
    exact = np.abs(ratio - 1) < 1e-3
    assert 10 <= exact.sum() <= 30
    assert 0.6 < ratio[~exact].min() and ratio[~exact].max() < 1.6
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    again = build_corpus(rows, tmp_path / "cache", textures=True)
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    copy = Row(shutil.copy(path, tmp_path / "a copy.nii.gz"), "train", "ct")
    elsewhere = build_corpus([copy], tmp_path / "elsewhere", textures=True)
    for other in (again, elsewhere):
        assert np.array_equal(other[0].textures.photon, volumes[0].textures.photon)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "pink"}, "noise must be"),
        ({"motion": 1.5}, r"motion must be a probability in \[0, 1\], got 1.5"),
        ({"sigma": (0.2, 0.1)}, "sigma must be a range"),
        ({"share": (0.2, 1.0)}, "share must be a range"),
        ({"coils": 0}, "coils must be 1 or more"),
    ],
)
def test_bad_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Degradation(**settings)


def test_patches_need_a_volume() -> None:
    with pytest.raises(ValueError, match="volumes is empty"):
        Patches([])


def test_an_item_names_its_scan() -> None:
    bright, dark = volume(), replace(volume(), name="dark")
    dark.array[:] = 0.001
    patches = Patches([bright, dark], size=16, background=0.0)
    for i in range(40):
        values = patches[i]["x_0"]
        if patches.name(i) == "dark":
            assert values.std() < 0.01
        else:
            assert patches.name(i) == "v" and values.std() > 0.05
