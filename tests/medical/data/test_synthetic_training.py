"""Scans that are marked as synthetic are no training data, unless the recipe takes them."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from dicom_files import edit, write_series
from diff_medical.data.studies import CorpusError, find_scans, find_study
from diff_medical.generator.model import Made
from diff_medical.generator.request import Request
from diff_medical.inspect import main
from diff_medical.jobs.generate import write
from diff_medical.marks.mark import Mark
from diff_medical.train import app

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]


@pytest.fixture
def data(tmp_path: Path, write_scan: Write, make_head: Make) -> Path:
    """Two real scans; one synthetic by its header, one by another maker's, one by its sidecar."""
    for number, name in enumerate(("a", "val/b", "told")):
        write_scan(make_head((28, 28, 28), seed=number), f"data/{name}.nii.gz")
    folder = tmp_path / "data"
    (folder / "told.json").write_text(json.dumps({"Synthetic": True}))
    volume = make_head((28, 28, 28), seed=5)
    made = Made(volume, np.diag([1.0, 1.0, 1.0, 1.0]), Request("t1", "head", ""), 7)
    write(folder / "ours_desc-synthetic.nii.gz", made, Mark("0123456789abcdef", 7, "generate"))
    (folder / "ours_desc-synthetic.nii.gz").rename(
        folder / "ours.nii.gz"
    )  # the name is not needed
    image = nib.Nifti1Image(volume, np.eye(4))
    image.header["descrip"] = b"Synthetic, by someone"
    image.to_filename(folder / "theirs.nii")
    (folder / "damaged.nii.gz").write_bytes(b"\x1f\x8brubbish")
    return folder


def test_marked_scans_are_left_out_and_counted(data: Path) -> None:
    study = find_study(data, real=True)
    assert {row.path.name for row in study.rows} == {"a.nii.gz", "b.nii.gz", "damaged.nii.gz"}
    assert {path.name for path, _ in study.left_out} == {
        "ours.nii.gz",
        "theirs.nii",
        "told.nii.gz",
    }
    assert study.remarks() == ("3 left out: is marked as synthetic",)
    assert len(find_scans(data)) == 6

    manifest = data / "manifest.jsonl"
    rows = [{"file": f"{n}.nii.gz", "split": "train"} for n in ("a", "ours", "gone")]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    left = [row.path.name for row in find_scans(data, real=True)]
    assert left == ["a.nii.gz", "gone.nii.gz"]  # what is missing is the reader's to name
    manifest.write_text(json.dumps(rows[1]))
    with pytest.raises(CorpusError, match="to train on; 1 left out: is marked as synthetic"):
        find_scans(data, real=True)


def test_a_synthetic_dicom_series_is_left_out_whole(tmp_path: Path) -> None:
    ramp = np.arange(6 * 6 * 4, dtype=np.float32).reshape(6, 6, 4)
    for name, uid in (("real", "1.1"), ("made", "1.2")):
        folder = write_series(tmp_path / name, ramp, uid=uid, PatientID=name)
    for path in folder.iterdir():
        edit(path, SyntheticData="YES")
    assert [row.path.parent.name for row in find_scans(tmp_path, real=True)] == ["real"]


def test_the_recipe_decides(data: Path, tmp_path: Path) -> None:
    tiny = ["train.steps=1", "train.batch_size=1", "patches.size=16", "network.channels=[4,6]"]
    command = ["enhance", "--data", data, "--out", tmp_path / "out", "--device", "cpu"]
    for settings, count in (([], 1), (["synthetic=true"], 4)):
        arguments = map(str, [*command, "--dry-run", *tiny, *settings])
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        assert ("3 left out: is marked as synthetic" in done.stdout) == (count == 1)
        assert f"{count} scans: voxels" in done.stdout


def test_outputs_beside_what_they_were_made_from_are_left_out(
    tmp_path: Path, write_scan: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    kept = ("a.nii.gz", "b_enhanced.nii.gz", "_enhanced.nii", "val/c.nii")
    made = ("a_enhanced.nii.gz", "a_residual.nii", "val/c_upsampled.nii", "val/c_inpainted.nii.gz")
    for name in (*kept, *made):
        write_scan(ramp, f"plain/{name}")
    plain = tmp_path / "plain"
    study = find_study(plain)
    assert {str(row.path.relative_to(plain)) for row in study.rows} == set(kept)
    assert {str(path.relative_to(plain)) for path, _ in study.left_out} == set(made)
    assert study.remarks() == (
        "4 left out: is an output of diff_medical beside what it was made from",
    )
    assert main([str(plain)]) == 0
    assert "4 of 4 scans can be used" in capsys.readouterr().out
    (plain / "manifest.jsonl").write_text('{"file": "a_enhanced.nii.gz", "split": "train"}')
    assert [row.path.name for row in find_scans(plain)] == ["a_enhanced.nii.gz"]  # as one says

    for name in ("sub-1_T1w", "sub-1_desc-denoised_T1w", "sub-1_desc-residual_T1w"):
        write_scan(ramp, f"bids/{name}.nii.gz")
    study = find_study(tmp_path / "bids")
    assert [row.path.name for row in study.rows] == ["sub-1_T1w.nii.gz"]
    assert study.remarks() == ("2 left out: is a derivative of another scan",)

    for name in ("s", "s_enhanced", "other_enhanced"):
        write_series(tmp_path / "dicom" / name, ramp, uid=f"1.{len(name)}", PatientID=name)
    found = [row.path.parent.name for row in find_scans(tmp_path / "dicom")]
    assert sorted(found) == ["other_enhanced", "s"]
    assert len(find_scans(tmp_path / "dicom" / "s_enhanced")) == 1  # as one asks


def test_inspect_says_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "damaged.nii.gz").unlink()
    assert main([str(data)]) == 0
    said = capsys.readouterr().out
    assert said.count("is marked as synthetic: training leaves it out") == 3
