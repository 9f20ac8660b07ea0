"""The evaluate command: the same numbers as the library, with their conditions."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diff_core.evaluate import mean_interval
from diff_medical.evaluate import main
from diff_medical.metrics.scores import score

Write = Callable[..., Path]
Err = pytest.CaptureFixture[str]

RNG = np.random.default_rng(0)
CLEAN = RNG.uniform(0, 1000, (20, 18, 16)).cumsum(0).astype(np.float32)


def noisy(sigma: float) -> np.ndarray:
    return (CLEAN + sigma * RNG.standard_normal(CLEAN.shape)).astype(np.float32)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_one_pair_with_its_conditions(write_scan: Write, capsys: Err) -> None:
    estimate = noisy(100)
    ref, est = write_scan(CLEAN, "ref.nii.gz"), write_scan(estimate, "est.nii.gz")
    assert main([str(ref), str(est)]) == 0
    said = capsys.readouterr().out
    found = score(CLEAN, estimate)
    assert f"PSNR {found.psnr:.2f} dB, SSIM {found.ssim:.4f}" in said
    assert f"data range {found.data_range:.6g}" in said
    assert "mask: none, all voxels; 5,760 voxels; 3-D SSIM" in said


def test_csv_has_full_precision_and_the_mask(write_scan: Write, tmp_path: Path) -> None:
    estimate = noisy(100)
    mask = (CLEAN > np.median(CLEAN)).astype(np.uint8)
    ref, est = write_scan(CLEAN, "ref.nii.gz"), write_scan(estimate, "est.nii.gz")
    inside = write_scan(mask, "mask.nii.gz")
    table = tmp_path / "table.csv"
    given = [str(ref), str(est), "--mask", str(inside), "--data-range", "5000"]
    assert main([*given, "--csv", str(table)]) == 0
    (row,) = rows(table)
    assert main([*given, "--csv", str(table)]) == 2  # it is there
    found = score(CLEAN, estimate, data_range=5000.0, mask=mask)
    for name in ("psnr", "ssim", "nmse", "mae"):
        assert float(row[name]) == pytest.approx(getattr(found, name), rel=1e-12)
    assert (row["mask"], int(row["voxels"])) == (str(inside), int(mask.sum()))
    assert float(row["data_range"]) == 5000


def test_folders_give_mean_and_interval(write_scan: Write, tmp_path: Path, capsys: Err) -> None:
    scores = []
    for index, sigma in enumerate((50, 100, 200)):
        estimate = noisy(sigma)
        write_scan(CLEAN, f"ref/sub/s{index}.nii.gz")
        write_scan(estimate, f"est/sub/s{index}_enhanced.nii")
        scores.append(score(CLEAN, estimate).psnr)
    assert main([str(tmp_path / "ref"), str(tmp_path / "est")]) == 0
    said = capsys.readouterr().out
    expected = mean_interval(scores)
    assert "mean over 3 volumes, 95 % interval" in said
    assert f"PSNR {expected.mean:.5g} dB [{expected.low:.5g}, {expected.high:.5g}]" in said


def test_series_counts_as_its_volumes(write_scan: Write, tmp_path: Path) -> None:
    ref = write_scan(np.stack([CLEAN, CLEAN * 2], -1), "ref.nii")
    est = write_scan(np.stack([noisy(50), CLEAN * 2 + 30], -1), "est.nii")
    assert main([str(ref), str(est), "--csv", str(tmp_path / "table.csv")]) == 0
    found = rows(tmp_path / "table.csv")
    assert [row["file"][-3:] for row in found] == ["[0]", "[1]"]
    assert float(found[1]["mae"]) == pytest.approx(30, rel=1e-3)


def test_a_window_clips_both_and_is_the_data_range(write_scan: Write, capsys: Err) -> None:
    estimate = noisy(100)
    ref, est = write_scan(CLEAN, "ref.nii"), write_scan(estimate, "est.nii")
    assert main([str(ref), str(est), "--window", "500", "3000", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    found = score(CLEAN.clip(500, 3000), estimate.clip(500, 3000), data_range=2500)
    assert row["psnr"] == pytest.approx(found.psnr) and row["ssim"] == pytest.approx(found.ssim)
    assert (row["window"], row["data_range"]) == ("500 to 3000", 2500)
    assert main([str(ref), str(est), "--window", "3000", "500"]) == 2


def test_plot_is_a_picture(write_scan: Write, tmp_path: Path) -> None:
    for index in range(2):
        write_scan(CLEAN, f"ref/{index}.nii")
        write_scan(noisy(50 + 50 * index), f"est/{index}.nii")
    picture = tmp_path / "scores.png"
    assert main([str(tmp_path / "ref"), str(tmp_path / "est"), "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bad_pairs_have_one_clear_line_each(
    write_scan: Write, tmp_path: Path, capsys: Err
) -> None:
    ref = write_scan(CLEAN, "ref.nii")
    for est, words in (
        (tmp_path / "none.nii", "no such file"),
        (write_scan(CLEAN[1:], "small.nii"), "give scans of one grid"),
        (write_scan(np.where(CLEAN > 900, np.nan, CLEAN), "nan.nii"), "voxels are NaN or Inf"),
    ):
        assert main([str(ref), str(est)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert words in err
    empty = write_scan(np.zeros_like(CLEAN), "zero.nii")
    assert main([str(ref), str(ref), "--mask", str(empty)]) == 1
    assert "no voxel other than 0" in capsys.readouterr().err


def test_missing_counterpart_is_told_and_the_rest_scored(
    write_scan: Write, tmp_path: Path, capsys: Err
) -> None:
    for name in ("ref/a.nii", "ref/b.nii", "est/a.nii"):
        write_scan(CLEAN + len(name), name)
    assert main([str(tmp_path / "ref"), str(tmp_path / "est")]) == 1
    out, err = capsys.readouterr()
    assert "a.nii: PSNR" in out
    assert "has no counterpart" in err


@pytest.mark.parametrize(
    "arguments",
    [["folder", "ref.nii"], ["ref.nii", "folder"], ["ref.nii", "ref.nii", "--data-range", "0"]],
)
def test_wrong_usage(write_scan: Write, tmp_path: Path, capsys: Err, arguments: list[str]) -> None:
    write_scan(CLEAN, "ref.nii")
    (tmp_path / "folder").mkdir()
    given = [str(tmp_path / a) if not a.startswith("-") and a != "0" else a for a in arguments]
    assert main(given) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_calibration_holds_errors_against_the_uncertainty(
    write_scan: Write, weights: Path, tmp_path: Path, capsys: Err
) -> None:
    # what the network of zeros believes in: voxels that are independent, of sd 0.5
    truth = RNG.standard_normal((24, 24, 24)).astype(np.float32)
    write_scan(truth - truth.min() + 0.1, "in/a.nii")
    common = [str(tmp_path / "in"), "--calibration", "--weights", str(weights), "--percent", "5"]
    assert main([*common, "--csv", str(tmp_path / "table.csv")]) == 0
    (row,) = rows(tmp_path / "table.csv")
    capsys.readouterr()
    assert (float(row["percent"]), row["shape"]) == (5, "24x24x24")
    assert 0.9 < float(row["two"]) <= 1
    assert row["dose"] == ""
    assert main(common) == 0
    assert f"within 2 sd {float(row['two']):.1%}" in capsys.readouterr().out
    assert main([*common, str(tmp_path)]) == 2
    assert "leave out EST" in capsys.readouterr().err
    assert main([str(tmp_path / "in")]) == 2
    assert "EST is missing" in capsys.readouterr().err


def test_calibration_of_noisy_ct_keeps_the_noise_of_its_dose(
    write_scan: Write, weights: Path, capsys: Err
) -> None:
    truth = 40 + 30 * RNG.standard_normal((40, 40, 12)).astype(np.float32)
    truth[:12] = -1000 + 5 * truth[:12] / 30
    path = write_scan(truth, "ct.nii")
    assert main([str(path), "--calibration", "--weights", str(weights), "--percent", "6",
                 "--json"]) == 0  # fmt: skip
    all_gone, kept = map(json.loads, capsys.readouterr().out.splitlines()[:2])
    assert all_gone["dose"] is None
    assert kept["dose"] == pytest.approx(0.2, rel=0.15)  # 30^2 / (30^2 + 60^2)
    assert kept["psnr"] > all_gone["psnr"]


def test_an_output_beside_the_reference_is_not_a_reference(
    write_scan: Write, tmp_path: Path, capsys: Err
) -> None:
    estimate = noisy(100)
    write_scan(CLEAN, "ref/x.nii.gz")
    write_scan(estimate, "ref/x_enhanced.nii.gz")
    write_scan(estimate, "est/x_enhanced.nii.gz")
    assert main([str(tmp_path / "ref"), str(tmp_path / "est"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["psnr"] == pytest.approx(score(CLEAN, estimate).psnr)
    assert "x_enhanced.nii.gz: left out: an output" in err


def test_two_estimates_of_one_name_are_refused(
    write_scan: Write, tmp_path: Path, capsys: Err
) -> None:
    write_scan(CLEAN, "ref/x.nii.gz")
    for name in ("x.nii.gz", "x.nii"):
        write_scan(noisy(50), f"est/{name}")
    assert main([str(tmp_path / "ref"), str(tmp_path / "est")]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "x.nii and x.nii.gz; keep one of them" in err


def test_an_identical_scan_does_not_hide_the_others(
    write_scan: Write, tmp_path: Path, capsys: Err
) -> None:
    for index, values in enumerate((noisy(50), noisy(100), CLEAN)):
        write_scan(CLEAN, f"ref/{index}.nii")
        write_scan(values, f"est/{index}.nii")
    assert main([str(tmp_path / "ref"), str(tmp_path / "est"), "--json"]) == 0
    *files, psnr = (json.loads(line) for line in capsys.readouterr().out.splitlines()[:4])
    assert files[2]["psnr"] == "inf"
    expected = mean_interval([files[0]["psnr"], files[1]["psnr"], 100.0])
    assert (psnr["mean"], psnr["low"], psnr["bounded"]) == pytest.approx(
        (expected.mean, expected.low, 1)
    )
    assert main([str(tmp_path / "ref"), str(tmp_path / "est")]) == 0
    assert "1 of 3 count as 100 dB" in capsys.readouterr().out
    (tmp_path / "est/0.nii").write_bytes(b"no scan")
    assert main([str(tmp_path / "ref"), str(tmp_path / "est")]) == 1
    assert "mean over 2 volumes, 1 failed, 95 % interval" in capsys.readouterr().out


def test_what_a_folder_leaves_out_is_counted(
    write_scan: Write, tmp_path: Path, capsys: Err
) -> None:
    write_scan(CLEAN, "ref/a.nii")
    write_scan(noisy(50), "est/a.nii")
    for name in ("b.par", "c.PAR", "d.dcm", "notes.txt"):
        (tmp_path / "ref" / name).write_bytes(b"x")
    folders = [str(tmp_path / "ref"), str(tmp_path / "est")]
    assert main(folders) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"diff_medical.evaluate: {tmp_path / 'ref'}: left out: {what}"
        for what in (
            "1 .dcm (no DICOM files; check how they were exported)",
            "2 .par (not read; convert them to .nii.gz)",
        )
    ]
    assert main([*folders, "--strict"]) == 1


def test_only_a_split_is_scored(write_scan: Write, tmp_path: Path, capsys: Err) -> None:
    for part in ("train", "val", "test"):
        write_scan(CLEAN, f"ref/{part}/{part}.nii")
        write_scan(noisy(50), f"est/{part}/{part}.nii")
    arguments = [str(tmp_path / "ref"), str(tmp_path / "est"), "--split"]
    assert main([*arguments, "test"]) == 0
    out = capsys.readouterr().out
    assert "1 for training, 1 for validation, 1 for the test" in out
    assert "test.nii: PSNR" in out and "train.nii" not in out
    (tmp_path / "ref/test/test.nii").unlink()
    assert main([*arguments, "test"]) == 1
    assert "no scan is in split test" in capsys.readouterr().err
    assert main([str(tmp_path / "ref/val/val.nii")] * 2 + ["--split", "val"]) == 2
