"""The real command on real files, with a network whose answer is known in closed form."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.enhance import main
from diff_medical.enhancer.bounds import BOUND, bound_broad
from diff_medical.scan.intensity import scale

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]

SIGMA_DATA = 0.5  # of `slab_denoiser`


def shrunk(
    noisy: np.ndarray, sigma: float, modality: str = "mr", axes: tuple[int, ...] | None = None
) -> np.ndarray:
    """What the command must give with a network of zeros: x s_d^2 / (s_d^2 + sigma^2), bounded."""
    to = scale(noisy.astype(np.float32), modality)  # type: ignore[arg-type]
    x = (noisy - to.offset) / to.scale
    level = sigma / to.scale
    estimate = x * SIGMA_DATA**2 / (SIGMA_DATA**2 + level**2)
    estimate, _ = bound_broad(x, estimate, level, axes or tuple(range(noisy.ndim)))
    result = x + np.clip(estimate - x, -BOUND * level, BOUND * level)
    return np.clip(result * to.scale + to.offset, noisy.min(), noisy.max())


def noisy_head(make_head: Make, shape: tuple[int, ...], sigma: float = 60.0) -> np.ndarray:
    clean = make_head(shape[:3])
    return (clean + sigma * np.random.default_rng(0).standard_normal(shape[:3])).astype(np.float32)


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def data(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_writes_the_posterior_mean_beside_the_input(
    make_head: Make, write_scan: Write, weights: Path
) -> None:
    volume = noisy_head(make_head, (20, 18, 16))
    affine = np.array([[0, -2.0, 0, 7], [2.1, 0, 0, -3], [0, 0, 2.2, 5], [0, 0, 0, 1]])
    source = write_scan(volume, affine=affine)
    assert run(source, "--weights", weights, "--sigma", 60, "--noise", "gaussian") == 0
    target = source.with_name("scan_enhanced.nii.gz")
    np.testing.assert_allclose(data(target), shrunk(volume, 60), rtol=1e-5, atol=1e-2)
    before, after = nib.load(source), nib.load(target)
    np.testing.assert_array_equal(before.affine, after.affine)
    assert after.get_data_dtype() == np.float32
    assert after.header["descrip"].item().endswith(b"enhance")
    assert data(source).tobytes() == volume.tobytes(order="F") or (data(source) == volume).all()


def test_integers_come_back_as_the_same_integers(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = np.rint(noisy_head(make_head, (20, 18, 16))).astype(np.int16)
    source = write_scan(volume, slope=0.5, inter=10.0)
    real = data(source)
    assert run(source, "--weights", weights, "--sigma", 30, "--noise", "gaussian", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    after = nib.load(said["output"])
    assert (after.get_data_dtype(), after.dataobj.slope, after.dataobj.inter) == (
        np.int16,
        0.5,
        10,
    )
    stored = np.asarray(after.dataobj.get_unscaled())
    expected = (shrunk(real, 30) - 10) / 0.5
    assert np.abs(stored - expected).max() <= 0.51
    assert said["dtype"] == "int16"
    assert "slope 0.5, intercept 10" in said["policy"]

    assert run(source, "--weights", weights, "--sigma", 30, "--noise", "gaussian",
               "--dtype", "float32", "--overwrite") == 0  # fmt: skip
    after = nib.load(said["output"])
    assert after.get_data_dtype() == np.float32
    np.testing.assert_allclose(np.asarray(after.dataobj), shrunk(real, 30), rtol=1e-5, atol=1e-2)


def test_residual_is_what_was_taken_away(
    make_head: Make, write_scan: Write, weights: Path
) -> None:
    volume = np.clip(np.rint(noisy_head(make_head, (20, 18, 16)) / 5), 0, 255).astype(np.uint8)
    source = write_scan(volume)
    assert run(source, "--weights", weights, "--sigma", 20, "--noise", "gaussian", "--residual",
               "--dtype", "float32") == 0  # fmt: skip
    rest = nib.load(source.with_name("scan_residual.nii.gz"))
    assert rest.get_data_dtype() == np.float32
    total = np.asarray(rest.dataobj) + data(source.with_name("scan_enhanced.nii.gz"))
    np.testing.assert_allclose(total, volume, atol=1e-4)
    assert (np.asarray(rest.dataobj) != 0).mean() > 0.3


@pytest.mark.parametrize("percent", [5, 200])
def test_no_voxel_moves_further_than_the_bound(
    make_head: Make, write_scan: Write, weights: Path, percent: int
) -> None:
    volume = noisy_head(make_head, (20, 18, 16))
    source = write_scan(volume)
    assert run(source, "--weights", weights, "--sigma", f"{percent}%", "--noise", "gaussian") == 0
    moved = np.abs(data(source.with_name("scan_enhanced.nii.gz")) - volume)
    assert 0 < moved.max() <= BOUND * percent / 100 * volume.max() * (1 + 1e-5)


@pytest.mark.parametrize("arguments", [["--sigma", "0"], ["--sigma", "0%"]])
def test_no_noise_means_no_change(
    make_head: Make, write_scan: Write, weights: Path, arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    volume = noisy_head(make_head, (20, 18, 16)).astype(np.float64) * 1.000001
    source = write_scan(volume)
    assert run(source, "--weights", weights, "--json", *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["unchanged"] == "the noise level is 0"
    np.testing.assert_array_equal(data(Path(said["output"])), volume)


def test_smaller_noise_changes_less_down_to_nothing(
    make_head: Make, write_scan: Write, weights: Path
) -> None:
    volume = noisy_head(make_head, (20, 18, 16))
    source = write_scan(volume)
    target = source.with_name("scan_enhanced.nii.gz")
    moved = []
    for sigma in ("30", "3", "0.3", "0.03"):
        assert run(source, "--weights", weights, "--sigma", sigma, "--overwrite") == 0
        moved.append(float(np.abs(data(target) - volume).max()))
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < 0.11


def test_clean_scan_is_left_alone_and_it_says_so(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = np.rint(make_head((48, 44, 40))).astype(np.int16)
    source = write_scan(volume)
    assert run(source, "--weights", weights) == 0
    out = capsys.readouterr().out
    assert "unchanged: " in out
    np.testing.assert_array_equal(data(source.with_name("scan_enhanced.nii.gz")), volume)


def test_noise_is_found_without_being_told(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = noisy_head(make_head, (48, 44, 40), sigma=50)
    assert run(write_scan(volume), "--weights", weights, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["distribution"], said["modality"]) == ("gaussian", "mr")
    assert said["sigma"] == pytest.approx(50, rel=0.06)


def test_rician_noise_is_recognised_and_its_background_emptied(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = make_head((56, 56, 40))
    rng = np.random.default_rng(0)
    real, imaginary = 40 * rng.standard_normal((2, *clean.shape))
    volume = np.hypot(clean + real, imaginary).astype(np.float32)
    source = write_scan(volume)
    assert run(source, "--weights", weights, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["distribution"] == "rician"
    assert said["sigma"] == pytest.approx(40, rel=0.06)
    # this network gains nothing, which is found out, unless the level is given
    assert "the expected gain is" in said["unchanged"]
    assert run(source, "--weights", weights, "--sigma", "40", "--overwrite") == 0
    result = data(Path(said["output"]))
    assert result.min() >= 0
    assert result[clean == 0].mean() < 0.8 * volume[clean == 0].mean()


def test_ct_keeps_padding_metal_and_units(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    body = np.where(make_head((96, 96, 8)) > 0, 40.0, -1000.0)
    volume = np.rint(body + 25 * rng.standard_normal(body.shape)).astype(np.int16)
    volume[:10] = -3024
    volume[40:44, 40:44] = 9000
    source = write_scan(volume, affine=np.diag([0.7, 0.7, 5, 1]))
    assert run(source, "--weights", weights, "--json", "--sigma", "25") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["modality"] == "ct"
    result = data(Path(said["output"]))
    special = (volume <= -1024) | (volume > 3000)
    np.testing.assert_array_equal(result[special], volume[special])
    assert result.dtype == np.int16
    np.testing.assert_allclose(
        result[~special],
        np.rint(shrunk(np.clip(volume, -1024, 3000), 25, "ct", (0, 1)))[~special],
        atol=1,
    )


def test_zero_padding_stays_zero(make_head: Make, write_scan: Write, weights: Path) -> None:
    volume = np.pad(noisy_head(make_head, (20, 18, 16)) + 500, 6)
    source = write_scan(volume)
    assert run(source, "--weights", weights, "--sigma", "60") == 0
    result = data(source.with_name("scan_enhanced.nii.gz"))
    assert (result[:5] == 0).all()
    assert (result[volume > 0] != volume[volume > 0]).any()


def test_series_is_enhanced_volume_by_volume_with_one_noise_level(
    make_head: Make, write_scan: Write, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volumes = [noisy_head(make_head, (32, 30, 28), sigma=s) for s in (38, 40, 45)]
    series = write_scan(np.stack(volumes, -1), "series.nii")
    assert run(series, "--weights", weights, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    result = data(Path(said["output"]))
    assert result.shape == (32, 30, 28, 3)
    for index, volume in enumerate(volumes):
        single = write_scan(volume, f"single{index}.nii")
        assert (
            run(
                single, "--weights", weights, "--sigma", repr(said["sigma"]), "--noise", "gaussian"
            )
            == 0
        )
        np.testing.assert_array_equal(
            result[..., index], data(single.with_name(f"single{index}_enhanced.nii"))
        )


@pytest.mark.parametrize(
    "shape", [(40, 36), (40, 36, 1), (1, 40, 36), (40, 1, 36), (40, 36, 1, 2)]
)
def test_single_slices_are_scans_too(
    make_head: Make, write_scan: Write, weights: Path, shape: tuple[int, ...]
) -> None:
    plane = noisy_head(make_head, (40, 36, 1))[..., 0]
    volume = np.broadcast_to(plane.reshape(shape[:3]), shape[:3])
    volume = np.stack([volume] * shape[3], -1) if len(shape) == 4 else volume.reshape(shape)
    source = write_scan(volume.astype(np.float32))
    assert run(source, "--weights", weights, "--sigma", 60, "--noise", "gaussian") == 0
    result = data(source.with_name("scan_enhanced.nii.gz"))
    assert result.shape == shape
    expected = shrunk(plane, 60)
    np.testing.assert_allclose(result.reshape(40, 36, -1)[..., 0], expected, rtol=1e-5, atol=1e-2)


def test_posterior_samples_depend_on_the_seed_alone(
    make_head: Make, write_scan: Write, weights: Path
) -> None:
    source = write_scan(noisy_head(make_head, (20, 18, 16)))
    target = source.with_name("scan_enhanced.nii.gz")
    results = []
    for seed in (1, 1, 2):
        assert run(source, "--weights", weights, "--sigma", 60, "--samples", 2, "--seed", seed,
                   "--overwrite") == 0  # fmt: skip
        results.append(data(target))
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).mean() > 0.5


def test_folders_trees_and_patterns(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    volume = noisy_head(make_head, (12, 12, 12))
    for name in ("in/a.nii.gz", "in/sub/b.nii", "in/sub/.hidden.nii"):
        write_scan(volume, name)
    (tmp_path / "in/notes.txt").write_text("no scan")
    common = ("--weights", weights, "--sigma", 60)

    assert run(tmp_path / "in", "-o", tmp_path / "out", "--recursive", *common) == 0
    found = sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / "out").rglob("*.nii*"))
    assert found == ["out/a.nii.gz", "out/sub/b.nii"]

    assert run(tmp_path / "in", *common) == 0
    assert (tmp_path / "in/a_enhanced.nii.gz").exists()
    assert not (tmp_path / "in/sub/b_enhanced.nii").exists()
    # what was made is not taken as input again
    assert run(tmp_path / "in", "--overwrite", "--quiet", *common) == 0
    assert not (tmp_path / "in/a_enhanced_enhanced.nii.gz").exists()

    capsys.readouterr()
    assert run(str(tmp_path / "in/sub/*.nii"), "--quiet", *common) == 0
    assert (tmp_path / "in/sub/b_enhanced.nii").exists()
    out, err = capsys.readouterr()
    assert out == ""
    assert all("note: what was removed" in line for line in err.splitlines())  # anatomy, here


def test_one_bad_file_does_not_stop_the_others(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    good = write_scan(noisy_head(make_head, (12, 12, 12)), "good.nii")
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing of the kind")
    assert run(bad, good, "--weights", weights, "--sigma", 60) == 1
    assert good.with_name("good_enhanced.nii").exists()
    assert "1 of 2 failed" in capsys.readouterr().err


def test_picture_is_drawn(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    source = write_scan(noisy_head(make_head, (24, 22, 20)))
    picture = tmp_path / "before_after.png"
    assert run(source, "--weights", weights, "--sigma", 60, "--picture", picture) == 0
    from matplotlib.image import imread

    image = imread(picture)
    assert min(image.shape[:2]) > 300
    assert image[..., :3].std() > 0.05


def test_same_as_from_python(make_head: Make, write_scan: Write, weights: Path) -> None:
    from diff_medical import Enhancer, Settings

    volume = noisy_head(make_head, (20, 18, 16))
    source = write_scan(volume)
    assert run(source, "--weights", weights, "--sigma", 60, "--noise", "gaussian") == 0
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    found = enhancer(volume, (1.0, 1.0, 1.0), Settings(sigma=60.0, noise="gaussian"))
    np.testing.assert_array_equal(found.volume, data(source.with_name("scan_enhanced.nii.gz")))
    np.testing.assert_array_equal(
        enhancer(volume[..., 3], (1, 1, 1), Settings(sigma=60.0, noise="gaussian")).volume,
        enhancer(volume[..., 3:4], (1, 1, 1), Settings(sigma=60.0, noise="gaussian")).volume[
            ..., 0
        ],
    )


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from diff_medical.enhance import main; "
        "code = main([sys.argv[1]]); "
        "heavy = {'torch', 'nibabel', 'scipy', 'skimage', 'matplotlib', 'monai', 'numpy'}; "
        "sys.exit(code or ', '.join(heavy & set(sys.modules)) or 0)"
    )
    for option, word in (("--help", "--nan-to-zero"), ("--version", "diff-medical 0.")):
        done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout


def test_shipped_model_removes_most_of_the_noise(make_head: Make, write_scan: Write) -> None:
    clean = make_head((48, 44, 24))
    rng = np.random.default_rng(0)
    noisy = (clean + 60 * rng.standard_normal(clean.shape)).astype(np.float32)
    source = write_scan(noisy)
    assert run(source, "--device", "cpu") == 0
    result = data(source.with_name("scan_enhanced.nii.gz"))
    before, after = np.square(noisy - clean).mean(), np.square(result - clean).mean()
    assert after < before / 4  # 6 dB
