"""Scans that are marked as synthetic are no training data, unless the recipe takes them."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from dicom_files import edit, write_series
from diff_medical.generator.model import Made
from diff_medical.generator.request import Request
from diff_medical.inspect import main
from diff_medical.mark import Mark
from diff_medical.studies import CorpusError, find_scans, find_study
from diff_medical.synthetic import write
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


def test_inspect_says_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "damaged.nii.gz").unlink()
    assert main([str(data)]) == 0
    said = capsys.readouterr().out
    assert said.count("is marked as synthetic: training leaves it out") == 3
