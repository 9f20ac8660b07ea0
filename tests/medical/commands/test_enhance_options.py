"""Noise models, maps, masks, strength, uncertainty and BIDS through the real command."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter, maximum_filter

from diff_medical.enhance import main
from diff_medical.noise.level import estimate
from diff_medical.slices.uneven import levels, share_of_level

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Out = pytest.CaptureFixture[str]

SHAPE = (24, 22, 20)


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def data(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.fixture
def noisy(make_head: Make) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    return (make_head(SHAPE) + 60 * noise).astype(np.float32)


def test_even_map_is_the_same_as_its_value(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    source = write_scan(noisy)
    even = write_scan(np.full(SHAPE, 60, np.float32), "even.nii")
    for sigma, name in ((60, "a.nii"), (even, "b.nii")):
        assert run(source, "--weights", weights, "--noise", "gaussian", "--sigma", sigma,
                   "-o", tmp_path / name, "--json") == 0  # fmt: skip
    said = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (said["sigma"], said["method"]) == (60, "map")
    np.testing.assert_allclose(data(tmp_path / "a.nii"), data(tmp_path / "b.nii"), rtol=1e-5)


def test_map_denoises_where_the_noise_is(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(noisy)
    level = np.full(SHAPE, 60, np.float32)
    level[:, :11] = 120
    level[:4] = 0
    where = write_scan(level, "map.nii.gz")
    assert run(source, "--weights", weights, "--noise", "gaussian", "--sigma", where,
               "-o", tmp_path / "out.nii") == 0  # fmt: skip
    moved = np.abs(data(tmp_path / "out.nii") - noisy)
    assert (moved[:4] == 0).all()
    assert moved[4:, :11].mean() > 2 * moved[4:, 11:].mean() > 0


def test_the_map_that_was_assumed_is_written(
    make_head: Make, write_scan: Write, tmp_path: Path, capsys: Out
) -> None:
    clean = make_head((72, 80, 24))
    x, y = np.linspace(-1, 1, 72)[:, None, None], np.linspace(-1, 1, 80)[:, None]
    sigma = 25 * (1 + 2 * np.exp(-(x**2 + y**2) / 0.3)) * np.ones(clean.shape)
    scan = clean + sigma * np.random.default_rng(0).standard_normal(clean.shape)
    common = ("--quality", "draft", "--json", "--overwrite")
    for name, array in (("one", scan), ("series", np.stack([scan] * 3, -1))):
        source = write_scan(array.astype(np.float32), f"{name}.nii")
        levels, page = tmp_path / f"{name}_map.nii.gz", tmp_path / "page.html"
        assert run(source, *common, "-o", tmp_path / "out.nii", "--noise-map", levels,
                   "--sigma", "local", "--report", page) == 0  # fmt: skip
        said = json.loads(capsys.readouterr().out)
        assert said["method"] == "local fine detail"
        assert 25 < said["varies"][0] < 40 < 60 < said["varies"][1] < 85
        assert any("its noise varies from" in note for note in said["notes"])
        assert str(levels) in said["products"]
        assert "over the scan" in page.read_text()
        found = data(levels)
        assert found.shape == array.shape
        inner = found[20:52, 20:60, 6:18]
        np.testing.assert_allclose(np.median(inner), np.median(sigma[20:52, 20:60]), rtol=0.1)
    assert run(source, *common, "-o", tmp_path / "out.nii", "--noise-map", levels) == 0
    assert np.ptp(data(levels)) == 0  # one level unless each is asked for
    capsys.readouterr()
    assert run(source, *common, "--sigma", 30, "-o", tmp_path / "out.nii",
               "--noise-map", levels) == 0  # fmt: skip
    assert (data(levels) == 30).all()
    assert json.loads(capsys.readouterr().out)["varies"] is None


def test_levels_span_the_map_and_meet_between() -> None:
    sigma = torch.linspace(0.05, 0.3, 64).reshape(4, 4, 4)
    nodes = levels(float(sigma.min()), float(sigma.max()))
    assert (nodes[0], nodes[-1]) == pytest.approx((0.05, 0.3))
    assert max(b / a for a, b in zip(nodes, nodes[1:], strict=False)) <= 1.5
    noisy = torch.ones(4, 4, 4)
    # D = x s^2 / (s^2 + sigma^2), whatever the level of a voxel
    found = sum(
        share_of_level(sigma, nodes, k) * noisy * 0.25 / (0.25 + node**2)
        for k, node in enumerate(nodes)
    )
    np.testing.assert_allclose(found, 0.25 / (0.25 + sigma**2), rtol=0.01)
    assert levels(0.1, 0.1) == pytest.approx((0.1,))


@pytest.mark.parametrize("coils", [1, 8])
def test_level_of_multichannel_magnitudes_is_found(make_head: Make, coils: int) -> None:
    clean = make_head((48, 44, 40)) / 40
    rng = np.random.default_rng(0)
    power = stats.ncx2(2 * coils, np.maximum(clean**2, 1e-9)).rvs(random_state=rng)
    volume = (40 * np.sqrt(power)).astype(np.float32)
    found = estimate(volume, (1, 1, 1), distribution="ncchi", coils=coils)
    assert found.sigma == pytest.approx(40, rel=0.08)
    assert (found.distribution, found.coils) == ("ncchi", coils)


def test_multichannel_background_is_emptied(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    clean = make_head(SHAPE) / 40
    rng = np.random.default_rng(0)
    power = stats.ncx2(16, np.maximum(clean**2, 1e-9)).rvs(random_state=rng)
    source = write_scan((40 * np.sqrt(power)).astype(np.float32))
    assert run(source, "--weights", weights, "--noise", "ncchi:8", "--sigma", 40, "--json",
               "-o", tmp_path / "out.nii", "--uncertainty", tmp_path / "sd.nii") == 0  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    assert (said["distribution"], said["coils"]) == ("ncchi", 8)
    result, before = data(tmp_path / "out.nii"), data(source)
    outside = clean == 0
    assert before[outside].mean() > 3.5 * 40  # sqrt(16) sigma of bias
    assert result[outside].mean() < 0.6 * before[outside].mean()
    sd = data(tmp_path / "sd.nii")
    assert (sd >= 0).all()
    assert 0 < sd[clean > 8].mean() < sd.max() < 3 * 40


def test_magnitudes_never_become_zero_and_may_keep_their_floor(
    make_head: Make, write_scan: Write, tmp_path: Path, capsys: Out
) -> None:
    clean = make_head(SHAPE)
    real, imaginary = 60 * np.random.default_rng(0).standard_normal((2, *SHAPE))
    before = np.hypot(clean + real, imaginary).astype(np.float32)
    source = write_scan(np.rint(before).astype(np.int16))
    common = ("--quality", "draft", "--noise", "rician", "--sigma", 60)
    outside = clean == 0
    for floor in ("remove", "keep"):
        target = tmp_path / f"{floor}.nii"
        assert run(source, *common, "--floor", floor, "-o", target) == 0
        assert data(target).min() > 0
        if floor == "keep":  # the mean of Rayleigh noise
            assert data(target)[outside].mean() == pytest.approx(60 * (np.pi / 2) ** 0.5, rel=0.1)
    low = data(tmp_path / "remove.nii")
    assert low[outside].mean() < 0.5 * before[outside].mean()
    assert run(source, *common, "--floor", "keep", "--upsample", 2) == 2
    capsys.readouterr()


def test_strength_is_the_share_of_the_change(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(noisy)
    common = ("--weights", weights, "--sigma", 60, "--noise", "gaussian")
    moved = []
    for strength in (0, 0.25, 1):
        target = tmp_path / f"{strength}.nii"
        assert run(source, *common, "--strength", strength, "-o", target) == 0
        moved.append(data(target) - noisy)
    assert (moved[0] == 0).all()
    np.testing.assert_allclose(moved[1], 0.25 * moved[2], atol=1e-3)


def test_the_noise_of_a_full_dose_stays(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    hounsfield = 0.1 * noisy - 40
    hounsfield[:, :, :4] = -1000 + 0.2 * noisy[:, :, :4]
    source = write_scan(hounsfield, "ct.nii")
    common = ("--weights", weights, "--sigma", 20, "--modality", "ct")
    for name, more in (("all", ()), ("share", ("--dose", 0.25))):
        sd = tmp_path / f"{name}_sd.nii"
        target = tmp_path / f"{name}.nii"
        assert run(source, *common, *more, "-o", target, "--uncertainty", sd, "--json") == 0
        said = json.loads(capsys.readouterr().out)
    assert (said["dose"], said["strength"]) == (0.25, 0.75)
    moved = [data(tmp_path / f"{name}.nii") - hounsfield for name in ("all", "share")]
    np.testing.assert_allclose(moved[1], 0.75 * moved[0], atol=1e-3)
    doubt = [data(tmp_path / f"{name}_sd.nii") for name in ("all", "share")]
    known = np.sqrt(0.75**2 * doubt[0] ** 2 + 0.25 * 0.75 * 20**2)
    np.testing.assert_allclose(doubt[1], np.where(doubt[0] > 0, known, 0), rtol=1e-4)
    assert run(write_scan(noisy), *common[:-2], "--dose", 0.25) == 1
    assert "taken for MR" in capsys.readouterr().err


def test_outside_the_mask_nothing_changes(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(noisy)
    inside = np.zeros(SHAPE, np.uint8)
    inside[6:18, 6:18, 6:18] = 1
    common = ("--weights", weights, "--sigma", 60, "--noise", "gaussian")
    mask = write_scan(inside, "mask.nii.gz")
    assert run(source, *common, "-o", tmp_path / "all.nii") == 0
    assert run(source, *common, "--mask", mask, "-o", tmp_path / "part.nii") == 0
    part = data(tmp_path / "part.nii")
    np.testing.assert_array_equal(part[inside == 0], noisy[inside == 0])
    np.testing.assert_array_equal(part[inside == 1], data(tmp_path / "all.nii")[inside == 1])


def test_maps_and_masks_must_fit(
    noisy: np.ndarray, write_scan: Write, weights: Path, capsys: Out
) -> None:
    source = write_scan(noisy)
    ones = np.ones(SHAPE, np.float32)
    wrong = {
        "small.nii": (ones[1:], None, "give one on its grid"),
        "moved.nii": (ones, np.diag([1, 1, 2.0, 1]), "lies elsewhere than the scan"),
        "negative.nii": (-ones, None, "expected finite numbers >= 0"),
        "zero.nii": (0 * ones, None, "0 everywhere"),
        "series.nii": (np.stack([ones, ones], -1), None, "give one on its grid"),
    }
    for name, (array, affine, words) in wrong.items():
        path = write_scan(array, name, affine=affine)
        assert run(source, "--weights", weights, "--sigma", path) == 1
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    empty = write_scan(0 * ones, "empty.nii")
    assert run(source, "--weights", weights, "--mask", empty) == 1
    assert "0 voxels other than 0" in capsys.readouterr().err
    assert not source.with_name("scan_enhanced.nii.gz").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--noise", "ncchi"], "ncchi:N"),
        (["--noise", "ncchi:0"], "ncchi:N"),
        (["--strength", "1.5"], "less than or equal to 1"),
        (["--dose", "1"], "a share between 0 and 1"),
        (["--dose", "0.5", "--strength", "0.5"], "without --strength"),
        (["--sigma", "map.nii", "--samples", "2"], "needs one noise level"),
        (["--uncertainty", "u.png"], "expected a .nii.gz file"),
        (["--uncertainty", "u.nii", "--strength", "0.5"], "--strength 1"),
    ],
)
def test_wrong_usage(
    noisy: np.ndarray, write_scan: Write, weights: Path, capsys: Out,
    arguments: list[str], word: str,
) -> None:  # fmt: skip
    assert run(write_scan(noisy), "--weights", weights, *arguments) == 2
    err = capsys.readouterr().err
    assert word in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("samples", [0, 2])
def test_uncertainty_in_the_units_of_the_scan(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path, samples: int, capsys: Out
) -> None:
    source = write_scan(noisy + 500)  # no zeros: nothing is kept
    target = tmp_path / "sd.nii.gz"
    assert run(source, "--weights", weights, "--sigma", 300, "--noise", "gaussian", "--json",
               "--samples", samples, "--uncertainty", target) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["products"] == [str(target)]
    sd = data(target)
    assert sd.dtype == np.float32
    # this network believes in a Gaussian of 0.5 of the bright level
    from diff_medical.scan.intensity import scale

    to = scale(noisy + 500, "mr")
    known = 300 * 0.5 * to.scale / np.hypot(300, 0.5 * to.scale)
    if samples:  # whose mean is itself uncertain
        known *= np.sqrt(1 + 1 / samples)
    # and where more than averaged noise was removed, a small structure may be gone
    given, made = data(source), data(tmp_path / "scan_enhanced.nii.gz")
    removed = (given - made) / 300.0
    at_end = (made <= given.min()) | (made >= given.max())  # beyond what the scan holds
    free = maximum_filter(at_end, 9) == 0
    average = np.abs(gaussian_filter(removed, 0.8, truncate=3.0))
    limit = 1.7 * (2 * np.sqrt(np.pi) * 0.8) ** -1.5
    surely = maximum_filter(average * (average > 1.01 * limit), 3)
    perhaps = maximum_filter(average * (average > 0.99 * limit), 3)
    alone = free & (perhaps == 0)
    assert alone.sum() > 50
    np.testing.assert_allclose(sd[alone], known, rtol=1e-3)
    factor = np.sqrt(1 + 1 / samples) if samples else 1
    both = np.hypot(known, factor * 300 * surely / 0.45)
    sure = free & (surely == perhaps)
    np.testing.assert_allclose(sd[sure], both[sure], rtol=0.02)


def test_bids_scans_become_derivatives(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path, capsys: Out
) -> None:
    root = tmp_path / "set"
    for subject in ("01", "02"):
        folder = f"set/sub-{subject}/anat"
        write_scan(noisy, f"{folder}/sub-{subject}_acq-x_T1w.nii.gz")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    (root / "sub-01/anat/sub-01_acq-x_T1w.json").write_text('{"EchoTime": 0.003}')
    common = ("--weights", weights, "--sigma", 60, "--residual")
    assert run(root, "--recursive", *common) == 0
    made = root / "derivatives/diff-medical"
    names = {p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file()}
    assert names == {"dataset_description.json"} | {
        f"sub-{s}/anat/sub-{s}_acq-x_desc-{what}"
        for s in ("01", "02")
        for what in ("denoised_T1w.nii.gz", "denoised_T1w.json", "residual_T1w.nii.gz")
    }
    said = json.loads((made / "sub-01/anat/sub-01_acq-x_desc-denoised_T1w.json").read_text())
    assert said["EchoTime"] == 0.003
    assert said["Sources"] == ["bids::sub-01/anat/sub-01_acq-x_T1w.nii.gz"]
    assert said["SkullStripped"] is False
    assert said["Enhancement"]["sigma"] == 60
    assert str(tmp_path) not in json.dumps(said)
    about = json.loads((made / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] == "diff-medical"
    # what was made is not taken as input again, and what is not in a dataset stays beside
    assert run(root, "--recursive", "--overwrite", *common) == 0
    assert len(list(made.rglob("*.nii.gz"))) == 4
    alone = write_scan(noisy, "alone/sub-7_T1w.nii.gz")
    capsys.readouterr()
    assert run(alone, "--weights", weights, "--sigma", 60) == 0
    assert (alone.parent / "sub-7_desc-denoised_T1w.json").exists()
    assert run(alone, "--weights", weights, "--sigma", 60) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err


def test_report_stands_alone(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(noisy, "a<b>.nii")
    page = tmp_path / "r.html"
    assert run(source, "--weights", weights, "--sigma", 60, "--noise", "gaussian",
               "--report", page, "--uncertainty", tmp_path / "sd.nii") == 0  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert "a&lt;b&gt;.nii" in text
    assert "a<b>" not in text
    assert text.count("data:image/png;base64,") == 3 * (2 + 1 + 1 + 5)
    assert text.count('type="range"') == 3
    scripts = re.findall("<script[^>]*>", text)
    assert scripts == ['<script type="application/json" id="voxels">', "<script>"]
    assert "http" not in text  # nothing is fetched
    assert "Look at what was removed" in text  # this network takes anatomy
    assert "not a medical device" in text
    for title in ("Before and after", "What was removed", "Uncertainty",
                  "Slices through the result", "How it was made"):  # fmt: skip
        assert f"<h2>{title}</h2>" in text


def test_monai_transform_keeps_what_monai_knows(
    noisy: np.ndarray, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    from monai.data import MetaTensor
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

    from diff_medical import Settings
    from diff_medical.monai import Enhanced

    affine = np.diag([-1.1, 1.2, 1.3, 1])
    source = write_scan(noisy, affine=affine)
    settings = Settings(sigma=60.0, noise="gaussian")
    steps = Compose(
        [LoadImaged("image"), EnsureChannelFirstd("image"),
         Enhanced("image", settings, weights=weights, device="cpu")]
    )  # fmt: skip
    image = steps({"image": source, "label": 3})
    made = image["image"]
    assert isinstance(made, MetaTensor)
    assert image["label"] == 3
    np.testing.assert_allclose(made.affine, affine)
    assert run(source, "--weights", weights, "--sigma", 60, "--noise", "gaussian",
               "-o", tmp_path / "out.nii") == 0  # fmt: skip
    np.testing.assert_array_equal(made[0].numpy(), data(tmp_path / "out.nii"))
    plain = Enhanced(["a", "b"], settings, weights=weights, allow_missing_keys=True)
    found = plain({"a": np.stack([noisy, 2 * noisy])})
    assert found["a"].shape == (2, *SHAPE)
    with pytest.raises(ValueError, match="expected \\(channels, X, Y, Z\\)"):
        plain({"a": noisy})
