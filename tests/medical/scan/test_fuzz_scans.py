"""Scans from outside: whatever the bytes of a NIfTI, MGH or DICOM file, read or refused."""

from __future__ import annotations

import errno
import io
import warnings
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from dicom_files import edit, write_series
from diff_medical.scan.dicom.archive import unpack
from diff_medical.scan.nifti import read
from diff_medical.scan.open import open_scan
from diff_medical.scan.refusal import ScanError, foreign

VOLUME = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
GOOD = {
    "nii": nib.Nifti1Image(VOLUME, np.eye(4)).to_bytes(),
    "nii2": nib.Nifti2Image(VOLUME, np.eye(4)).to_bytes(),
    "mgh": nib.MGHImage(VOLUME, np.eye(4)).to_bytes(),
}


def check(scan: object) -> None:
    """What was opened can be read, or is refused by then."""
    volume = scan.volume(0)  # type: ignore[attr-defined]
    assert volume.dtype == np.float32 and volume.ndim == 3 and volume.size < 1e6


@pytest.mark.parametrize("kind", GOOD)
@settings(max_examples=150, derandomize=True)
@given(data=st.data())
def test_a_damaged_volume_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    suffix = "mgh" if kind == "mgh" else "nii"
    path = tmp_path_factory.mktemp("bad") / f"a.{suffix}"
    path.write_bytes(data.draw(damaged(GOOD[kind], header=540)))
    try:
        check(read(path))
    except ScanError as error:
        assert str(error).count("\n") == 0


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = write_series(tmp_path_factory.mktemp("series"), VOLUME.astype(np.float32))
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@settings(max_examples=80, derandomize=True)
@given(data=st.data())
def test_a_damaged_series_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, slices: list[bytes], data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("bad")
    for number, one in enumerate(slices):
        (folder / f"{number}.dcm").write_bytes(one)
    (folder / "1.dcm").write_bytes(data.draw(damaged(slices[1], header=len(slices[1]))))
    try:
        check(open_scan(folder))
    except ValueError as error:
        assert str(error).count("\n") == 0


def zipped(slices: list[bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, one in enumerate(slices):
            archive.writestr(f"{number}.dcm", one)
    return made.getvalue()


@settings(max_examples=80, derandomize=True)
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, slices: list[bytes], data: st.DataObject
) -> None:
    packed = zipped(slices)
    path = tmp_path_factory.mktemp("bad") / "a.zip"
    path.write_bytes(data.draw(damaged(packed, header=len(packed))))
    try:
        check(open_scan(path))
    except ValueError as error:
        assert str(error).count("\n") == 0


@pytest.mark.parametrize("rubbish", [b"\xff" * 4, b"\0" * 4, b"\n\x80\1\x7f"])
def test_every_place_of_an_archives_directory_may_be_damaged(
    tmp_path: Path, slices: list[bytes], rubbish: bytes
) -> None:
    # among them the offset of the directory as 2^32 - 1: the archive begins before its file
    packed = zipped(slices[:1])
    path, folder = tmp_path / "a.zip", tmp_path / "out"
    folder.mkdir()
    refused = 0
    for place in (*range(30), *range(packed.index(b"PK\1\2"), len(packed))):
        path.write_bytes(packed[:place] + rubbish + packed[place + 4 :])
        try:
            unpack(path, folder)
        except ValueError as error:
            refused += 1
            assert str(error).count("\n") == 0
    assert refused > 25


@pytest.mark.parametrize(
    "error",
    [
        KeyError("tag"), RuntimeError("no\nway"), MemoryError(), RecursionError("deep"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "bad"), OSError(errno.EINVAL, "Invalid argument"),
        OSError("no number"), AssertionError(), NotImplementedError(), EOFError(),
        zipfile.BadZipFile("bad"), OverflowError("int too large"), ValueError("x" * 999),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_errors_of_other_libraries_become_one_line(error: Exception) -> None:
    with (
        pytest.raises(ScanError) as caught,
        foreign(lambda why: ScanError(Path("a.nii"), f"is damaged ({why})", "copy it again")),
    ):
        raise error
    said = str(caught.value)
    assert said.startswith("a.nii: is damaged (")
    assert said.endswith("); copy it again")
    assert "\n" not in said
    assert len(said) < 300
    assert "()" not in said
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "no room"), PermissionError(errno.EACCES, "no"),
              KeyboardInterrupt()]
)  # fmt: skip
def test_what_is_not_the_files_fault_stays(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, foreign(ValueError):
        raise error
    assert caught.value is error


NUMBERS = {
    "PixelSpacing": (["0.9"], ["0", "0.8"], ["nan", "1"], ["-1", "1"]),
    "ImagePositionPatient": (["1", "2"], ["inf", "0", "0"]),
    "ImageOrientationPatient": (["0"] * 6, ["1", "0", "0", "1", "0", "0"], ["1"]),
    "RescaleSlope": ("nan", "0"),
    "RescaleIntercept": ("inf",),
    "BitsAllocated": (None, 12, 64),
    "Rows": (0, 6, 65535),
    "Columns": (65535,),
    "NumberOfFrames": ("2",),
    "SamplesPerPixel": (3,),
}


@pytest.mark.parametrize(
    ("tag", "value"), [(t, v) for t, values in NUMBERS.items() for v in values]
)
def test_numbers_that_make_no_volume_are_refused(tmp_path: Path, tag: str, value: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, which knows better
        folder = write_series(tmp_path / "ct", VOLUME.astype(np.float32))
        for path in folder.iterdir():
            edit(path, **{tag: value})
    with pytest.raises(ValueError, match="; ") as caught:
        check(open_scan(folder))
    assert str(caught.value).count("\n") == 0
