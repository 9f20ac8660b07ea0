"""MGH and MGZ files of FreeSurfer: in, and out again with their header or as NIfTI."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage

from diff_medical.enhance import main
from diff_medical.scan.nifti import Voxels, read, write

Make = Callable[..., np.ndarray]
Out = pytest.CaptureFixture[str]
AFFINE = np.array([[-1.2, -0.1, 0, 90], [0, 0, 1.5, -126], [0.1, -1.2, 0, 70], [0, 0, 0, 1]])


def write_mgh(path: Path, values: np.ndarray) -> Path:
    image = MGHImage(values, AFFINE)
    for name, value in (("tr", 2300), ("flip_angle", 0.157), ("te", 2.98), ("ti", 900)):
        image.header[name] = value
    image.to_filename(path)
    return path


def header_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".mgz" else content)[:284]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("name", ["brain.mgz", "brain.mgh"])
def test_only_voxels_change(
    make_head: Make, tmp_path: Path, weights: Path, capsys: Out, name: str, dtype: type
) -> None:
    noise = np.random.default_rng(0).standard_normal((20, 18, 16))
    values = np.clip(make_head((20, 18, 16)) / 5 + 20 * noise, 0, 250).astype(dtype)
    scan = write_mgh(tmp_path / name, values)
    before = scan.read_bytes()
    command = [str(scan), "--weights", str(weights), "--sigma", "20"]
    assert main([*command, "--json", "--residual"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["dtype"] == str(np.dtype(dtype).newbyteorder(">"))
    np.testing.assert_allclose(said["spacing"], np.linalg.norm(AFFINE[:3, :3], axis=0), rtol=1e-5)
    made = scan.with_name(name.replace("brain", "brain_enhanced"))
    assert said["output"] == str(made)
    assert header_bytes(made) == header_bytes(scan)
    new, old = nib.load(made), nib.load(scan)
    for field in ("tr", "flip_angle", "te", "ti"):
        assert new.header[field] == old.header[field]
    enhanced = np.asarray(new.dataobj)
    assert 0 < np.abs(enhanced.astype(float) - values).max() <= 3.5 * 20 + 1
    removed = nib.load(scan.with_name(name.replace("brain", "brain_residual")))
    assert removed.get_data_dtype().newbyteorder("=") == np.float32
    np.testing.assert_allclose(removed.get_fdata() + enhanced, values, atol=0.51)
    assert scan.read_bytes() == before

    # the same voxels as NIfTI, in the same place
    assert main([*command, "-o", str(tmp_path / "brain.nii.gz")]) == 0
    image = nib.load(tmp_path / "brain.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), enhanced)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), AFFINE, atol=1e-3)
    assert image.get_data_dtype() == np.dtype(dtype)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_series_of_volumes_survive(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(100, 9, (9, 8, 7, 3)).astype(np.float32)
    scan = read(write_mgh(tmp_path / "a.mgz", values))
    assert (scan.volumes, scan.grid) == (3, (9, 8, 7))
    voxels = Voxels(scan, scan.dtype)
    for index in range(3):
        voxels.put(index, scan.volume(index))
    for name in ("b.mgz", "b.nii"):
        write(tmp_path / name, voxels)
        np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / name).dataobj), values)


def test_orientation_that_is_unknown_is_said(tmp_path: Path) -> None:
    path = write_mgh(tmp_path / "a.mgh", np.ones((5, 5, 5), np.uint8))
    content = bytearray(path.read_bytes())
    content[28:30] = bytes(2)  # goodRASFlag
    path.write_bytes(bytes(content))
    scan = read(path)
    assert "its orientation is unknown" in scan.notes[0]
    assert not scan.is_oriented


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:900])


def zero_size(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[30:34] = bytes(4)  # the size of a voxel along x
    path.write_bytes(bytes(content))


def huge(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4:16] = b"".join((2000).to_bytes(4, "big") for _ in range(3))
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda path: path.write_bytes(b"no scan " * 100), "is not an MGH file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(gzip.compress(path.read_bytes())), "rename it to .mgz"),
        (cut, "is cut short"),
        (zero_size, "no usable geometry"),
        (huge, "its header promises 16,000,000,000 bytes"),
    ],
)
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, weights: Path, capsys: Out, fault: Callable[[Path], object], words: str
) -> None:
    path = write_mgh(tmp_path / "a.mgh", np.ones((12, 11, 10), np.int16))
    fault(path)
    assert main([str(path), "--weights", str(weights)]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.mgh"]


def test_what_was_no_mgh_file_does_not_become_one(
    tmp_path: Path, write_scan: Callable[..., Path], weights: Path, capsys: Out
) -> None:
    scan = write_scan(np.random.default_rng(0).normal(9, 1, (9, 9, 9)).astype(np.float32))
    assert main([str(scan), "-o", str(tmp_path / "x.mgz"), "--weights", str(weights)]) == 1
    assert "cannot keep its header; name a .nii.gz file" in capsys.readouterr().err
    assert not (tmp_path / "x.mgz").exists()


@pytest.mark.parametrize("time", [-5.0, np.nan, np.inf])
def test_odd_sizes_and_times_of_a_header_become_nifti(tmp_path: Path, time: float) -> None:
    """Found by fuzzing: FreeSurfer writes no such header, and nibabel reads it."""
    values = np.arange(6 * 5 * 4 * 2, dtype=np.float32).reshape(6, 5, 4, 2)
    path = write_mgh(tmp_path / "a.mgh", values)
    content = bytearray(path.read_bytes())
    size, tr = 30, 284 + values.nbytes
    content[size : size + 4] = np.array(-1.2, ">f4").tobytes()
    content[tr : tr + 4] = np.array(time, ">f4").tobytes()
    path.write_bytes(content)
    scan = read(path)
    write(tmp_path / "a.nii.gz", Voxels(scan, np.dtype(np.float32)))
    made = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(made.affine, scan.image.affine, rtol=1e-6)
    np.testing.assert_allclose(made.header.get_zooms(), (*scan.spacing, 0.0), rtol=1e-6)
