"""Each bad input, through the real command: one line that names it, the right exit code, no
output.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from diff_medical.enhance import main
from diff_medical.inspect import main as inspect
from full_disk import full_disk

Write = Callable[..., Path]
Err = pytest.CaptureFixture[str]

VOLUME = np.random.default_rng(0).normal(500, 50, (16, 14, 12)).astype(np.float32)


def refused(path: Path, weights: Path, err: Err, *arguments: object, code: int = 1) -> str:
    """Run on `path`: it must fail with one line on standard error naming it, and write nothing."""
    before = sorted(path.parent.rglob("*"))
    assert main([str(path), "--weights", str(weights), *map(str, arguments)]) == code
    out, said = err.readouterr()
    assert out == ""
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    assert sorted(path.parent.rglob("*")) == before
    if code == 1:
        assert said.startswith(f"diff_medical.enhance: {path}: "), said
        assert "; " in said  # what is wrong; what to do
    return said


def test_missing_file(tmp_path: Path, weights: Path, capsys: Err) -> None:
    assert "no such file" in refused(tmp_path / "none.nii.gz", weights, capsys)


def test_empty_file(tmp_path: Path, weights: Path, capsys: Err) -> None:
    path = tmp_path / "empty.nii.gz"
    path.touch()
    assert "is empty" in refused(path, weights, capsys)


@pytest.mark.parametrize("name", ["text.nii", "text.nii.gz"])
def test_not_nifti(tmp_path: Path, weights: Path, capsys: Err, name: str) -> None:
    path = tmp_path / name
    content = b"this is not a scan " * 100
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert "is not a NIfTI file" in refused(path, weights, capsys)


def test_other_file_type(tmp_path: Path, weights: Path, capsys: Err) -> None:
    path = tmp_path / "scan.par"
    path.write_bytes(b"\0" * 300)
    said = refused(path, weights, capsys)
    assert "give one of the .nii, .nii.gz, .mgz, .mgh, .nrrd or .mha files" in said
    path = tmp_path / "scan.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM")
    assert "give the folder that it is in" in refused(path, weights, capsys)


def test_wrong_suffix(write_scan: Write, weights: Path, capsys: Err) -> None:
    plain = write_scan(VOLUME, "plain.nii")
    named = plain.rename(plain.with_name("plain.nii.gz"))
    assert "is not gzip-compressed" in refused(named, weights, capsys)
    packed = write_scan(VOLUME, "packed.nii.gz")
    named = packed.rename(packed.with_name("packed.nii"))
    assert "rename it to .nii.gz" in refused(named, weights, capsys)


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.99])
def test_truncated_gzip(write_scan: Write, weights: Path, capsys: Err, keep: float) -> None:
    path = write_scan(VOLUME)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    assert "cut short" in refused(path, weights, capsys)


def test_truncated_plain_file(write_scan: Write, weights: Path, capsys: Err) -> None:
    path = write_scan(VOLUME, "a.nii")
    path.write_bytes(path.read_bytes()[:4000])
    assert "is cut short" in refused(path, weights, capsys)


def test_damaged_gzip(write_scan: Write, weights: Path, capsys: Err) -> None:
    path = write_scan(VOLUME)
    content = bytearray(path.read_bytes())
    content[3000:3400] = bytes(400)
    path.write_bytes(bytes(content))
    assert "damaged" in refused(path, weights, capsys)


def test_zero_voxels(tmp_path: Path, weights: Path, capsys: Err) -> None:
    path = tmp_path / "none.nii"
    nib.Nifti1Image(np.zeros((4, 0, 4), np.float32), np.eye(4)).to_filename(path)
    assert "zero voxels" in refused(path, weights, capsys)


@pytest.mark.parametrize("shape", [(40,), (40, 1, 1), (1, 1, 1), (1, 1, 1, 9)])
def test_not_an_image(
    write_scan: Write, weights: Path, capsys: Err, shape: tuple[int, ...]
) -> None:
    path = write_scan(np.ones(shape, np.float32))
    assert "is not an image" in refused(path, weights, capsys)


def test_nan_and_inf_are_counted_and_placed(write_scan: Write, weights: Path, capsys: Err) -> None:
    volume = VOLUME.copy()
    volume[3, 2, 1] = np.nan
    volume[5, 6, 7] = -np.inf
    said = refused(write_scan(volume), weights, capsys)
    assert "2 of 2,688 voxels are NaN or Inf, the first at (3, 2, 1)" in said
    assert "--nan-to-zero" in said


@pytest.mark.parametrize("voxels", [np.int16, np.float64])
def test_values_beyond_all_numbers_are_refused(
    write_scan: Write, weights: Path, capsys: Err, voxels: type
) -> None:
    # a damaged slope, or values that only 64 bits hold: one line, and no warning of numpy beside
    volume = (VOLUME % 9).astype(voxels) * (1e300 if voxels is np.float64 else 1)
    path = write_scan(volume, "a.nii", slope=1e38 if voxels is np.int16 else None)
    assert "voxels are NaN or Inf" in refused(path, weights, capsys)


def test_values_too_large_for_32_bits_are_refused(
    write_scan: Write, weights: Path, capsys: Err
) -> None:
    volume = VOLUME.copy()
    volume[3, 2, 1] = -1e20  # its square is no 32-bit number
    path = write_scan(volume)
    assert "holds values up to 1e+20, beyond 1e+15" in refused(path, weights, capsys)
    assert inspect([str(path.parent)]) == 1
    assert "holds values up to 1e+20, beyond 1e+15" in capsys.readouterr().err
    scaled = write_scan((VOLUME % 9).astype(np.int16), "b.nii", slope=1e30)
    assert "holds values up to 8e+30" in refused(scaled, weights, capsys)


def test_nan_in_a_series_is_placed_in_its_volume(
    write_scan: Write, weights: Path, capsys: Err
) -> None:
    series = np.stack([VOLUME] * 3, -1)
    series[4, 3, 2, 1] = np.nan
    assert "the first at (4, 3, 2, 1)" in refused(write_scan(series), weights, capsys)


def test_nan_to_zero(write_scan: Write, weights: Path, capsys: Err) -> None:
    volume = VOLUME.copy()
    volume[3, 2, 1] = np.nan
    path = write_scan(volume)
    assert main([str(path), "--weights", str(weights), "--nan-to-zero", "--json"]) == 0
    assert '"zeroed": 1' in capsys.readouterr().out
    result = np.asarray(nib.load(path.with_name("scan_enhanced.nii.gz")).dataobj)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("value", [0, 7, -1000])
def test_constant_volume_is_returned(
    write_scan: Write, weights: Path, capsys: Err, value: int
) -> None:
    path = write_scan(np.full((9, 8, 7), value, np.int16))
    assert main([str(path), "--weights", str(weights)]) == 0
    assert f"unchanged: all voxels are {value}" in capsys.readouterr().out
    result = np.asarray(nib.load(path.with_name("scan_enhanced.nii.gz")).dataobj)
    assert (result == value).all()


@pytest.mark.parametrize("kind", ["zero", "nan", "flat"])
@pytest.mark.parametrize("form", ["sform", "qform", "both"])
def test_unusable_affine(tmp_path: Path, weights: Path, capsys: Err, kind: str, form: str) -> None:
    path = tmp_path / "scan.nii"
    image = nib.Nifti1Image(VOLUME, None)
    header = image.header
    number = {"zero": 0.0, "nan": np.nan, "flat": 0.0}[kind]
    header["sform_code"] = form != "qform"
    header["qform_code"] = form != "sform"
    for row in ("srow_x", "srow_y", "srow_z"):
        header[row] = number
    if kind == "flat":
        header["srow_x"], header["srow_y"] = [1, 0, 0, 0], [1, 0, 0, 0]
    header["pixdim"][1:4] = number
    image.to_filename(path)
    said = refused(path, weights, capsys)
    assert "no usable geometry" in said
    assert "set qform or sform first" in said


def test_no_voxel_size_at_all(tmp_path: Path, weights: Path, capsys: Err) -> None:
    path = tmp_path / "scan.nii"
    image = nib.Nifti1Image(VOLUME, None)
    image.header["pixdim"][1:4] = [1, np.nan, 1]
    image.to_filename(path)
    assert "no usable geometry" in refused(path, weights, capsys)


def test_colour_and_complex(tmp_path: Path, weights: Path, capsys: Err) -> None:
    path = tmp_path / "scan.nii"
    rgb = np.zeros((6, 6, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(rgb, np.eye(4)).to_filename(path)
    assert "colour (RGB)" in refused(path, weights, capsys)
    nib.Nifti1Image(np.zeros((6, 6, 6), np.complex64), np.eye(4)).to_filename(path)
    assert "complex" in refused(path, weights, capsys)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, -2, 1)])
def test_odd_voxel_sizes_beside_an_affine(
    tmp_path: Path, weights: Path, capsys: Err, sizes: tuple[float, ...]
) -> None:
    path = tmp_path / "scan.nii"
    image = nib.Nifti1Image(VOLUME, None)
    image.header["pixdim"][1:4] = sizes
    image.to_filename(path)
    if 0 in sizes:
        assert "no usable geometry" in refused(path, weights, capsys)
    else:  # the sign of a voxel size says nothing
        assert main([str(path), "--weights", str(weights), "--sigma", "50", "--json"]) == 0
        assert '"spacing": [1.0, 2.0, 1.0]' in capsys.readouterr().out
    image.set_sform(np.diag([1.0, 1.5, 2, 1]), code=1)
    image.header["pixdim"][1:4] = sizes
    image.to_filename(path)
    assert main([str(path), "--weights", str(weights), "--sigma", "50", "--json",
                 "--overwrite"]) == 0  # fmt: skip
    assert '"spacing": [1.0, 1.5, 2.0]' in capsys.readouterr().out


def test_forms_that_differ_are_said(tmp_path: Path, weights: Path, capsys: Err) -> None:
    path = tmp_path / "scan.nii"
    image = nib.Nifti1Image(VOLUME, None)
    image.set_qform(np.diag([2.0, 2, 2, 1]), code=1)
    image.set_sform(np.diag([1.0, 1, 1.5, 1]), code=1)
    image.to_filename(path)
    assert main([str(path), "--weights", str(weights), "--sigma", "50"]) == 0
    assert "note: qform and sform differ, sform is used" in capsys.readouterr().err


def test_float_slope_on_integers_gives_the_noise_in_its_units(
    write_scan: Write, weights: Path, capsys: Err
) -> None:
    stored = np.rint(VOLUME).astype(np.int16)
    path = write_scan(stored, slope=0.0123, inter=-3.21)
    assert main([str(path), "--weights", str(weights), "--sigma", "0.6", "--json"]) == 0
    assert "slope 0.0123, intercept -3.21" in capsys.readouterr().out
    made = nib.load(path.with_name("scan_enhanced.nii.gz"))
    assert made.get_data_dtype() == np.int16
    moved = np.asarray(made.dataobj) - np.asarray(nib.load(path).dataobj)
    assert 0 < np.abs(moved).max() <= 3.5 * 0.6 + 0.0123


@pytest.mark.parametrize("padding", [-2000, -3024])
def test_padding_and_metal_of_ct_stay_and_harm_nothing(
    write_scan: Write, weights: Path, padding: int
) -> None:
    noise = 20 * np.random.default_rng(0).standard_normal((40, 36, 8))
    volume = np.rint(40 + noise).astype(np.int16)
    volume[:12] = -1000
    volume[:4] = padding
    volume[30:33, 10:13] = 10_000
    path = write_scan(volume, affine=np.diag([0.8, 0.8, 3, 1]))
    assert main([str(path), "--weights", str(weights), "--modality", "ct", "--sigma", "20"]) == 0
    result = np.asarray(nib.load(path.with_name("scan_enhanced.nii.gz")).dataobj)
    odd = (volume == padding) | (volume == 10_000)
    np.testing.assert_array_equal(result[odd], volume[odd])
    assert np.abs(result[~odd] - volume[~odd]).max() <= 3.5 * 20 + 1


def test_header_of_gigabytes_in_a_small_file(
    write_scan: Write, weights: Path, capsys: Err
) -> None:
    path = write_scan(np.zeros((4, 4, 20), np.int16), "a.nii")
    content = bytearray(path.read_bytes())
    assert len(content) < 1024
    content[42:48] = np.array([2000, 2000, 2000], "<i2").tobytes()
    path.write_bytes(bytes(content))
    assert "its header promises 16,000,000,000 bytes" in refused(path, weights, capsys)


def test_rician_noise_in_signed_data(write_scan: Write, weights: Path, capsys: Err) -> None:
    said = refused(write_scan(VOLUME - 500), weights, capsys, "--noise", "rician")
    assert "magnitudes are never negative" in said


def test_output_exists(write_scan: Write, weights: Path, capsys: Err) -> None:
    path = write_scan(VOLUME)
    existing = path.with_name("scan_enhanced.nii.gz")
    existing.write_bytes(b"precious")
    said = refused(path, weights, capsys)
    assert "exists; add --overwrite" in said
    assert existing.read_bytes() == b"precious"


def test_output_is_the_input(write_scan: Write, weights: Path, capsys: Err) -> None:
    path = write_scan(VOLUME)
    content = path.read_bytes()
    said = refused(path, weights, capsys, "-o", path, "--overwrite")
    assert "is the input itself" in said
    assert path.read_bytes() == content


def test_unwritable_output(write_scan: Write, weights: Path, capsys: Err) -> None:
    path = write_scan(VOLUME)
    path.with_name("file").write_text("a file, not a folder")
    said = refused(path, weights, capsys, "-o", path.parent / "file" / "out.nii.gz")
    assert "choose another folder" in said


def test_one_output_for_several_inputs(write_scan: Write, weights: Path, capsys: Err) -> None:
    first, second = write_scan(VOLUME, "a.nii"), write_scan(VOLUME, "b.nii")
    said = refused(first, weights, capsys, second, "-o", first.with_name("c.nii"), code=2)
    assert "name a folder" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_full_disk_leaves_no_partial_file(
    write_scan: Write, weights: Path, name: str, capsys: Err
) -> None:
    volume = np.random.default_rng(0).normal(500, 50, (40, 40, 40)).astype(np.float32)
    path = write_scan(volume, name)
    with full_disk(50_000):
        assert "File too large" in refused(path, weights, capsys, "--sigma", 9)


def test_cuda_where_there_is_none(
    write_scan: Write, weights: Path, capsys: Err, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = refused(write_scan(VOLUME), weights, capsys, "--device", "cuda", code=2)
    assert "cuda is not available here; use --device cpu" in said


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--no-such-option"], "No such option"),
        (["--sigma", "much"], "expected auto, a number"),
        (["--sigma", "-5"], "expected auto, a number"),
        (["--noise", "pink"], "pink"),
        (["--samples", "-1"], "greater than or equal to 0"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_wrong_usage(
    write_scan: Write, weights: Path, capsys: Err, arguments: list[str], word: str
) -> None:
    assert word in refused(write_scan(VOLUME), weights, capsys, *arguments, code=2)


def test_weights_that_are_none(write_scan: Write, tmp_path: Path, capsys: Err) -> None:
    path = write_scan(VOLUME)
    for name, content in (("none.safetensors", None), ("bad.safetensors", b"12345678abc")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert main([str(path), "--weights", str(tmp_path / name)]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert name in said


def test_empty_folder_and_pattern_without_match(
    tmp_path: Path, weights: Path, capsys: Err
) -> None:
    (tmp_path / "empty").mkdir()
    assert "no .nii, .nii.gz, .mgz, .mgh, .nrrd or .mha files" in refused(
        tmp_path / "empty", weights, capsys
    )
    assert "no file matches" in refused(tmp_path / "*.nii", weights, capsys)


def test_traceback_only_when_debugging(tmp_path: Path, weights: Path, capsys: Err) -> None:
    assert main([str(tmp_path / "none.nii"), "--weights", str(weights), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
