"""The page of `diff-medical studio`, over HTTP."""

import gzip
import io
import re
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from dicom_files import write_series
from diff_medical.enhance import main as enhance
from studio_client import running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studio(weights, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("studio")
    with running("diff_medical.studio", scratch, "--weights", str(weights)) as it:
        yield it


@pytest.fixture
def scan(make_head, write_scan):
    rng = np.random.default_rng(0)
    volume = make_head((24, 28, 20)) + rng.normal(0, 150, (24, 28, 20))
    return write_scan(volume.astype(np.int16))


@pytest.mark.parametrize(("quality", "amount"), [("draft", 1.0), ("best", 0.3)])
def test_the_result_is_the_file_that_the_command_writes(studio, scan, weights, quality, amount):
    task, result = studio.result(scan.name, scan.read_bytes(), quality=quality, amount=amount)
    assert task["result"] == "scan_enhanced.nii.gz"
    options = ["--weights", str(weights), "--quality", quality, "--strength", str(amount)]
    assert enhance([str(scan), *options, "--quiet"]) == 0
    written = scan.with_name("scan_enhanced.nii.gz").read_bytes()
    assert gzip.decompress(result) == gzip.decompress(written)
    before, after = (
        np.asarray(nib.Nifti1Image.from_bytes(gzip.decompress(data)).dataobj)
        for data in (scan.read_bytes(), result)
    )
    assert not np.array_equal(before, after)


def test_the_page_about_it_compares_three_planes_and_says_how_it_went(studio, scan):
    task, _ = studio.result(scan.name, scan.read_bytes(), quality="draft")
    page = studio.ask(f"tasks/{task['number']}/page")[1].decode()
    for words in ("Noise level", "Before and after", "What was removed", "Removed: edges"):
        assert words in page
    assert page.count('type="range"') == 3
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert str(studio.scratch) not in page


def test_the_options_are_those_of_the_command(studio, scan, weights):
    for options in (
        {"sigma": "40", "modality": "mr"},
        {"sigma": "9%"},
    ):
        task, result = studio.result(scan.name, scan.read_bytes(), quality="draft", **options)
        assert task["options"] == [f"{name} {options[name]}" for name in sorted(options)]
        given = [text for name, value in options.items() for text in (f"--{name}", value)]
        command = [str(scan), "--weights", str(weights), "--quality", "draft", "--overwrite"]
        assert enhance([*command, *given, "--quiet"]) == 0
        written = scan.with_name("scan_enhanced.nii.gz").read_bytes()
        assert gzip.decompress(result) == gzip.decompress(written)
    status, told = studio.send(scan.name, scan.read_bytes(), sigma="map.nii.gz")
    assert status == 400 and told["fault"].startswith("sigma is 'map.nii.gz'; expected auto")


def test_a_scan_left_as_it_was_has_no_empty_pictures(studio, scan):
    task, result = studio.result(scan.name, scan.read_bytes(), quality="draft", sigma="0")
    page = studio.ask(f"tasks/{task['number']}/page")[1].decode()
    assert "Left as it was: the noise level is 0." in page
    for words in ("What was removed", "Before and after", "Share of the change", "moved by more"):
        assert words not in page
    assert page.count('type="range"') == 0 and page.count("<img") == 3 + 15
    before, after = (gzip.decompress(data)[352:] for data in (scan.read_bytes(), result))
    assert before == after


def test_a_zipped_series_comes_back_as_the_command_writes_it(studio, make_head, weights, tmp_path):
    rng = np.random.default_rng(1)
    values = make_head((24, 24, 8)) - 200 + rng.normal(0, 150, (24, 24, 8))
    folder = write_series(tmp_path / "ct", values)
    archive = Path(shutil.make_archive(str(folder), "zip", folder))
    task, result = studio.result("ct.zip", archive.read_bytes(), quality="draft")
    assert task["result"] == "ct_enhanced.zip"
    with zipfile.ZipFile(io.BytesIO(result)) as file:
        file.extractall(tmp_path / "back")
    options = ["-o", str(tmp_path / "out"), "--weights", str(weights), "--quality", "draft"]
    assert enhance([str(archive), *options, "--quiet"]) == 0
    assert np.array_equal(pixels(tmp_path / "back"), pixels(tmp_path / "out"))


def pixels(folder):
    """The stored values of a series, in the order of its slices."""
    slices = sorted(
        (pydicom.dcmread(path) for path in folder.rglob("*") if path.is_file()),
        key=lambda one: one.ImagePositionPatient[2],
    )
    return np.stack([one.pixel_array for one in slices])


def test_faults_are_one_clear_line(studio, scan):
    for name, said in (
        ("scan.dcm", ".dcm files are parts of a series; drop its folder as a .zip"),
        ("scan.hdr", ".hdr files are halves of a scan; convert both to .nii.gz"),
        ("scan.par", ".par files are not read; convert them to .nii.gz"),
    ):
        assert studio.send(name, b"DICM") == (415, {"fault": said})
    for name, data in (
        ("a.nii.gz", b"not gzip at all"),
        ("a.nii", b"\0" * 400),
        ("a.zip", b"PK"),
        ("a.nii.gz", scan.read_bytes()[:500]),
    ):
        number = studio.send(name, data)[1]["number"]
        told = studio.finished(number)
        assert told["state"] == "failed", told
        assert told["fault"] and "\n" not in told["fault"]
        assert "unexpected" not in told["fault"] and str(studio.scratch) not in told["fault"]
