"""What is made of a synthetic scan says that it is synthetic, whatever it is."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from dicom_files import edit
from dicom_files import write_series as write_real
from diff_medical.enhance import main
from diff_medical.generator.model import Made
from diff_medical.generator.request import Request
from diff_medical.jobs.generate import write
from diff_medical.marks.mark import Mark
from diff_medical.marks.told import tell

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
MARK = Mark("0123456789abcdef", 7, "generate", {"modality": "ct", "body": "chest"}, {"steps": 9})


def noisy(make_head: Make) -> np.ndarray:
    body = np.where(make_head((28, 26, 6)) > 0, 40.0, -1000.0)
    return (body + 25 * np.random.default_rng(0).standard_normal(body.shape)).astype(np.float32)


@pytest.fixture
def series(make_head: Make, tmp_path: Path) -> Path:
    folder = tmp_path / "ct_chest_volume_000007_desc-synthetic"
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    write(folder, Made(noisy(make_head), affine, Request("ct", "chest", "", None), 7), MARK)
    return folder


def run(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet", "--sigma", "25"])


def test_every_product_of_a_synthetic_series(series: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = [out / name for name in ("a.nii.gz", "sd.nii.gz", "a.png", "a.pdf", "a.html")]
    assert run(series, "--weights", weights, "-o", files[0], "--residual", "--uncertainty",
               files[1], "--picture", files[2], "--report", files[4]) == 0  # fmt: skip
    for path in (files[0], files[1], out / "a_residual.nii.gz"):
        told = tell(path)
        assert (told.mark, told.signs) == (MARK, ("extension", "header"))
    told = tell(files[2])
    assert (told.mark, told.signs) == (MARK, ("text", "XMP"))
    from PIL import Image

    plain = tmp_path / "plain.png"
    Image.open(files[2]).convert("RGB").save(plain)  # without texts
    assert tell(plain).signs == ("picture",)
    page = files[4].read_text()
    assert "Synthetic: made by a neural network" in page
    assert "0123456789abcdef" in page
    assert run(series, "--weights", weights, "--picture", files[3]) == 0
    assert b"SYNTHETIC diff-medical" in files[3].read_bytes()


def test_a_real_scan_stays_unmarked(make_head: Make, weights: Path, tmp_path: Path) -> None:
    real = write_real(tmp_path / "real", noisy(make_head))
    target, page = tmp_path / "a.nii.gz", tmp_path / "a.html"
    assert run(real, "--weights", weights, "-o", target, "--report", page) == 0
    assert tell(target).synthetic is None
    assert "synthetic" not in page.read_text().split("<body>")[1].lower()


def test_another_makers_series_in_a_zip(make_head: Make, weights: Path, tmp_path: Path) -> None:
    folder = write_real(tmp_path / "theirs", noisy(make_head))
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as archive:
        for path in folder.iterdir():
            edit(path, SyntheticData="YES")
            archive.write(path, path.name)
    assert run(tmp_path / "theirs.zip", "--weights", weights, "-o", tmp_path / "a.nii") == 0
    told = tell(tmp_path / "a.nii")
    assert (told.synthetic, told.mark, told.signs) == (True, None, ("header",))
    header: Any = nib.load(tmp_path / "a.nii").header
    assert header["descrip"].item().startswith(b"SYNTHETIC; thorax")


def test_what_only_name_or_sidecar_says_goes_into_the_files(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    named = write_scan(noisy(make_head), "x_desc-synthetic.nii.gz")
    beside = write_scan(noisy(make_head), "told.nii.gz")
    (tmp_path / "told.json").write_text(json.dumps(MARK.record()))
    for source, mark in ((named, None), (beside, MARK)):
        target = tmp_path / f"of_{source.name.split('_')[0].split('.')[0]}.nii.gz"
        assert run(source, "--weights", weights, "-o", target) == 0
        assert (tell(target).synthetic, tell(target).mark) == (True, mark)
        assert tell(source).signs == (("file name",) if source == named else ("sidecar",))
    folder = write_real(tmp_path / "s_desc-synthetic", noisy(make_head))
    assert run(folder, "--weights", weights, "-o", tmp_path / "dicom") == 0
    assert tell(tmp_path / "dicom" / "00001.dcm").signs == ("Synthetic Data",)


def test_an_mgh_file_gets_a_sidecar(make_head: Make, weights: Path, tmp_path: Path) -> None:
    source = tmp_path / "t1_desc-synthetic.mgz"
    nib.MGHImage(noisy(make_head), np.eye(4)).to_filename(source)
    target = tmp_path / "a.mgz"
    assert run(source, "--weights", weights, "--modality", "ct", "-o", target) == 0
    assert tell(target).signs == ("sidecar",)
    target.unlink()
    assert run(source, "--weights", weights, "--modality", "ct", "-o", target) == 1
    assert not target.exists()


def test_sidecars_of_datasets_and_of_restored_scans(
    make_head: Make, write_scan: Write, weights: Path, tmp_path: Path
) -> None:
    scan = write_scan(noisy(make_head), "sub-1_ct.nii.gz", affine=np.diag([1.0, 1, 4, 1]))
    (tmp_path / "sub-1_ct.json").write_text(json.dumps(MARK.record()))
    (tmp_path / "dataset_description.json").write_text("{}")
    assert run(scan, "--weights", weights) == 0
    made = next((tmp_path / "derivatives").rglob("*_desc-denoised_ct.nii.gz"))
    assert tell(made).mark == MARK
    said = json.loads(made.with_name("sub-1_desc-denoised_ct.json").read_text())
    assert said["Description"].startswith("Synthetic: made by")
    assert "Noise removed" in said["Description"]
    target = tmp_path / "thin.nii.gz"
    assert main([str(scan), "--weights", str(weights), "--upsample", "2", "-o", str(target),
                 "--quiet"]) == 0  # fmt: skip
    assert tell(target).mark == MARK
    said = json.loads((tmp_path / "thin.json").read_text())
    assert (said["Seed"], said["Synthetic"]) == (7, True)
    assert "Slices between" in said["Description"]
