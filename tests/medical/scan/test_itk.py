"""NRRD, MetaImage and Analyze: geometry and values of files that are written here byte by byte."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from diff_medical.enhance import main
from diff_medical.marks.told import tell
from diff_medical.scan.nifti import read
from diff_medical.scan.refusal import ScanError

Out = pytest.CaptureFixture[str]
SHAPE = (6, 5, 4)
VALUES = np.random.default_rng(2).integers(-900, 2000, SHAPE).astype(np.int16)
# columns of the affine in RAS mm: an oblique plane, 0.8 x 1.2 x 3 mm
RAS = np.array(
    [[0.64, 0.72, 0, -31.5], [-0.48, 0.96, 0, 12.25], [0, 0, 3.0, 7], [0, 0, 0, 1]], float
)
SIGNS = {"right-anterior-superior": (1, 1, 1), "left-posterior-superior": (-1, -1, 1),
         "left-anterior-superior": (-1, 1, 1), "RAS": (1, 1, 1), "LPS": (-1, -1, 1)}  # fmt: skip


def vector(numbers: Any) -> str:
    return "(" + ",".join(f"{n:g}" for n in numbers) + ")"


def nrrd(
    values: np.ndarray = VALUES,
    *,
    space: str = "left-posterior-superior",
    encoding: str = "raw",
    endian: str = "little",
    further: str = "",
    first: str = "",
    kinds: str = "domain domain domain",
) -> bytes:
    """A NRRD file (http://teem.sourceforge.net/nrrd/format.html); `first` precedes directions."""
    signs = np.diag([*SIGNS[space], 1]) @ RAS
    types = {"i2": "short", "u2": "unsigned short", "u1": "uchar", "f4": "float", "f8": "double"}
    directions = " ".join(vector(signs[:3, axis]) for axis in range(3))
    header = f"""NRRD0005
# made by hand
type: {types[values.dtype.str[1:]]}
dimension: {values.ndim}
space: {space}
sizes: {" ".join(map(str, values.shape))}
space directions: {first}{directions}
kinds: {kinds}
endian: {endian}
encoding: {encoding}
space origin: {vector(signs[:3, 3])}
{further}"""
    order = "<" if endian == "little" else ">"
    voxels = values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")
    return header.encode() + b"\n" + (gzip.compress(voxels) if encoding == "gzip" else voxels)


def meta(values: np.ndarray = VALUES, *, local: str = "LOCAL", big: bool = False) -> bytes:
    """A MetaImage header, and behind it the voxels if they are LOCAL."""
    lps = np.diag([-1, -1, 1, 1]) @ RAS
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    types = {"i2": "MET_SHORT", "u1": "MET_UCHAR", "f4": "MET_FLOAT"}
    numbers = " ".join(f"{n:.12g}" for n in (lps[:3, :3] / sizes).T.ravel())
    header = f"""ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = {big}
CompressedData = False
TransformMatrix = {numbers}
Offset = {" ".join(f"{n:g}" for n in lps[:3, 3])}
ElementSpacing = {" ".join(f"{n:.12g}" for n in sizes)}
DimSize = {" ".join(map(str, values.shape))}
ElementType = {types[values.dtype.str[1:]]}
ElementDataFile = {local}
"""
    order = ">" if big else "<"
    voxels = values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")
    return header.encode() + (voxels if local == "LOCAL" else b"")


def enhance(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("space", SIGNS)
def test_a_nrrd_lies_where_its_space_says(tmp_path: Path, space: str) -> None:
    scan = read(put(tmp_path / "a.nrrd", nrrd(space=space)))
    np.testing.assert_array_equal(scan.stored[..., 0], VALUES)
    assert scan.dtype == np.int16
    np.testing.assert_allclose(scan.image.affine, RAS, atol=1e-5)
    np.testing.assert_allclose(scan.spacing, (0.8, 1.2, 3.0), atol=1e-6)
    assert scan.is_oriented and scan.notes == ()


@pytest.mark.parametrize("dtype", ["i2", "u2", "u1", "f4", "f8"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_datatypes_and_encodings(
    tmp_path: Path, dtype: str, endian: str, encoding: str
) -> None:
    values = (VALUES % 200).astype(dtype)
    path = put(tmp_path / "a.nrrd", nrrd(values, endian=endian, encoding=encoding))
    scan = read(path)
    assert scan.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(scan.volume(), values)


def test_a_nrrd_without_space_has_no_orientation(tmp_path: Path) -> None:
    content = nrrd().split(b"space:")[0] + b"sizes: 6 5 4\nspacings: 0.8 1.2 3\nendian: little\n"
    content += b"encoding: raw\n\n" + VALUES.tobytes(order="F")
    scan = read(put(tmp_path / "a.nrrd", content))
    np.testing.assert_array_equal(scan.stored[..., 0], VALUES)
    assert not scan.is_oriented
    assert "its orientation is unknown" in scan.notes[0]
    np.testing.assert_allclose(scan.spacing, (0.8, 1.2, 3.0))


@pytest.mark.parametrize("big", [False, True])
def test_a_metaimage_lies_where_it_says(tmp_path: Path, big: bool) -> None:
    scan = read(put(tmp_path / "a.mha", meta(big=big)))
    np.testing.assert_array_equal(scan.stored[..., 0], VALUES)
    np.testing.assert_allclose(scan.image.affine, RAS, atol=1e-5)
    np.testing.assert_allclose(scan.spacing, (0.8, 1.2, 3.0), atol=1e-6)


def header_of(path: Path) -> dict[str, str]:
    """The fields of a NRRD or MetaImage file, by name."""
    lines = path.read_bytes().split(b"\n\n")[0].decode("latin-1").splitlines()
    pairs = [line.replace(":=", ":").replace(" =", ":").partition(":") for line in lines]
    return {name: value.strip() for name, _, value in pairs}


def numbers(text: str) -> list[float]:
    return [float(n) for n in text.replace("(", " ").replace(")", " ").replace(",", " ").split()]


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_file_comes_back_in_its_format(tmp_path: Path, weights: Path, name: str) -> None:
    """The written header is read as text, not by ITK."""
    source = put(
        tmp_path / name, nrrd(further="DWMRI_b-value:=1000\n") if name == "a.nrrd" else meta()
    )
    assert enhance(source, "--weights", weights, "--sigma", 0) == 0
    target = tmp_path / name.replace("a.", "a_enhanced.")
    scan = read(target)
    np.testing.assert_array_equal(scan.stored[..., 0], VALUES)
    assert scan.dtype == np.int16
    np.testing.assert_allclose(scan.image.affine, RAS, atol=1e-5)
    said, lps = header_of(target), np.diag([-1, -1, 1, 1]) @ RAS
    if name == "a.nrrd":
        assert said["space"] == "left-posterior-superior" and said["sizes"] == "6 5 4"
        directions = np.reshape(numbers(said["space directions"]), (3, 3)).T
        np.testing.assert_allclose(directions, lps[:3, :3], atol=1e-6)
        np.testing.assert_allclose(numbers(said["space origin"]), lps[:3, 3], atol=1e-6)
        assert said["DWMRI_b-value"] == "1000"
    else:
        np.testing.assert_allclose(numbers(said["Offset"]), lps[:3, 3], atol=1e-6)
        np.testing.assert_allclose(numbers(said["ElementSpacing"]), (0.8, 1.2, 3.0), atol=1e-6)
        assert said["ElementType"] == "MET_SHORT"


def test_a_nrrd_as_nifti_has_the_same_voxels_at_the_same_places(
    tmp_path: Path, weights: Path
) -> None:
    source = put(tmp_path / "a.nrrd", nrrd())
    common = ("--weights", weights, "--sigma", 20, "--modality", "mr", "--noise", "gaussian")
    assert enhance(source, "-o", tmp_path / "x.nii.gz", *common, "--residual") == 0
    assert enhance(source, "-o", tmp_path / "y.mha", *common) == 0
    plain = nib.Nifti1Image(VALUES, RAS)
    plain.to_filename(tmp_path / "b.nii.gz")
    assert enhance(tmp_path / "b.nii.gz", "-o", tmp_path / "z.nii.gz", *common) == 0
    image, other = (nib.load(tmp_path / name) for name in ("x.nii.gz", "z.nii.gz"))
    np.testing.assert_allclose(image.affine, RAS, atol=1e-5)
    assert image.get_data_dtype() == np.int16 and image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.asarray(other.dataobj))
    np.testing.assert_array_equal(read(tmp_path / "y.mha").stored[..., 0], other.dataobj)
    assert (np.asarray(image.dataobj) != VALUES).any()
    assert read(tmp_path / "x_residual.nii.gz").dtype == np.float32


def test_volumes_of_a_nrrd(tmp_path: Path, weights: Path) -> None:
    series = np.stack([VALUES, VALUES // 2])  # Slicer keeps the list of volumes as the first axis
    path = tmp_path / "a.nrrd"
    put(path, nrrd(series, first="none ", kinds="list domain domain domain"))
    scan = read(path)
    assert (scan.grid, scan.volumes) == (SHAPE, 2)
    np.testing.assert_array_equal(scan.stored, np.moveaxis(series, 0, -1))
    np.testing.assert_allclose(scan.image.affine, RAS, atol=1e-5)
    assert enhance(path, "--weights", weights, "--sigma", 0) == 0
    said = header_of(tmp_path / "a_enhanced.nrrd")
    assert said["sizes"] == "2 6 5 4" and said["kinds"].startswith("list")
    np.testing.assert_array_equal(read(tmp_path / "a_enhanced.nrrd").stored, scan.stored)
    assert enhance(path, "-o", tmp_path / "b.mha", "--weights", weights, "--sigma", 0) == 0
    other = read(tmp_path / "b.mha")
    np.testing.assert_array_equal(other.stored, scan.stored)
    np.testing.assert_allclose(other.image.affine, RAS, atol=1e-5)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_single_slice_comes_back_in_two_dimensions(
    tmp_path: Path, weights: Path, name: str
) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(VALUES[:, :, 0].T)
    image.SetSpacing([0.8, 1.2])
    image.SetOrigin([3, -4])
    sitk.WriteImage(image, str(tmp_path / name))
    scan = read(tmp_path / name)
    assert scan.grid == (6, 5, 1)
    if name == "a.mha":  # NRRD names no space of two dimensions
        np.testing.assert_allclose(scan.image.affine[:2, 3], [-3, 4])
    assert enhance(tmp_path / name, "--weights", weights, "--sigma", 0) == 0
    made = sitk.ReadImage(str(tmp_path / name.replace("a.", "a_enhanced.")))
    assert (made.GetSize(), made.GetSpacing(), made.GetOrigin()) == (
        (6, 5), (0.8, 1.2), (3.0, -4.0)
    )  # fmt: skip
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made), VALUES[:, :, 0].T)


def test_files_with_a_header_apart(tmp_path: Path, weights: Path) -> None:
    put(tmp_path / "a.mhd", meta(local="voxels.raw"))
    put(tmp_path / "voxels.raw", VALUES.tobytes(order="F"))
    header, voxels = nrrd(further="data file: n.raw\n").split(b"\n\n", 1)
    put(tmp_path / "b.nhdr", header + b"\n\n")
    put(tmp_path / "n.raw", voxels)
    assert enhance(tmp_path, "--weights", weights, "--sigma", 0) == 0
    for name in ("a_enhanced.mha", "b_enhanced.nrrd"):
        np.testing.assert_array_equal(read(tmp_path / name).stored[..., 0], VALUES)
        np.testing.assert_allclose(read(tmp_path / name).image.affine, RAS, atol=1e-5)


REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "colours": (
        "a.nrrd",
        lambda: nrrd(np.stack([VALUES] * 3).astype("u1"), first="none ",
                     kinds="RGB-color domain domain domain"),
        "holds colour, complex or vector voxels",
    ),
    "displacements": (
        "a.nrrd",
        lambda: nrrd(np.stack([VALUES] * 3).astype("f4"), first="none ",
                     kinds="vector domain domain domain"),
        "holds colour, complex or vector voxels",
    ),
    "cut": ("a.mha", lambda: meta()[:-50], "cannot be read"),
    "promises": (
        "a.nrrd", lambda: nrrd().replace(b"sizes: 6 5 4", b"sizes: 60000 50000 400"), "promises"
    ),
    "rubbish": ("a.mha", lambda: b"nothing of the kind", "its header cannot be read"),
    "empty": ("a.nrrd", lambda: b"", "the file is empty"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_faults_are_told_in_one_line(
    tmp_path: Path, weights: Path, capsys: Out, fault: str
) -> None:
    name, content, words = REFUSED[fault]
    path = put(tmp_path / name, content())
    assert enhance(path, "--weights", weights) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and words in err and "; " in err
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_formats_that_would_invent_a_header_are_refused(
    tmp_path: Path, weights: Path, capsys: Out
) -> None:
    nib.Nifti1Image(VALUES, RAS).to_filename(tmp_path / "a.nii.gz")
    assert enhance(tmp_path / "a.nii.gz", "-o", tmp_path / "x.nrrd", "--weights", weights) == 1
    assert "cannot keep its header; name a .nii.gz file" in capsys.readouterr().err
    for name in ("x.img", "x.mhd"):
        assert enhance(tmp_path / "a.nii.gz", "-o", tmp_path / name, "--weights", weights) == 2
        assert "is of a kind that cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    good = nrrd() if suffix == "nrrd" else meta()
    path = tmp_path_factory.mktemp("bad") / f"a.{suffix}"
    path.write_bytes(data.draw(damaged(good, header=400)))
    try:
        volume = read(path).volume()
        assert volume.dtype == np.float32 and volume.ndim == 3 and volume.size < 1e6
    except ScanError as error:
        assert str(error).count("\n") == 0


# two files: NIfTI pairs and Analyze


def test_a_nifti_pair_is_read_and_becomes_one_file(tmp_path: Path, weights: Path) -> None:
    image = nib.Nifti1Pair(VALUES, RAS)
    image.header.set_slope_inter(0.5, 10)
    image.header["descrip"] = b"a pair"
    image.set_sform(RAS, 4)
    nib.save(image, tmp_path / "a.img")
    values = VALUES * 0.5 + 10
    for name in ("a.hdr", "a.img"):
        scan = read(tmp_path / name)
        np.testing.assert_array_equal(
            scan.volume(), np.float32(nib.load(tmp_path / "a.img").dataobj)
        )
        np.testing.assert_allclose(scan.image.affine, RAS, atol=1e-6)
    assert enhance(tmp_path, "--weights", weights, "--sigma", 0) == 0
    made: Any = nib.load(tmp_path / "a_enhanced.nii.gz")
    np.testing.assert_allclose(
        np.asarray(made.dataobj), np.asarray(nib.load(tmp_path / "a.img").dataobj)
    )
    assert values.shape == made.shape and int(made.header["sform_code"]) == 4
    assert bytes(made.header["descrip"].item()).startswith(b"a pair; diff-medical")
    assert enhance(tmp_path / "a.img", "--overwrite", "--weights", weights, "--sigma", 0) == 0


def analyze(values: np.ndarray, order: str) -> bytes:
    """The header of Analyze 7.5, by its description (Mayo Clinic)."""
    header = bytearray(348)
    struct.pack_into(f"{order}i", header, 0, 348)
    header[38] = ord("r")
    struct.pack_into(f"{order}8h", header, 40, 3, *values.shape, 1, 1, 1, 1)
    struct.pack_into(f"{order}2h", header, 70, 4, 16)  # signed short
    struct.pack_into(f"{order}8f", header, 76, 0, 0.8, 1.2, 3.0, 0, 0, 0, 0)
    return bytes(header)


@pytest.mark.parametrize("order", ["<", ">"])
def test_analyze_is_read_without_an_orientation(
    tmp_path: Path, weights: Path, capsys: Out, order: str
) -> None:
    put(tmp_path / "a.hdr", analyze(VALUES, order))
    put(tmp_path / "a.img", VALUES.astype(f"{order}i2").tobytes(order="F"))
    scan = read(tmp_path / "a.hdr")
    np.testing.assert_array_equal(scan.volume(), VALUES)
    np.testing.assert_allclose(scan.spacing, (0.8, 1.2, 3.0), atol=1e-6)
    assert not scan.is_oriented
    assert enhance(tmp_path / "a.hdr", "--weights", weights, "--sigma", 0) == 0
    assert "neither qform nor sform is set: orientation unknown" in capsys.readouterr().err
    made: Any = nib.load(tmp_path / "a_enhanced.nii.gz")
    np.testing.assert_array_equal(np.asarray(made.dataobj), VALUES)
    assert (int(made.header["sform_code"]), int(made.header["qform_code"])) == (0, 0)


def test_half_of_a_pair(tmp_path: Path, weights: Path, capsys: Out) -> None:
    put(tmp_path / "a.hdr", analyze(VALUES, "<"))
    assert enhance(tmp_path / "a.hdr", "--weights", weights) == 1
    assert "lacks its other file, a.img; copy it too" in capsys.readouterr().err
    put(tmp_path / "a.img", VALUES.tobytes()[:-4])
    assert enhance(tmp_path / "a.hdr", "--weights", weights) == 1
    assert "is cut short" in capsys.readouterr().err
    (tmp_path / "a.img").unlink()  # in a folder a header alone is no scan
    nib.Nifti1Image(VALUES, RAS).to_filename(tmp_path / "b.nii.gz")
    assert enhance(tmp_path, "--weights", weights, "--sigma", 0) == 0


def test_the_marks_of_a_pair_and_of_a_nrrd(tmp_path: Path, weights: Path) -> None:
    image = nib.Nifti1Pair(VALUES, RAS)
    image.header["descrip"] = b"SYNTHETIC diff-medical 0.1.0 model 0123456789abcdef seed 12"
    nib.save(image, tmp_path / "a.hdr")
    told = tell(tmp_path / "a.hdr")
    assert told.synthetic and told.mark is not None and told.mark.seed == 12
    put(tmp_path / "b.nrrd", nrrd())
    (tmp_path / "b.json").write_text('{"Synthetic": true}')
    assert enhance(tmp_path / "b.nrrd", "--weights", weights, "--sigma", 0) == 0
    assert json.loads((tmp_path / "b_enhanced.json").read_text())["Synthetic"] is True
