"""DICOM files that hold several images: mosaics of Siemens and enhanced objects, in and out."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from dicom_forms import write_enhanced, write_mosaics
from diff_medical.data.reading import load_scan
from diff_medical.enhance import main
from diff_medical.scan.dicom.series import open_folder, read_series
from diff_medical.scan.open import open_scan

with warnings.catch_warnings():  # nibabel calls its readers experimental
    warnings.simplefilter("ignore")
    from nibabel.nicom.dicomwrappers import wrapper_from_file

Make = Callable[..., np.ndarray]
TO_RAS = np.diag([-1.0, -1, 1, 1])


def whole(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).integers(1, 4000, shape)


def world(values: np.ndarray, affine: np.ndarray) -> dict[tuple[float, ...], float]:
    """What is where: value by place, mm."""
    grid = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1).reshape(-1, 3)
    places = np.round(nib.affines.apply_affine(affine, grid), 2) + 0.0
    return dict(zip(map(tuple, places.tolist()), values.ravel().tolist(), strict=True))


def enhance(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.mark.parametrize("downwards", [False, True])
@pytest.mark.parametrize("slices", [3, 4, 7])
def test_a_mosaic_is_a_volume_where_nibabel_puts_it(
    tmp_path: Path, slices: int, downwards: bool
) -> None:
    values = whole((8, 6, slices, 1))
    affine = write_mosaics(tmp_path / "m", values, downwards=downwards)
    stack = open_folder(tmp_path / "m")
    assert stack.shape == (8, 6, slices)
    turned = values[:, :, ::-1] if downwards else values
    np.testing.assert_array_equal(stack.values(), turned[..., 0])
    if downwards:  # the same places from the other end
        affine = affine @ np.array(
            [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, slices - 1], [0, 0, 0, 1]]
        )
    np.testing.assert_allclose(stack.affine, affine, atol=1e-4)
    other: Any = wrapper_from_file(tmp_path / "m" / "000.ima")
    assert other.is_mosaic
    assert world(np.asarray(other.get_data()), TO_RAS @ other.affine) == world(
        stack.values(), stack.affine
    )


def test_mosaics_of_a_series_are_its_volumes_and_come_back_as_mosaics(
    tmp_path: Path, weights: Path
) -> None:
    values = whole((8, 6, 5, 3))
    affine = write_mosaics(tmp_path / "m", values)
    scan = open_scan(tmp_path / "m")
    assert (scan.shape, scan.volumes) == ((8, 6, 5, 3), 3)
    assert scan.image.header.get_zooms()[3] == 2.5
    np.testing.assert_array_equal(scan.volume(2), values[..., 2])
    assert enhance(tmp_path / "m", "--weights", weights, "--sigma", 0) == 0
    old = [pydicom.dcmread(path) for path in sorted((tmp_path / "m").iterdir())][::-1]
    new = [pydicom.dcmread(path) for path in sorted((tmp_path / "m_enhanced").iterdir())]
    for one, source in zip(new, old, strict=True):
        np.testing.assert_array_equal(one.pixel_array, source.pixel_array)
        assert one.SOPInstanceUID != source.SOPInstanceUID
        assert list(one.ImageType) == [
            "DERIVED", "SECONDARY", "DIFFUSION", "NONE", "ND", "MOSAIC"
        ]  # fmt: skip
        # the b value and the number of slices stand in private elements
        assert one[0x0019, 0x100C].value == source[0x0019, 0x100C].value
        assert one[0x0029, 0x1010].value == source[0x0029, 0x1010].value
    again = open_folder(tmp_path / "m_enhanced")
    np.testing.assert_array_equal(again.values(), values)
    np.testing.assert_allclose(again.affine, affine, atol=1e-4)
    assert enhance(tmp_path / "m", "-o", tmp_path / "x.nii.gz", "--weights", weights,
                   "--sigma", 0) == 0  # fmt: skip
    image: Any = nib.load(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), values)
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)


def test_noise_in_a_mosaic_is_removed_slice_by_slice(
    make_head: Make, tmp_path: Path, weights: Path
) -> None:
    """As the same volume in NIfTI: no tile sees its neighbours in the picture."""
    clean = make_head((32, 28, 5))
    noisy = np.clip(
        np.rint(clean + 30 * np.random.default_rng(0).normal(size=clean.shape)), 0, 4000
    )
    affine = write_mosaics(tmp_path / "m", noisy[..., None].astype(int))
    image = nib.Nifti1Image(noisy.astype(np.uint16), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(tmp_path / "v.nii")
    common = ("--weights", weights, "--sigma", 30, "--modality", "mr", "--noise", "gaussian")
    for source, target in (("m", "a.nii"), ("v.nii", "b.nii")):
        assert enhance(tmp_path / source, "-o", tmp_path / target, *common) == 0
    a, b = (np.asarray(nib.load(tmp_path / name).dataobj) for name in ("a.nii", "b.nii"))
    np.testing.assert_array_equal(a, b)
    assert (a != noisy).mean() > 0.1


def test_a_mosaic_without_its_private_tags(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mosaics(tmp_path / "m", whole((8, 6, 4, 1)), csa=False, count=False)
    assert enhance(tmp_path / "m", "--weights", weights) == 1
    assert "is a Siemens mosaic whose private tags, which say how many slices" in (
        capsys.readouterr().err
    )
    write_mosaics(tmp_path / "n", whole((8, 6, 4, 1)), csa=False)
    assert open_folder(tmp_path / "n").shape == (8, 6, 4)
    assert "do not say in which direction their slices go" in open_scan(tmp_path / "n").notes[0]


def test_an_enhanced_object_is_a_volume_where_nibabel_puts_it(tmp_path: Path) -> None:
    values = whole((8, 6, 5, 1))
    affine = write_enhanced(tmp_path / "e" / "one.dcm", values, slope=2.5)
    stack = open_folder(tmp_path / "e")
    assert stack.shape == (8, 6, 5)
    np.testing.assert_array_equal(stack.values(), values[..., 0] * 2.5)
    np.testing.assert_allclose(stack.affine, affine, atol=1e-4)
    other: Any = wrapper_from_file(tmp_path / "e" / "one.dcm")
    seen = np.asarray(other.get_unscaled_data()) * 2.5
    assert world(seen, TO_RAS @ other.affine) == world(stack.values(), stack.affine)
    values3, affine3, _ = read_series(tmp_path / "e" / "one.dcm")
    np.testing.assert_array_equal(values3, stack.values())
    np.testing.assert_array_equal(affine3, stack.affine)


@pytest.mark.parametrize("mixed", [False, True])
def test_enhanced_objects_come_back_as_such(tmp_path: Path, weights: Path, mixed: bool) -> None:
    values = whole((8, 6, 4, 2))
    order = [1, 0, 3, 2, 4, 5, 7, 6] if mixed else None
    path = tmp_path / "e" / "one.dcm"
    affine = write_enhanced(path, values, echoes=(4.6, 9.2), order=order)
    np.testing.assert_array_equal(open_folder(path.parent).values(), values)
    assert enhance(tmp_path / "e", "--weights", weights, "--sigma", 0) == 0
    (new,) = [pydicom.dcmread(p) for p in (tmp_path / "e_enhanced").iterdir()]
    source = pydicom.dcmread(path)
    np.testing.assert_array_equal(new.pixel_array, source.pixel_array)
    assert new.NumberOfFrames == 8
    assert new.SOPClassUID == source.SOPClassUID
    assert new.SOPInstanceUID != source.SOPInstanceUID
    assert list(new.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    shared = new.SharedFunctionalGroupsSequence[0]
    assert list(shared.MRImageFrameTypeSequence[0].FrameType) == list(new.ImageType)
    derived = shared.DerivationImageSequence[0]
    assert derived.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "SourceImageSequence" not in new
    evidence = new.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == source.SeriesInstanceUID
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    np.testing.assert_array_equal(open_folder(tmp_path / "e_enhanced").values(), values)
    np.testing.assert_allclose(open_folder(tmp_path / "e_enhanced").affine, affine, atol=1e-4)


def test_enhanced_objects_of_a_series_are_its_volumes_in_time(tmp_path: Path) -> None:
    """As Siemens XA exports a series: an object for each volume, all of one number."""
    values = whole((8, 6, 4, 3))
    for name, v, order in (("c", 0, None), ("b", 1, [3, 2, 1, 0]), ("a", 2, None)):
        write_enhanced(
            tmp_path / "e" / f"{name}.dcm", values[..., v : v + 1], order=order,
            instance=f".{v}", AcquisitionDateTime=f"2025010112000{v}",
        )  # fmt: skip
    stack = open_folder(tmp_path / "e")
    np.testing.assert_array_equal(stack.values(), values)
    loaded = load_scan(tmp_path / "e" / "a.dcm", volume=1)
    np.testing.assert_array_equal(loaded.values, values[..., 1])
    assert loaded.volumes == 3


def drop(one: Any) -> None:
    """The last frame goes: one echo of the last slice."""
    one.NumberOfFrames = 7
    del one.PerFrameFunctionalGroupsSequence[-1]
    one.PixelData = one.PixelData[: 7 * 8 * 6 * 2]


def lie(one: Any) -> None:
    one.NumberOfFrames = 9


def unplaced(one: Any) -> None:
    del one.PerFrameFunctionalGroupsSequence


def unlike(one: Any) -> None:
    one.PerFrameFunctionalGroupsSequence[3].MREchoSequence[0].EffectiveEchoTime = 77.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, "holds 1 to 2 images at a place"),
        (lie, "it promises 9 frames and describes 8"),
        (unplaced, "holds several frames in one file without the place of each"),
        (unlike, "holds unlike images (echoes, b values, times)"),
    ],
)
def test_enhanced_objects_that_are_no_volumes_are_refused(
    tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    path = tmp_path / "e" / "one.dcm"
    write_enhanced(path, whole((8, 6, 4, 2)), echoes=(4.6, 9.2))
    one = pydicom.dcmread(path)
    change(one)
    one.save_as(path)
    with pytest.raises(ValueError) as raised:
        open_scan(path.parent)
    assert words in str(raised.value)
