"""Finding and reading scans: BIDS trees, DICOM series, 4-D files, faults."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import edit, write_series
from diff_medical.data.reading import Reading, load_scan, read_scan
from diff_medical.data.studies import CorpusError, Row, find_scans, find_study
from diff_medical.data.volumes import build_corpus
from diff_medical.scan.dicom.series import read_series

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]


def body(shape: tuple[int, int, int] = (20, 24, 6)) -> np.ndarray:
    """Even HU from -1000 to 2000, different in every voxel of a row and of a column."""
    x, y, z = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return (2.0 * (x + 30 * y + 7 * z) - 1000).astype(np.float32)


def test_dicom_slices_are_ordered_by_place_with_their_geometry(tmp_path: Path) -> None:
    values = body()
    folder = write_series(tmp_path / "s", values)
    first = sorted(folder.iterdir())[0]
    read, affine, notes = read_series(first)
    np.testing.assert_array_equal(read, values[:, :, ::-1])  # by height, not by file name
    assert notes == ()
    # LPS to RAS: x and y change their sign
    expected = np.array(
        [[-0.8, 0, 0, 10], [0, -0.9, 0, 20], [0, 0, 2.5, 100 - 2.5 * 5], [0, 0, 0, 1]]
    )
    np.testing.assert_allclose(affine, expected)
    loaded = load_scan(first)
    assert loaded.orientation == "LPS"
    assert loaded.spacing == pytest.approx((0.8, 0.9, 2.5))
    upright = load_scan(first, reading=Reading(orientation="RAS"))
    np.testing.assert_array_equal(upright.values, values[::-1, ::-1, ::-1])


def test_dicom_trees_are_found_and_patients_are_not_named(tmp_path: Path) -> None:
    write_series(tmp_path / "a", body(), uid="1.1")
    write_series(tmp_path / "a", body(), uid="1.2", PatientID="secret-18")
    write_series(tmp_path / "b", body(), uid="1.3", Modality="PT")
    (tmp_path / "b" / "notes.txt").write_text("no scan")
    (tmp_path / "c.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"rubbish")
    study = find_study(tmp_path)
    assert study.layout == "DICOM"
    assert len(study.rows) == 2
    assert {row.split for row in study.rows} == {"train", "val"}  # a patient each
    assert {row.modality for row in study.rows} == {"ct"}
    assert {row.contrast for row in study.rows} == {"thorax"}
    assert "secret" not in str(study)
    assert len(study.left_out) == 7
    volumes = build_corpus(study.rows, tmp_path / "cache")
    assert volumes[0].spacing == pytest.approx((0.8, 0.9, 2.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[2].unlink(), "slices are 2.50 to 5.00 mm apart: some are missing"),
        (lambda s: edit(s[1], PixelSpacing=[1, 1]), "differ in size, spacing or direction"),
        (lambda s: edit(s[1], NumberOfFrames=3), "several frames in one file"),
        (lambda s: edit(s[1], PixelData=b"\0" * 10), "pixels cannot be decoded"),
    ],
)
def test_broken_series_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    files = sorted(write_series(tmp_path, body()).iterdir())
    change(files)
    with pytest.raises(ValueError, match=message):
        load_scan(files[0])


def test_repeated_slices_are_said_to_be(tmp_path: Path) -> None:
    write_series(tmp_path, body())
    for path in sorted(tmp_path.iterdir()):
        one = pydicom.dcmread(path)
        one.InstanceNumber += 100  # a second echo at the same place
        one.PixelData = b"\1" * len(one.PixelData)
        one.save_as(path.with_name(f"echo-{path.name}"))
    loaded = load_scan(min(tmp_path.iterdir()))
    assert loaded.notes == ("12 slices at 6 places: the first at each is used",)
    np.testing.assert_array_equal(loaded.values, body()[:, :, ::-1])


def bids(folder: Path, write_scan: Write, make_head: Make, subjects: int = 4) -> Path:
    for s in range(subjects):
        base = f"{folder.name}/sub-{s:02d}/ses-1"
        write_scan(make_head((20, 20, 20), seed=s), f"{base}/anat/sub-{s:02d}_ses-1_T1w.nii.gz")
    write_scan(
        np.ones((4, 4, 4)), f"{folder.name}/sub-00/ses-1/anat/sub-00_desc-brain_mask.nii.gz"
    )
    copy = f"{folder.name}/derivatives/x/sub-01_T1w.nii.gz"
    write_scan(make_head((20, 20, 20)), copy)
    write_scan(make_head((20, 20, 20)), f"{folder.name}/template.nii.gz")
    return folder


def test_bids_subjects_contrasts_and_what_is_no_scan(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    folder = bids(tmp_path / "bids", write_scan, make_head)
    write_scan(make_head((20, 20, 20)), "bids/sub-00/ses-2/anat/sub-00_ses-2_FLAIR.nii.gz")
    study = find_study(folder)
    assert study.layout == "BIDS"
    assert [(r.subject, r.contrast, r.modality) for r in study.rows] == [
        ("sub-00", "T1w", "mr"),
        ("sub-00", "FLAIR", "mr"),
        *((f"sub-{s:02d}", "T1w", "mr") for s in (1, 2, 3)),
    ]
    splits = {row.subject: row.split for row in study.rows}
    assert sorted(splits.values()) == ["train", "train", "train", "val"]
    assert {(r.subject, r.split) for r in study.rows} == set(splits.items())
    reasons = {path.name: why for path, why in study.left_out}
    assert "suffix 'mask'" in reasons["sub-00_desc-brain_mask.nii.gz"]
    assert "derivative" in reasons["sub-01_T1w.nii.gz"]
    assert "no BIDS name" in reasons["template.nii.gz"]
    assert find_study(folder) == study


def test_a_subject_in_two_splits_is_refused_by_name(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    bids(tmp_path / "bids", write_scan, make_head)
    write_scan(make_head((20, 20, 20)), "bids/val/sub-02_T2w.nii.gz")
    with pytest.raises(ValueError, match="subject sub-02 is in the splits train and val"):
        find_scans(tmp_path / "bids")
    manifest = tmp_path / "list.jsonl"
    lines = [{"file": f"bids/{s}.nii", "split": s, "subject": "anna"} for s in ("train", "val")]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ValueError, match="subject anna is in"):
        find_scans(tmp_path, manifest)


def test_a_volume_of_a_series_is_never_taken_silently(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    series = np.stack([make_head((28, 28, 28), seed=s) for s in range(3)], -1)
    path = write_scan(series, "data/bold.nii.gz")
    loaded = load_scan(path, 2)
    assert loaded.volumes == 3
    np.testing.assert_array_equal(loaded.values, series[..., 2])
    np.testing.assert_array_equal(read_scan(path)[0], series[..., 0])
    with pytest.raises(ValueError, match="has 3 volumes, but volume 3 is asked for"):
        load_scan(path, 3)
    lines: list[str] = []
    rows = [Row(path, "train", volume=v) for v in (0, 1)]
    volumes = build_corpus(rows, tmp_path / "cache", warn=lines.append)
    assert len({v.name for v in volumes}) == len(volumes) == 2
    assert lines == [
        f"{path}: is a series of 3 volumes, of which number {v} is used" for v in (0, 1)
    ]


def test_missing_values_are_refused_or_set_to_zero_as_asked(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    holes = make_head((28, 28, 28))
    holes[:2] = np.nan
    path = write_scan(holes, "a.nii.gz")
    with pytest.raises(ValueError, match="holds NaN or infinity in 1568 of 21952 voxels"):
        load_scan(path)
    loaded = load_scan(path, reading=Reading(missing="zero"))
    assert not loaded.values[:2].any() and np.isfinite(loaded.values).all()
    assert "are now 0" in loaded.notes[0]
    with pytest.raises(ValueError, match="missing must be"):
        Reading(missing="mean")  # type: ignore[arg-type]


def test_orientation_is_kept_turned_or_refused(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    head = make_head((20, 24, 28))
    turn = np.array([[0, -2.0, 0, 0], [0, 0, 3.0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])
    path = write_scan(head, "turned.nii.gz", affine=turn)  # to the head, to the left, to the front
    stored = load_scan(path)
    assert (stored.orientation, stored.spacing) == ("SLA", (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(stored.values, head)
    upright = load_scan(path, reading=Reading(orientation="RAS"))
    assert (upright.orientation, upright.spacing) == ("RAS", (2.0, 3.0, 1.0))
    np.testing.assert_array_equal(upright.values, head.transpose(1, 2, 0)[::-1])

    import nibabel as nib

    nib.Nifti1Image(head, None).to_filename(tmp_path / "unknown.nii")
    unknown = load_scan(tmp_path / "unknown.nii")
    assert unknown.orientation == "???" and "orientation unknown" in unknown.notes[0]
    with pytest.raises(ValueError, match="has no orientation"):
        load_scan(tmp_path / "unknown.nii", reading=Reading(orientation="RAS"))


def test_outliers_are_cut_and_said(tmp_path: Path, write_scan: Write, make_head: Make) -> None:
    head = make_head((28, 28, 28))
    head[14, 14, 14] = 1e9
    write_scan(head, "data/hot.nii.gz")
    lines: list[str] = []
    volumes = build_corpus(find_scans(tmp_path / "data"), tmp_path / "cache", warn=lines.append)
    assert "1 voxels are beyond 64 times the bright level" in lines[0]
    assert np.isfinite(volumes[0].array).all() and volumes[0].array.max() == 64
    assert 0.5 < np.quantile(volumes[0].array, 0.99) < 1.5  # one voxel does not set the scale


def test_skipped_scans_are_counted_and_strict_stops(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    good = write_scan(make_head((28, 28, 28)), "data/good.nii.gz")
    (tmp_path / "data" / "bad.nii.gz").write_bytes(good.read_bytes()[:500])
    gone = Row(tmp_path / "data" / "gone.nii.gz", "train")
    rows = [*find_scans(tmp_path / "data"), gone]
    lines: list[str] = []
    assert len(build_corpus(rows, tmp_path / "cache", warn=lines.append)) == 1
    assert lines[-1] == "2 of 3 scans were skipped"
    assert any("gone.nii.gz: no such file" in line for line in lines)
    with pytest.raises(CorpusError, match=r"bad\.nii\.gz: the gzip stream is cut short|bad\.nii"):
        build_corpus(rows, tmp_path / "cache", warn=lines.append, strict=True)


def test_a_cache_that_lost_a_file_is_made_again(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    write_scan(make_head((28, 28, 28)), "data/a.nii.gz")
    rows = find_scans(tmp_path / "data")
    before = np.array(build_corpus(rows, tmp_path / "cache")[0].array)
    next((tmp_path / "cache").glob("*-1.npy")).unlink()
    np.testing.assert_array_equal(build_corpus(rows, tmp_path / "cache")[0].array, before)
