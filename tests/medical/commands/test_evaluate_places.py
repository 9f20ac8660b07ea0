"""What is compared lies in one place: turned if it is stored otherwise, refused if it is not."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dicom_files import write_series
from diff_medical.evaluate import main

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
SHAPE = (24, 22, 20)
AFFINE = np.array([[1.1, 0.1, 0, -9], [-0.1, 1.2, 0, 4], [0, 0, 1.5, 2], [0, 0, 0, 1]])
RNG = np.random.default_rng(0)
CLEAN = RNG.uniform(0, 1000, SHAPE).astype(np.float32)
NOISY = (CLEAN + 30 * RNG.standard_normal(SHAPE)).astype(np.float32)


def stored(path: Path, codes: str) -> Path:
    """Store a scan again with other axes; it stays where it is."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    image = nib.load(path)
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(codes))
    path = path.with_name(f"{codes}_{path.name}")
    image.as_reoriented(turn).to_filename(path)
    return path


def scores(capsys: Capture, *arguments: object) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("codes", ["LAS", "RPI", "ASR", "SLP"])
def test_other_axes_in_the_same_place_change_nothing(
    write_scan: Write, capsys: Capture, codes: str
) -> None:
    ref = write_scan(CLEAN, "ref.nii", affine=AFFINE)
    est = write_scan(NOISY, "est.nii", affine=AFFINE)
    mask = write_scan((CLEAN > 700).astype(np.uint8), "mask.nii", affine=AFFINE)
    plain = scores(capsys, ref, est, "--mask", mask)
    assert main([str(ref), str(stored(est, codes))]) == 0
    assert f"is stored {codes}, the reference RAS" in capsys.readouterr().err
    turned = scores(capsys, ref, stored(est, codes), "--mask", stored(mask, codes))
    for name in ("psnr", "ssim", "ssim_2d", "ms_ssim", "nmse", "mae", "edges", "voxels"):
        assert turned[name] == pytest.approx(plain[name], rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("what", ["est", "mask"])
@pytest.mark.parametrize("shift", [(3.0, 0, 0), (0, 0, 0.75)])
def test_what_lies_elsewhere_is_refused(
    write_scan: Write, capsys: Capture, what: str, shift: tuple[float, ...]
) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] += shift
    affines = {"est": AFFINE, "mask": AFFINE} | {what: moved}
    ref = write_scan(CLEAN, "ref.nii", affine=AFFINE)
    est = write_scan(NOISY, "est.nii", affine=affines["est"])
    mask = write_scan((CLEAN > 700).astype(np.uint8), "mask.nii", affine=affines["mask"])
    assert main([str(ref), str(est), "--mask", str(mask)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{what}.nii: lies elsewhere than the reference, by up to {max(shift):.3g} mm" in err


def test_a_mirrored_mask_is_refused_or_turned(write_scan: Write, capsys: Capture) -> None:
    inside = np.zeros(SHAPE, np.uint8)
    inside[:8] = 1
    ref = write_scan(CLEAN, "ref.nii", affine=np.diag([1.0, 1, 1, 1]))
    est = write_scan(NOISY, "est.nii", affine=np.diag([1.0, 1, 1, 1]))
    mask = write_scan(inside, "mask.nii", affine=np.diag([-1.0, 1, 1, 1]))  # beside the scan
    assert main([str(ref), str(est), "--mask", str(mask)]) == 1
    assert "lies elsewhere" in capsys.readouterr().err


def test_a_masked_line_names_what_is_masked(write_scan: Write, capsys: Capture) -> None:
    ref, est = write_scan(CLEAN, "ref.nii"), write_scan(NOISY, "est.nii")
    mask = write_scan((CLEAN > 700).astype(np.uint8), "mask.nii")
    assert main([str(ref), str(est), "--mask", str(mask)]) == 0
    said = capsys.readouterr().out
    assert "PSNR, SSIM, NMSE and MAE are of the mask" in said
    assert "2-D, MS-SSIM and edges of the whole volume" in said
    assert scores(capsys, ref, est, "--mask", mask)["masked"] == "psnr ssim nmse mae"
    assert scores(capsys, ref, est)["masked"] == ""


def test_maps_of_labels_are_refused(make_head: Make, write_scan: Write, capsys: Capture) -> None:
    labels = np.where(make_head(SHAPE) > 0, 17, 0) + np.where(make_head(SHAPE) > 450, 36, 0)
    ref = write_scan(labels.astype(np.uint8), "ref.nii")
    est = write_scan(np.roll(labels, 1, 0).astype(np.uint8), "est.nii")
    assert main([str(ref), str(est)]) == 1
    assert "is a map of labels" in capsys.readouterr().err
    named = write_scan(NOISY, "sub-01_dseg.nii.gz")
    assert main([str(named), str(named)]) == 1


def test_dicom_series_are_scored_like_files(write_scan: Write, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    hu = 2 * np.rint(rng.uniform(-400, 400, (20, 18, 8)))
    other = 2 * np.rint((hu + 20 * rng.standard_normal(hu.shape)) / 2)
    root = write_scan(hu.astype(np.float32), "x.nii").parent
    one = write_series(root / "ref/a", hu)
    two = write_series(root / "est/a_enhanced", other)
    found = scores(capsys, one, two)
    assert found["mae"] == pytest.approx(np.abs(hu - other).mean())
    folder = scores(capsys, root / "ref", root / "est")
    assert folder["mae"] == found["mae"]
    # the same as a file: LPS of DICOM against RAS
    affine = np.diag([-0.8, -0.9, -2.5, 1])
    affine[:3, 3] = 10, 20, 100
    file = write_scan(other.astype(np.float32), "other.nii.gz", affine=affine)
    assert scores(capsys, one, file)["mae"] == found["mae"]


def test_one_hot_voxel_is_named(write_scan: Write, capsys: Capture) -> None:
    hot = CLEAN.copy()
    hot[3, 4, 5] = 1e5
    ref, est = write_scan(hot, "ref.nii"), write_scan(NOISY, "est.nii")
    assert main([str(ref), str(est)]) == 0
    assert "a few voxels make its range" in capsys.readouterr().err
    assert main([str(ref), str(est), "--data-range", "1000"]) == 0
    assert "a few voxels" not in capsys.readouterr().err
