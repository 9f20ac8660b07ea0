"""Synthetic scans as DICOM: where they lie, of whom they are not, and what their marks survive."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, MRImageStorage, RLELossless

from dicom_files import edit, write_series
from diff_medical.generator.model import Made
from diff_medical.generator.request import NORMAL, Request
from diff_medical.jobs.generate import write
from diff_medical.marks.mark import Mark
from diff_medical.marks.told import tell
from diff_medical.provenance import main
from diff_medical.scan.dicom.series import open_folder

MARK = Mark("0123456789abcdef", 7, "generate", {"modality": "ct", "body": "chest"}, {"steps": 9})
SIGNS = ("comment", "derivation", "Synthetic Data", "patient's name")


def made(plane: str = "", modality: str = "ct") -> Made:
    rng = np.random.default_rng(3)
    low, high = (-1000, 800) if modality == "ct" else (0, 900)
    shape, spacing = [10, 12, 9], [1.5, 1.25, 2.0]
    if plane:
        spacing[NORMAL[plane]] = 4.0
        del shape[NORMAL[plane]]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -70.5, -44, 31
    values = np.rint(rng.uniform(low, high, shape)).astype(np.float32)
    return Made(values, affine, Request(modality, "chest", plane, 0.5 if plane else None), 7)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "ct_chest_volume_000007_desc-synthetic"
    write(folder, made(), MARK)
    return folder


def world(values: np.ndarray, affine: np.ndarray) -> dict[tuple[float, ...], float]:
    """What is where: value by place, mm."""
    grid = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1).reshape(-1, 3)
    places = np.round(nib.affines.apply_affine(affine, grid), 3) + 0.0
    return dict(zip(map(tuple, places.tolist()), values.ravel().tolist(), strict=True))


@pytest.mark.parametrize("modality", ["ct", "t1"])
@pytest.mark.parametrize("plane", ["", "axial", "coronal", "sagittal"])
def test_every_value_stays_at_its_place(plane: str, modality: str, tmp_path: Path) -> None:
    source = made(plane, modality)
    path = tmp_path / ("one.dcm" if plane else "folder")
    write(path, source, MARK)
    stack = open_folder(tmp_path if plane else path)
    assert world(stack.values(), stack.affine) == world(source.volume, source.affine)
    # seen as usual: rows go to the left or back, columns to the back or feet, in LPS
    turn = [float(v) for v in stack.headers[0].ImageOrientationPatient]
    expected = {
        "coronal": [1, 0, 0, 0, 0, -1], "sagittal": [0, 1, 0, 0, 0, -1]
    }.get(plane, [1, 0, 0, 0, 1, 0])  # fmt: skip
    assert turn == expected


def test_identity_is_new_and_nobodys(series: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", made(), MARK)
    slices = [pydicom.dcmread(path) for path in sorted(series.iterdir())]
    other = pydicom.dcmread(tmp_path / "again" / "00001.dcm")
    assert len({one.SOPInstanceUID for one in slices}) == 9
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({one[name].value for one in slices}) == 1
        assert slices[0][name].value != other[name].value
    for number, one in enumerate(slices):
        assert one.SyntheticData == "YES"
        assert list(one.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert str(one.PatientName).startswith("SYNTHETIC^")
        assert one.PatientID.startswith("SYNTHETIC-") and not one.PatientBirthDate
        assert "not for diagnosis" in one.DerivationDescription
        assert "0123456789abcdef" in one.DerivationDescription
        assert one.DerivationCodeSequence[0].CodeMeaning == "Artificial Intelligence"
        equipment = one.ContributingEquipmentSequence[0]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
        assert equipment.Manufacturer == one.Manufacturer == "diff-medical"
        assert one.DeviceSerialNumber == "0123456789abcdef"
        assert (one.SOPClassUID, one.Modality) == (CTImageStorage, "CT")
        assert (one.RescaleIntercept, one.RescaleType) == (-1024, "HU")
        assert one.InstanceNumber == number + 1
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
        assert not [element for element in one if element.tag.is_private]


def test_mr_is_mr_without_hounsfield_units(tmp_path: Path) -> None:
    write(tmp_path / "one.dcm", made("axial", "t2"), MARK)
    one = pydicom.dcmread(tmp_path / "one.dcm")
    assert (one.SOPClassUID, one.Modality) == (MRImageStorage, "MR")
    assert "RescaleIntercept" not in one
    assert list(one.PixelSpacing) == [1.25, 1.5] and one.SliceThickness == 4


# DICOM PS3.3, A.3 CT Image and A.4 MR Image: the attributes of their mandatory modules. Those of
# type 1 have a value, those of type 2 are there.
TYPE_1 = (
    "StudyInstanceUID Modality SeriesInstanceUID FrameOfReferenceUID PixelSpacing "
    "ImageOrientationPatient ImagePositionPatient SamplesPerPixel PhotometricInterpretation Rows "
    "Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelData ImageType SOPClassUID "
    "SOPInstanceUID SpecificCharacterSet"
)
TYPE_2 = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime "
    "ReferringPhysicianName StudyID AccessionNumber SeriesNumber PatientPosition "
    "PositionReferenceIndicator Manufacturer InstanceNumber SliceThickness"
)
OF_KIND = {
    "ct": ("RescaleIntercept RescaleSlope", "KVP AcquisitionNumber"),
    "t1": (
        "ScanningSequence SequenceVariant",
        "ScanOptions MRAcquisitionType EchoTime EchoTrainLength RepetitionTime",
    ),
}
# Present only if a condition holds that does not: a paired part of the body, a patient's side.
ABSENT = "Laterality PatientOrientation"


@pytest.mark.parametrize("plane", ["", "axial", "coronal", "sagittal"])
@pytest.mark.parametrize("modality", OF_KIND)
def test_all_attributes_of_their_kind_are_there(
    modality: str, plane: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`benchmarks/medical/dicom_validity.py` asks dciodvfy."""
    path = tmp_path / ("one.dcm" if plane else "folder")
    write(path, made(plane, modality), MARK)
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)
    for file in [path] if plane else path.iterdir():
        one = pydicom.dcmread(file)
        valued, present = OF_KIND[modality]
        for name in f"{TYPE_1} {valued}".split():
            assert name in one and one[name].VM > 0 and one[name].value not in ("", None), name
        for name in f"{TYPE_2} {present}".split():
            assert name in one, name
        for name in ABSENT.split():
            assert name not in one, name
        list(one.iterall())  # pydicom raises for a value that is not of its type


def saved_again(one: Any) -> Any:
    return one


def compressed(one: Any) -> Any:
    one.compress(RLELossless)
    return one


def cleaned(one: Any) -> Any:
    """As a simple de-identification does."""
    one.remove_private_tags()
    one.PatientName, one.PatientID, one.StudyDate = "anonymous", "1", ""
    return one


@pytest.mark.parametrize("change", [saved_again, compressed, cleaned])
def test_marks_survive_pydicom(series: Path, tmp_path: Path, change: Any) -> None:
    one = change(pydicom.dcmread(series / "00004.dcm"))
    path = tmp_path / "elsewhere" / "IM4"
    path.parent.mkdir()
    one.save_as(path)
    told = tell(path)
    assert told.mark == MARK
    assert told.signs == (SIGNS[:3] if change is cleaned else SIGNS)


def test_marks_survive_enhancing(series: Path, tmp_path: Path, weights: Path) -> None:
    from diff_medical.enhance import main as enhance

    plain = series.rename(tmp_path / "plain")
    (tmp_path / f"{series.name}.json").unlink()
    assert enhance([str(plain), "--weights", str(weights), "--sigma", "30", "--quiet"]) == 0
    told = tell(tmp_path / "plain_enhanced" / "00001.dcm")
    assert told.mark == MARK and told.signs == SIGNS


def test_where_comments_are_taken_out_the_rest_tells(series: Path, tmp_path: Path) -> None:
    one = pydicom.dcmread(series / "00001.dcm")
    del one.ImageComments
    one.save_as(tmp_path / "bare.dcm")
    told = tell(tmp_path / "bare.dcm")
    assert told.mark is not None and told.mark.seed == 7
    del one.DerivationDescription, one.PatientName
    one.save_as(tmp_path / "bare.dcm")
    told = tell(tmp_path / "bare.dcm")
    assert (told.synthetic, told.mark, told.signs) == (True, None, ("Synthetic Data",))


def test_the_command_tells_of_a_series_in_one_line(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = write_series(tmp_path / "real", np.zeros((8, 8, 2), np.float32))
    assert main([str(series), str(real)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{series} (9 files): synthetic, by generate 0123456789abcdef")
    assert "sidecar, file name" in lines[0]
    assert [line.split(": ")[1] for line in lines[1:]] == [
        "no mark found, which does not prove that it is real"
    ] * 2


def test_marks_that_contradict_each_other_are_reported(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = pydicom.dcmread(series / "00001.dcm")
    one.SyntheticData = "NO"
    one.save_as(tmp_path / "no.dcm")
    told = tell(tmp_path / "no.dcm")
    assert told.synthetic
    by = ", ".join(sign for sign in SIGNS if sign != "Synthetic Data")
    assert told.note == f"its marks differ (synthetic by {by}; not by Synthetic Data)"
    named = write_series(tmp_path / "real", np.zeros((8, 8, 1), np.float32))
    (file,) = named.iterdir()
    file = file.rename(named / "x_desc-synthetic.dcm")
    assert tell(file).note == "nothing inside it is a mark, only its file name"
    assert main([str(file)]) == 0
    assert "note: nothing inside it is a mark, only its file name" in capsys.readouterr().err
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text('{"Synthetic": true}')
    assert tell(tmp_path / "a.nii.gz").note == "nothing inside it is a mark, only its sidecar"
    (tmp_path / "no.json").write_text('{"Synthetic": false}')
    assert "not by Synthetic Data, sidecar" in tell(tmp_path / "no.dcm").note
    # a whole scan, and one that only denies, contradict nothing
    assert tell(series / "00001.dcm").note == ""
    edit(named / "x_desc-synthetic.dcm", SyntheticData="NO")
    plain = (named / "x_desc-synthetic.dcm").rename(named / "x.dcm")
    assert (tell(plain).synthetic, tell(plain).note) == (None, "")


def test_an_unknown_kind_of_value_is_a_damaged_file(series: Path) -> None:
    path = series / "00001.dcm"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00XX"))
    with pytest.raises(ValueError, match="cannot be read as DICOM") as raised:
        tell(path)
    assert "\n" not in str(raised.value)


def test_an_older_series_is_replaced_and_other_files_are_not(series: Path) -> None:
    before = pydicom.dcmread(series / "00001.dcm").SeriesInstanceUID
    write(series, made(), MARK)
    assert pydicom.dcmread(series / "00001.dcm").SeriesInstanceUID != before
    assert len(list(series.iterdir())) == 9
    assert not [path for path in series.parent.iterdir() if path.name.startswith(".")]
