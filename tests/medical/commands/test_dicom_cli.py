"""DICOM series through the real command: in as a folder or zip, out as DICOM or NIfTI."""

import gc
import json
import os
import stat
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import Code, codes
from pydicom.uid import HTJ2KLossless, RLELossless

from dicom_files import edit, write_series
from diff_medical.enhance import main
from diff_medical.scan.dicom.archive import unpack
from diff_medical.scan.dicom.series import open_folder
from diff_medical.scan.open import open_scan

Make = Callable[..., np.ndarray]
Out = pytest.CaptureFixture[str]


def noisy_body(make_head: Make) -> np.ndarray:
    """Even HU, as the stored slope of 2 needs: a body in air, with noise."""
    body = np.where(make_head((32, 28, 6)) > 0, 40.0, -1000.0)
    noise = 25 * np.random.default_rng(0).standard_normal(body.shape)
    return np.maximum(2 * np.rint((body + noise) / 2), -1024).astype(np.float32)


def slices(folder: Path) -> list[Any]:
    """By place, upwards."""
    made = [pydicom.dcmread(path) for path in folder.iterdir()]
    return sorted(made, key=lambda one: one.ImagePositionPatient[2])


def coded_in(group: str, sequence: Any) -> bool:
    """Whether all codes are of that context group of PS3.16, by pydicom's copy of it."""
    concepts = getattr(codes, group)
    allowed = [getattr(concepts, name) for name in dir(concepts)]
    return len(sequence) > 0 and all(
        Code(one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning) in allowed
        for one in sequence
    )


def enhance(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_series_comes_back_as_a_derived_series(
    make_head: Make, tmp_path: Path, weights: Path, capsys: Out
) -> None:
    tags = {
        "StudyInstanceUID": "9.9",
        "FrameOfReferenceUID": "8.8",
        "SeriesNumber": 4,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SmallestImagePixelValue": 3,
    }
    series = write_series(tmp_path / "ct", noisy_body(make_head), **tags)
    for path in series.iterdir():
        one = pydicom.dcmread(path)
        one.add_new((0x0029, 0x0010), "LO", "MAKER")
        one.add_new((0x0029, 0x1001), "LO", "secret of the maker")
        one.add_new((0x0019, 0x0010), "LO", "SIEMENS MR HEADER")
        one.add_new((0x0019, 0x100C), "IS", "1000")  # the b value, which has no other place
        thumbnail = pydicom.Dataset()
        thumbnail.add_new((0x7FE0, 0x0010), "OB", b"0" * 16)
        one.add_new((0x0029, 0x1002), "SQ", [thumbnail])
        one.add_new((0x7FE1, 0x0010), "LO", "SIEMENS CSA NON-IMAGE")
        one.add_new((0x7FE1, 0x1010), "OB", b"raw data")
        one.save_as(path)
    before = {path: path.read_bytes() for path in series.iterdir()}
    common = ("--weights", weights, "--sigma", 25)
    assert enhance(series, *common, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["modality"], said["dtype"]) == ("ct", "uint16")
    assert said["output"] == str(tmp_path / "ct_enhanced")
    assert {path: path.read_bytes() for path in series.iterdir()} == before

    old, new = slices(series), slices(tmp_path / "ct_enhanced")
    assert len(new) == len(old) == 6
    assert len({one.SeriesInstanceUID for one in new}) == 1
    assert new[0].SeriesInstanceUID != old[0].SeriesInstanceUID
    assert len({one.SOPInstanceUID for one in (*old, *new)}) == 12
    kept = ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "ImagePositionPatient",
            "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
            "BitsStored", "SOPClassUID")  # fmt: skip
    for one, source in zip(new, old, strict=True):
        assert all(one[name].value == source[name].value for name in kept)
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
        assert list(one.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert "not for diagnosis" in one.DerivationDescription
        assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
        purpose = one.SourceImageSequence[0].PurposeOfReferenceCodeSequence
        assert coded_in("cid7202", purpose)
        assert coded_in("cid7203", one.DerivationCodeSequence)
        assert one.SeriesDescription == "thorax, enhanced"
        assert "SmallestImagePixelValue" not in one
        assert one[0x0029, 0x1001].value == "secret of the maker"
        assert one[0x0019, 0x100C].value == 1000
        assert not {(0x0029, 0x1002), (0x7FE1, 0x0010), (0x7FE1, 0x1010)} & {
            (element.tag.group, element.tag.element) for element in one
        }

    # the same voxels as the same scan gives as NIfTI, rounded to the series' step of 2 HU
    assert enhance(series, "-o", tmp_path / "x.nii.gz", "--dtype", "float32", *common) == 0
    image = nib.load(tmp_path / "x.nii.gz")
    values = np.asarray(image.dataobj)
    again = open_folder(tmp_path / "ct_enhanced")
    np.testing.assert_allclose(again.values(), values, atol=1.01)
    assert (again.values() != open_folder(series).values()).mean() > 0.1
    np.testing.assert_allclose(image.affine, again.affine, atol=1e-4)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_long_description_is_no_remark(
    make_head: Make, tmp_path: Path, weights: Path, capsys: Out
) -> None:
    series = write_series(tmp_path / "ct", noisy_body(make_head))
    for path in series.iterdir():
        one = pydicom.dcmread(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.SeriesDescription = "a" * 80
            one.save_as(path)
    code = "import sys; from diff_medical.enhance import main; sys.exit(main(sys.argv[1:]))"
    arguments = [str(series), "--weights", str(weights), "--sigma", "0"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    assert all("it stays as it is" in line for line in done.stderr.splitlines())
    made = slices(tmp_path / "ct_enhanced")[0].SeriesDescription
    assert len(made) == 64 and made.endswith(", enhanced")


def test_zip_is_the_same_as_its_folder_and_nifti_keeps_integers(
    make_head: Make, tmp_path: Path, weights: Path
) -> None:
    series = write_series(tmp_path / "ct", noisy_body(make_head))
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in series.iterdir():
            archive.write(path, f"study/series/{path.name}")
            torn = path.read_bytes()[:300]  # of a killed writer
            archive.writestr(f"study/.series_enhanced.99h8grk1/{path.name}", torn)
        archive.writestr("study/readme.txt", "no slice")
    common = ("--weights", weights, "--sigma", 25)
    assert enhance(tmp_path / "scan.zip", "-o", tmp_path / "a.nii.gz", *common) == 0
    assert enhance(series, "-o", tmp_path / "b.nii.gz", *common) == 0
    a, b = (nib.load(tmp_path / name) for name in ("a.nii.gz", "b.nii.gz"))
    assert a.get_data_dtype() == np.uint16
    assert (a.dataobj.slope, a.dataobj.inter) == (2, -1024)
    np.testing.assert_array_equal(np.asarray(a.dataobj), np.asarray(b.dataobj))
    assert enhance(tmp_path / "scan.zip", *common) == 0
    assert len(slices(tmp_path / "scan_enhanced")) == 6


def test_large_series_lie_on_the_disk_and_zips_as_long_as_their_scan(
    make_head: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = noisy_body(make_head)
    series = write_series(tmp_path / "ct", values)
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for path in series.iterdir():
            archive.write(path, path.name)
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert not isinstance(open_scan(series).stored.base, np.memmap)
    monkeypatch.setattr("diff_medical.scan.scratch.LARGE", 1000)
    scan = open_scan(tmp_path / "ct.zip")
    assert len(list(folder.rglob("*.dcm"))) == 6
    assert isinstance(scan.stored.base, np.memmap)
    np.testing.assert_array_equal(scan.volume(), values[:, :, ::-1])
    assert "PixelData" not in scan.stack.headers[0]  # type: ignore[attr-defined]
    del scan
    gc.collect()
    assert list(folder.iterdir()) == []


def test_slopes_that_differ_between_slices_are_kept(
    make_head: Make, tmp_path: Path, weights: Path
) -> None:
    values = noisy_body(make_head)
    series = write_series(tmp_path / "ct", values)
    second = sorted(series.iterdir())[1]
    one = pydicom.dcmread(second)
    one.RescaleSlope, one.RescaleIntercept = 1, 0
    signed = one.pixel_array.astype(np.int32) * 2 - 1024
    one.PixelRepresentation, one.PixelData = 1, signed.astype(np.int16).tobytes()
    one.save_as(second)
    assert enhance(series, "--weights", weights, "--sigma", 0) == 0  # nothing changes
    again = open_folder(tmp_path / "ct_enhanced")
    np.testing.assert_array_equal(again.values(), values[:, :, ::-1])
    assert again.scaling.tolist().count([1.0, 0.0]) == 1


def test_compressed_slices_are_read_and_written_plain(
    make_head: Make, tmp_path: Path, weights: Path
) -> None:
    values = noisy_body(make_head)
    series = write_series(tmp_path / "ct", values)
    for path in series.iterdir():
        one = pydicom.dcmread(path)
        one.compress(RLELossless)
        one.save_as(path)
    assert enhance(series, "--weights", weights, "--sigma", 0) == 0
    made = slices(tmp_path / "ct_enhanced")
    assert not made[0].file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(
        open_folder(tmp_path / "ct_enhanced").values(), values[:, :, ::-1]
    )


def test_trees_of_series(make_head: Make, tmp_path: Path, weights: Path) -> None:
    values = noisy_body(make_head)
    for uid, place in (("1.1", "in/p1/a"), ("1.2", "in/p1/b"), ("1.3", "in/p2")):
        write_series(tmp_path / place, values, uid=uid)
    common = ("--weights", weights, "--sigma", 0)
    assert enhance(tmp_path / "in", "--recursive", "-o", tmp_path / "out", *common) == 0
    found = {p.relative_to(tmp_path).as_posix() for p in (tmp_path / "out").rglob("00001.dcm")}
    assert found == {f"out/{p}/00001.dcm" for p in ("p1/a", "p1/b", "p2")}
    assert enhance(tmp_path / "in", "--recursive", *common) == 0
    assert enhance(tmp_path / "in", "--recursive", "--overwrite", *common) == 0
    names = {p.name for p in (tmp_path / "in").rglob("*") if p.is_dir()}
    assert names == {"p1", "p2", "a", "b", "a_enhanced", "b_enhanced", "p2_enhanced"}


def shift(folder: Path) -> None:
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        x, y, z = map(float, one.ImagePositionPatient)
        one.ImagePositionPatient = [x, y + 0.2 * (z - 100), z]
        one.save_as(path)


def no_codec(folder: Path) -> None:
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        one.PixelData = pydicom.encaps.encapsulate([b"rubbish!"])
        one["PixelData"].VR = "OB"
        one.file_meta.TransferSyntaxUID = HTJ2KLossless
        one.save_as(path)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing slice": (lambda d: sorted(d.iterdir())[2].unlink(), "some are missing; export"),
    "two series": (
        lambda d: write_series(d, np.zeros((8, 8, 2)), uid="7.7", SeriesDescription="scout"),
        "holds 2 series mixed (thorax, scout)",
    ),
    "tilt": (shift, "its gantry was tilted by 11.3 degrees"),
    "no codec": (no_codec, "are compressed (High-Throughput JPEG 2000"),
    "echoes": (
        lambda d: [
            edit(p.rename(p.with_name(f"e{p.name}")), EchoTime=9) for p in [*d.iterdir()]
        ] + [write_series(d, np.zeros((32, 28, 6)))],
        "12 slices at 6 places",
    ),
    "colour": (lambda d: [edit(p, SamplesPerPixel=3) for p in d.iterdir()], "colour"),
    "slope": (lambda d: [edit(p, RescaleSlope=0) for p in d.iterdir()], "slope of 0"),
    "report": (lambda d: [edit(p, Modality="SR") for p in d.iterdir()], "no MR or CT series"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_one_line(
    make_head: Make, tmp_path: Path, weights: Path, capsys: Out, fault: str
) -> None:
    change, words = FAULTS[fault]
    folder = write_series(tmp_path / "ct", noisy_body(make_head))
    change(folder)
    assert enhance(folder, "--weights", weights) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"diff_medical.enhance: {folder}: ")
    assert words in err
    assert "; " in err
    assert [p.name for p in tmp_path.iterdir()] == ["ct"]


def zip_of(
    path: Path, name: str, content: bytes, mode: int = 0, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        member.compress_type = method
        archive.writestr(member, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "mode", "words"),
    [
        ("../../evil.dcm", b"x", 0, "a file outside itself (../../evil.dcm)"),
        ("/etc/evil.dcm", b"x", 0, "a file outside itself"),
        ("a\\..\\..\\evil.dcm", b"x", 0, "a file outside itself"),
        ("link.dcm", b"/etc/passwd", stat.S_IFLNK, "holds a link"),
        ("bomb.dcm", bytes(80 << 20), 0, "like a zip bomb"),
        ("notes.txt", b"x", 0, "holds no MR or CT series"),
    ],
)
def test_archives_are_not_trusted(
    tmp_path: Path, weights: Path, capsys: Out, name: str, content: bytes, mode: int, words: str
) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    path = zip_of(inside / "a.zip", name, content, mode)
    assert enhance(path, "--weights", weights) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err
    assert [p.name for p in inside.iterdir()] == ["a.zip"]
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == []


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_that_zipfile_unpacks_at_once_are_refused(tmp_path: Path, method: int) -> None:
    """It would fill the memory before it counts: 500 bytes of bzip2 may hold 400 MiB."""
    path = zip_of(tmp_path / "a.zip", "a.dcm", b"\0" * 128 + b"DICM" + bytes(1000), method=method)
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="by another method than deflate"):
        unpack(path, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_archives_that_promise_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = b"\0" * 128 + b"DICM" + os.urandom(4000)
    path = zip_of(tmp_path / "a.zip", "a.dcm", rest)
    (tmp_path / "out").mkdir()
    for name, value in (("LARGEST", 4000), ("MEMBERS", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(f"diff_medical.scan.dicom.archive.{name}", value)
            with pytest.raises(ValueError, match="like a zip bomb"):
                unpack(path, tmp_path / "out")
    lying = bytearray(path.read_bytes())  # declares 100 bytes in its directory, holds 4132
    place = lying.rindex(b"PK\1\2") + 24
    lying[place : place + 4] = (140).to_bytes(4, "little")
    path.write_bytes(bytes(lying))
    with pytest.raises(ValueError, match="is no zip archive, or damaged"):
        unpack(path, tmp_path / "out")
    assert all(file.stat().st_size <= 140 for file in (tmp_path / "out").iterdir())


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\3\4 not really")
    with pytest.raises(ValueError, match="is no zip archive, or damaged"):
        unpack(path, tmp_path)
    rest = os.urandom(4000)
    zip_of(path, "a.dcm", b"\0" * 128 + b"DICM" + rest)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="is no zip archive, or damaged"):
        unpack(path, tmp_path)


def test_outputs_are_not_replaced_unasked(
    make_head: Make, tmp_path: Path, weights: Path, capsys: Out
) -> None:
    series = write_series(tmp_path / "ct", noisy_body(make_head))
    common = ("--weights", weights, "--sigma", 0)
    assert enhance(series, *common) == 0
    first = slices(tmp_path / "ct_enhanced")[0].SOPInstanceUID
    assert enhance(series, *common) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err
    assert enhance(series, "--overwrite", *common) == 0
    assert slices(tmp_path / "ct_enhanced")[0].SOPInstanceUID != first
    (tmp_path / "ct_enhanced" / "thesis.txt").write_text("precious")
    assert enhance(series, "--overwrite", *common) == 1
    assert "holds other things than DICOM" in capsys.readouterr().err
    assert (tmp_path / "ct_enhanced" / "thesis.txt").read_text() == "precious"
    assert enhance(series, "-o", series, "--overwrite", *common) == 1
    assert "is the input itself" in capsys.readouterr().err
    assert enhance(series, "-o", tmp_path / "new", "--dtype", "float32", *common) == 1
    assert "name a .nii.gz file" in capsys.readouterr().err
