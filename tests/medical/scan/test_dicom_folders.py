"""DICOM folders as they are found: sent twice, with other things beside, uneven, old, killed."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from dicom_files import edit, write_series
from diff_core.locks import locked
from diff_medical.data.studies import find_scans
from diff_medical.enhance import main
from diff_medical.scan.dicom.folder import replacing_folder, settle
from diff_medical.scan.dicom.series import find_series, open_folder, read_series
from diff_medical.scan.open import open_scan

VALUES = (2 * np.random.default_rng(5).integers(-500, 500, (9, 8, 6))).astype(np.float32)
UPWARDS = VALUES[:, :, ::-1]  # the files go downwards


def enhance(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


# sent twice


def test_a_slice_that_was_sent_twice_counts_once(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_series(tmp_path / "ct", VALUES)
    first = sorted(folder.iterdir())[2]
    (folder / "again.dcm").write_bytes(first.read_bytes())
    assert enhance(folder, "--weights", weights, "--sigma", 0) == 0
    assert "1 of its files repeats another and is left out" in shown(capsys)
    assert len(list((tmp_path / "ct_enhanced").iterdir())) == 6
    np.testing.assert_array_equal(open_folder(tmp_path / "ct_enhanced").values(), UPWARDS)


def test_another_image_of_the_same_identity_is_no_repeat(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", VALUES)
    first = sorted(folder.iterdir())[2]
    one = pydicom.dcmread(first)
    one.PixelData = bytes(len(one.PixelData))
    one.save_as(folder / "other.dcm")
    with pytest.raises(ValueError, match="7 slices at 6 places"):
        open_scan(folder)
    # and slices of one identity, as bad anonymisers leave them, are all there
    same = write_series(tmp_path / "same", VALUES)
    for path in same.iterdir():
        edit(path, SOPInstanceUID="1.1")
    np.testing.assert_array_equal(open_folder(same).values(), UPWARDS)


# other things beside


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, "a report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "a picture of a screen"),
    ],
)
@pytest.mark.parametrize("uid", ["7.7", "1.2.3"])
def test_what_goes_with_a_scan_does_not_stop_it(
    tmp_path: Path, tags: dict[str, Any], what: str, uid: str
) -> None:
    folder = write_series(tmp_path / "ct", VALUES)
    write_series(tmp_path / "beside", np.zeros((20, 30, 1)), uid=uid, **tags)
    for path in (tmp_path / "beside").iterdir():
        path.rename(folder / f"beside-{path.name}")
    scan = open_scan(folder)
    np.testing.assert_array_equal(scan.volume(), UPWARDS)
    assert scan.notes == (f"{what} beside it is left out",)
    series, left_out = find_series(folder)
    assert [one.uid for one in series] == ["1.2.3"]
    assert [why for _, why in left_out] == [f"is {what}"]
    values, _, _ = read_series(series[0].path)
    np.testing.assert_array_equal(values, UPWARDS)


def test_a_localizer_alone_is_taken(tmp_path: Path) -> None:
    tags = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    folder = write_series(tmp_path / "scout", VALUES[:, :, :1], **tags)
    np.testing.assert_array_equal(open_scan(folder).volume(), VALUES[:, :, :1])


# uneven


def placed(folder: Path, heights: list[float], **tags: Any) -> Path:
    write_series(folder, VALUES)
    for path, z in zip(sorted(folder.iterdir()), reversed(heights), strict=True):
        edit(path, ImagePositionPatient=[-10.0, -20.0, z], **tags)
    return folder


def test_uneven_slices_stay_where_they_are_and_are_even_in_nifti(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heights = [0.0, 3.0, 6.0, 12.0, 18.0, 24.0]
    folder = placed(tmp_path / "ct", heights)
    common = ("--weights", weights, "--sigma", 0)
    assert enhance(folder, *common) == 0
    assert "its slices are 3.00 to 6.00 mm apart" in shown(capsys)
    made = open_folder(tmp_path / "ct_enhanced")
    np.testing.assert_array_equal(made.heights.places, heights)
    np.testing.assert_array_equal(made.values(), UPWARDS)
    target = tmp_path / "x.nii.gz"
    assert enhance(folder, "-o", target, "--residual", *common) == 0
    image: Any = nib.load(target)
    values = np.asarray(image.dataobj)
    assert values.shape == (9, 8, 9)
    between = [(UPWARDS[..., i] + UPWARDS[..., i + 1]) / 2 for i in (2, 3, 4)]
    expected = [*np.moveaxis(UPWARDS[..., :3], 2, 0), between[0], UPWARDS[..., 3], between[1],
                UPWARDS[..., 4], between[2], UPWARDS[..., 5]]  # fmt: skip
    np.testing.assert_allclose(values, np.stack(expected, 2), atol=1.01)  # steps of 2 HU
    np.testing.assert_allclose(image.affine[:, 2], [0, 0, 3, 0], atol=1e-5)
    np.testing.assert_allclose(image.affine[:3, 3], [10, 20, 0], atol=1e-5)
    assert nib.load(tmp_path / "x_residual.nii.gz").shape == (9, 8, 9)


@pytest.mark.parametrize(
    ("heights", "thickness", "words"),
    [
        ([0.0, 3, 6, 12, 15, 18], 3, "3.00 to 6.00 mm apart: some are missing"),
        ([0.0, 3, 9, 12, 21, 24], 3, "3.00 to 9.00 mm apart: some are missing"),
        ([0.0, 3, 6, 60, 63, 66], 60, "3.00 to 54.00 mm apart, so they are of several scans"),
        ([0.0, 3, 6, 12, 15, 18], 6, ""),  # planned so: its slices are that thick
        ([0.0, 3, 6, 10, 14.5, 19], 3, ""),
        ([0.0, 3.03, 5.97, 9.0, 12.03, 15.0], 3, "even"),  # places that are rounded
    ],
)
def test_missing_slices_are_told_from_uneven_ones(
    tmp_path: Path, heights: list[float], thickness: float, words: str
) -> None:
    folder = placed(tmp_path / "ct", heights, SliceThickness=thickness)
    if "apart" in words:
        with pytest.raises(ValueError) as raised:
            open_folder(folder)
        assert words in str(raised.value)
    else:
        assert open_folder(folder).heights.is_even == (words == "even")


def test_uneven_slices_are_no_training_volume(tmp_path: Path) -> None:
    folder = placed(tmp_path / "ct", [0.0, 3, 6, 12, 18, 24])
    with pytest.raises(ValueError, match=r"slices are 3\.00 to 6\.00 mm apart; resample it first"):
        read_series(next(folder.iterdir()))


# old files and other encodings


def bare(path: Path) -> None:
    path.write_bytes(path.read_bytes()[132:])


def without_meta(path: Path) -> None:
    """A data set alone, as before there were DICOM files."""
    one = pydicom.dcmread(path)
    content = pydicom.filebase.DicomBytesIO()
    content.is_little_endian, content.is_implicit_VR = True, True
    pydicom.filewriter.write_dataset(content, one)
    path.write_bytes(content.getvalue())


def big_endian(path: Path) -> None:
    one = pydicom.dcmread(path)
    made = pydicom.Dataset()
    for element in one:
        made[element.tag] = element
    made.add_new((0x0019, 0x0010), "LO", "SIEMENS MR HEADER")
    made.add_new((0x0019, 0x100C), "IS", "1000")
    made.add_new((0x0028, 0x1201), "OW", np.arange(4, dtype=">u2").tobytes())
    made.PixelData = np.frombuffer(one.PixelData, "<u2").astype(">u2").tobytes()
    made.file_meta = one.file_meta
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    made.save_as(path, implicit_vr=False, little_endian=False)


def as_syntax(uid: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        one = pydicom.dcmread(path)
        one.file_meta.TransferSyntaxUID = uid
        one.save_as(path)

    return change


def jpeg_ls(path: Path) -> None:
    recoded(path, "JPEGLSLossless", JPEGLSLossless)


def jpeg_lossless(path: Path) -> None:
    recoded(path, "JPEGLosslessProcess14_1", "1.2.840.10008.1.2.4.70")


def recoded(path: Path, kind: str, uid: str) -> None:
    import gdcm

    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), None
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == uid


ENCODINGS = (bare, without_meta, big_endian, as_syntax(ImplicitVRLittleEndian),
             as_syntax(DeflatedExplicitVRLittleEndian), jpeg_ls, jpeg_lossless)  # fmt: skip


@pytest.mark.parametrize("change", ENCODINGS, ids=lambda c: getattr(c, "__name__", ""))
def test_encodings_are_read_and_written(
    tmp_path: Path, weights: Path, change: Callable[[Path], None]
) -> None:
    folder = write_series(tmp_path / "ct", VALUES)
    for path in folder.iterdir():
        change(path)
    assert enhance(folder, "--weights", weights, "--sigma", 0) == 0
    np.testing.assert_array_equal(open_folder(tmp_path / "ct_enhanced").values(), UPWARDS)
    one = pydicom.dcmread(tmp_path / "ct_enhanced" / "00001.dcm")
    assert one.PatientID == "secret-17"
    assert one.file_meta.TransferSyntaxUID.is_little_endian
    if change is big_endian:
        assert one[0x0019, 0x100C].value == 1000
        assert one[0x0028, 0x1201].value == np.arange(4, dtype="<u2").tobytes()


def test_files_that_are_none_are_left_alone(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", VALUES)
    (folder / "notes.txt").write_text("not a slice")
    (folder / "empty").write_bytes(b"")
    (folder / "zeros").write_bytes(bytes(300))
    (folder / "table.xls").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(300))
    assert open_folder(folder).shape == (9, 8, 6)


# killed writers

KILLED = """
    import os, signal, sys, time
    from pathlib import Path
    import numpy as np
    from diff_medical.scan.dicom import write
    from diff_medical.scan.dicom.series import open_folder

    source, target = map(Path, sys.argv[1:])
    stack = open_folder(source)
    put, count = write._put_pixels, []

    def some(*arguments):
        put(*arguments)
        count.append(1)
        if len(count) == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    write._put_pixels = some
    write.write_series(target, stack, stack.values(), label="x", version="y")
"""


def kill_while_writing(source: Path, target: Path) -> Path:
    """What a writer leaves that is killed at its fourth file."""
    code = textwrap.dedent(KILLED)
    done = subprocess.run([sys.executable, "-c", code, str(source), str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = target.parent.glob(f".{target.name}.????????")
    assert [path.name for path in sorted(left.iterdir())] == [
        "00001.dcm",
        "00002.dcm",
        "00003.dcm",
    ]
    return left


def test_what_a_killed_run_leaves_is_no_scan_and_the_next_removes_it(
    tmp_path: Path, weights: Path
) -> None:
    folder = write_series(tmp_path / "study" / "ct", VALUES)
    left = kill_while_writing(folder, tmp_path / "study" / "ct_enhanced")
    assert {row.path.parent for row in find_scans(tmp_path / "study")} == {folder}
    assert {one.path.parent for one in find_series(tmp_path / "study")[0]} == {folder}
    assert open_folder(tmp_path / "study").shape == (9, 8, 6)
    precious = tmp_path / "study" / ".ct_enhanced.abcdefgh"
    precious.mkdir()
    (precious / "thesis.txt").write_text("mine")
    common = ("--weights", weights, "--sigma", 0)
    assert enhance(tmp_path / "study", "--recursive", *common) == 0
    assert not left.exists()
    found = sorted(path.name for path in (tmp_path / "study").iterdir())
    assert found == [".ct_enhanced.abcdefgh", "ct", "ct_enhanced"]
    assert len(list((tmp_path / "study" / "ct_enhanced").iterdir())) == 6


def test_an_older_series_gets_its_name_back(tmp_path: Path) -> None:
    """Where the system cannot exchange folders, a run may die between two renames."""
    old = write_series(tmp_path / ".ct.8sj5fygw.old", VALUES)
    write_series(tmp_path / ".ct.8sj5fygw", VALUES[:, :, :3])
    settle(tmp_path / "ct")
    assert not old.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]
    assert open_folder(tmp_path / "ct").shape == (9, 8, 6)


def test_the_files_of_a_writer_at_work_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    code = """
        import sys, time
        from pathlib import Path
        from diff_medical.scan.dicom.folder import replacing_folder
        with replacing_folder(Path(sys.argv[1])) as partial:
            print(partial, flush=True)
            sys.stdin.readline()
            (partial / "00001.dcm").write_bytes(b"done")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout and other.stdin
        partial = Path(other.stdout.readline().strip())
        settle(folder)
        assert partial.is_dir()
        with pytest.raises(FileExistsError, match="is being written by another process"):
            with replacing_folder(folder):
                pass
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.wait(60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_folders_are_exchanged_and_never_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr("diff_medical.scan.dicom.folder._swapped", lambda *_: False)
    folder = tmp_path / "ct"
    for content in ("old", "new"):
        with replacing_folder(folder) as partial:
            (partial / "a.dcm").write_text(content)
        assert (folder / "a.dcm").read_text() == content
    with pytest.raises(KeyboardInterrupt), replacing_folder(folder) as partial:
        raise KeyboardInterrupt
    with pytest.raises(FileExistsError, match="exists; add overwrite=True"):
        with replacing_folder(folder, overwrite=False):
            pass
    assert (folder / "a.dcm").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]
    with locked(tmp_path / ".ct.lock"), replacing_folder(folder):  # as the command holds it
        assert os.listdir(folder) == ["a.dcm"]
