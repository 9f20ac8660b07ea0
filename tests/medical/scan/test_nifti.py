"""What is written has the header of what was read, bit for bit, but for what must change."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diff_medical.scan.nifti import Voxels, read, write
from diff_medical.scan.refusal import ScanError

DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8")
MAY_CHANGE = {"descrip", "vox_offset", "scl_slope", "scl_inter", "datatype", "bitpix"}

signs = st.sampled_from([-1.0, 1.0])
sizes = st.floats(0.2, 9.0)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Any order and direction of axes, a small rotation, any voxel size and origin."""
    order = draw(st.permutations(range(3)))
    angle = draw(st.floats(-0.3, 0.3))
    linear = np.eye(3)[list(order)] @ np.diag([draw(signs) for _ in range(3)])
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ linear @ np.diag([draw(sizes) for _ in range(3)])
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    return affine


@st.composite
def images(draw: st.DrawFn) -> tuple[nib.Nifti1Image, str]:
    """An image with a header full of things, and a file name for it."""
    kind = draw(st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
    order = draw(st.sampled_from("<>"))
    code = draw(st.sampled_from(DTYPES))
    dtype = np.dtype(code).newbyteorder(order)
    shape = draw(
        st.sampled_from([(5, 4, 3), (6, 5), (6, 5, 1), (4, 3, 2, 3), (1, 5, 6), (3, 3, 2, 1, 2)])
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    voxels = rng.uniform(0, 120, shape).astype(dtype)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    image = kind(voxels, None, header)
    header = image.header
    forms = draw(st.sampled_from([(0, 1), (1, 0), (1, 1), (2, 4), (3, 2), (0, 0)]))
    if forms[0]:
        header.set_qform(draw(affines()), code=forms[0])
    if forms[1]:
        header.set_sform(draw(affines()), code=forms[1])
    header.set_xyzt_units(
        draw(st.sampled_from(["unknown", "mm", "micron", "meter"])),
        draw(st.sampled_from(["unknown", "sec", "msec"])),
    )
    header["descrip"] = draw(st.sampled_from([b"", b"scanner 7, series 3", b"x" * 79]))
    header["intent_name"] = b"something"
    header["cal_max"] = draw(st.floats(0, 200, width=32))
    header["toffset"] = 2.5
    header["aux_file"] = b"table"
    if draw(st.booleans()):
        header.set_slope_inter(
            draw(st.sampled_from([1.0, 0.5, 0.0625, 3.7, -2.0])),
            draw(st.sampled_from([0, -1024, 0.3])),
        )
    for text in draw(st.lists(st.sampled_from([b"first", b"<xml>second</xml>"]), max_size=2)):
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", text))
    return image, draw(st.sampled_from(["a.nii", "a.nii.gz"]))


def raw_header(path: Path) -> dict[str, bytes]:
    """Every field of the header as it stands in the file."""
    opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
    with opened as file:
        head = file.read(540)
    kind = (
        nib.Nifti2Header if 540 in (head[0], head[3]) or head[4:7] == b"n+2" else nib.Nifti1Header
    )
    header = kind(head[:348] if kind is nib.Nifti1Header else head, check=False)
    return {name: header[name].tobytes() for name in header}


@given(images())
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_header_and_voxels_survive(tmp_path: Path, made: tuple[nib.Nifti1Image, str]) -> None:
    image, name = made
    source, target = tmp_path / name, tmp_path / f"out_{name}"
    image.to_filename(source)
    scan = read(source)
    voxels = Voxels(scan, scan.dtype)
    for index in range(scan.volumes):
        voxels.put(index, scan.volume(index))
    write(target, voxels, note="made by a test")

    before, after = nib.load(source), nib.load(target)
    assert type(before) is type(after)
    changed = {k for k, v in raw_header(source).items() if raw_header(target)[k] != v}
    assert changed <= {"descrip", "scl_slope", "scl_inter"}
    assert after.dataobj.slope == before.dataobj.slope
    assert after.dataobj.inter == before.dataobj.inter
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.header.extensions == before.header.extensions
    old, new = before.header["descrip"].item(), after.header["descrip"].item()
    assert new == {b"": b"made by a test"}.get(
        old, old if len(old) > 60 else old + b"; made by a test"
    )
    # rounding float32 values back must give the integers that they came from
    tolerance = 0 if scan.dtype.kind in "iu" else 1e-3  # float32 beside an intercept of -1024
    np.testing.assert_allclose(
        after.dataobj.get_unscaled(), before.dataobj.get_unscaled(), rtol=tolerance, atol=tolerance
    )


@given(images())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_as_float32_keep_the_rest_of_the_header(
    tmp_path: Path, made: tuple[nib.Nifti1Image, str]
) -> None:
    image, name = made
    source, target = tmp_path / name, tmp_path / f"out_{name}"
    image.to_filename(source)
    scan = read(source)
    voxels = Voxels(scan, np.dtype(np.float32))
    for index in range(scan.volumes):
        voxels.put(index, scan.volume(index))
    write(target, voxels)
    changed = {k for k, v in raw_header(source).items() if raw_header(target)[k] != v}
    assert changed <= MAY_CHANGE
    after = nib.load(target)
    np.testing.assert_allclose(
        np.asarray(after.dataobj), np.asarray(nib.load(source).dataobj), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("dtype", "values", "stored"),
    [
        ("u1", [-3.0, 0.4, 0.6, 254.5001, 300.0], [0, 0, 1, 255, 255]),
        ("i2", [-4e4, -1.5001, 2.49, 4e4, 0.0], [-32768, -2, 2, 32767, 0]),
        ("i8", [-1e30, 1e30, 5.0, 0.0, 1.0], [-(2**63), 2**63 - 1024, 5, 0, 1]),
    ],
)
def test_integers_are_rounded_and_kept_in_range(
    tmp_path: Path, dtype: str, values: list[float], stored: list[int]
) -> None:
    path = tmp_path / "a.nii"
    nib.Nifti1Image(np.zeros((5, 2, 1), dtype), np.eye(4), dtype=dtype).to_filename(path)
    voxels = Voxels(read(path), np.dtype(dtype))
    voxels.put(0, np.repeat(np.array(values, np.float32)[:, None, None], 2, axis=1))
    assert voxels.stored[:, 0, 0, 0].tolist() == stored


def test_slope_and_intercept_are_undone_exactly_where_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    raw = np.arange(-3000, 3000, dtype=np.int16).reshape(20, 20, 15)
    image = nib.Nifti1Image(raw, np.eye(4))
    image.header.set_slope_inter(0.1, -17.3)
    image.to_filename(path)
    scan = read(path)
    changed = scan.volume(0)
    changed[0] += 0.26
    voxels = Voxels(scan, scan.dtype)
    voxels.put(0, changed, keep=True)
    np.testing.assert_array_equal(voxels.stored[1:, ..., 0], raw[1:])
    np.testing.assert_array_equal(voxels.stored[0, ..., 0], raw[0] + 3)


def test_which_geometry_is_used_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.float32), None)
    image.header.set_qform(np.diag([2, 2, 2, 1.0]), code=1)
    image.header.set_sform(np.diag([3, 1, 2, 1.0]), code=1)
    image.to_filename(path)
    scan = read(path)
    assert scan.spacing == (3.0, 1.0, 2.0)
    assert scan.notes == ("qform and sform differ, sform is used",)

    image.header["srow_x"] = np.nan
    image.to_filename(path)
    scan = read(path)
    assert scan.spacing == (2.0, 2.0, 2.0)
    assert scan.notes == ("sform is unusable, qform is used",)


def test_scan_without_orientation_is_taken_with_its_voxel_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.float32), None)
    image.header.set_zooms((1.5, 2, 3))
    image.to_filename(path)
    scan = read(path)
    assert scan.spacing == (1.5, 2.0, 3.0)
    assert "orientation unknown" in scan.notes[0]


def test_a_file_that_cannot_hold_what_it_promises_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_filename(path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:48] = np.array([20000, 20000, 200], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(ScanError, match=r"promises 160,000,000,000 bytes"):
        read(path)


def test_failed_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nii"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_filename(path)
    scan = read(path)
    voxels = Voxels(scan, scan.dtype)
    (tmp_path / "out.nii").write_bytes(b"old")
    voxels.stored = np.zeros((4, 4, 9, 1), np.int16)  # does not fit the header
    with pytest.raises(ValueError, match="reshape"):
        write(tmp_path / "out.nii", voxels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii", "out.nii"]
    assert (tmp_path / "out.nii").read_bytes() == b"old"
