"""Files that are no magnitude images: refused by what they say, left alone by what they hold."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diff_medical.data.studies import find_study
from diff_medical.enhance import main
from diff_medical.scan.intensity import recognise
from diff_medical.scan.patterns import LABELS, PHASE, not_intensities

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
SHAPE = (40, 36, 12)


def noisy(make_head: Make) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (make_head(SHAPE) + 500 + 50 * rng.standard_normal(SHAPE)).astype(np.float32)


def phase(seed: int = 0) -> np.ndarray:
    """A ramp of phase with wraps and noise, in radians."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    noise = 0.3 * np.random.default_rng(seed).standard_normal(SHAPE)
    return np.angle(np.exp(1j * (9 * x + 4 * y + noise)))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("sub-01_phasediff.nii.gz", "suffix 'phasediff'"),
        ("sub-01_fieldmap.nii.gz", "suffix 'fieldmap'"),
        ("sub-01_part-phase_bold.nii.gz", "part-phase"),
        ("sub-01_part-imag_T2starw.nii.gz", "part-imag"),
        ("sub-01_desc-brain_mask.nii.gz", "suffix 'mask'"),
        ("sub-01_dseg.nii.gz", "suffix 'dseg'"),
        ("sub-01_stat-z_statmap.nii.gz", "suffix 'statmap'"),
        ("sub-01_T1map.nii.gz", "suffix 'T1map'"),
        ("sub-01_from-T1w_to-MNI_xfm.nii.gz", "suffix 'xfm'"),
    ],
)
def test_a_bids_name_that_is_no_magnitude_image_is_refused(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture, name: str, word: str
) -> None:
    scan = write_scan(noisy(make_head), name)
    assert main([str(scan), "--weights", str(weights), "--sigma", "50"]) == 1
    said = capsys.readouterr().err
    assert word in said
    assert "make this again from enhanced magnitude images" in said
    assert list(scan.parent.iterdir()) == [scan]


@pytest.mark.parametrize("code", [5, 1002, 1005, 1006, 1007])
def test_an_intent_code_is_read(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture, code: int
) -> None:
    scan = write_scan(noisy(make_head))
    image = nib.load(scan)
    image.header["intent_code"] = code
    image.to_filename(scan)
    for option in (["--sigma", "50"], ["--upsample", "2"]):
        assert main([str(scan), "--weights", str(weights), *option]) == 1
        assert f"by its intent code {code}" in capsys.readouterr().err


def test_the_image_type_of_a_sidecar_is_read(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    scan = write_scan(noisy(make_head), "gre.nii.gz")
    side = scan.with_name("gre.json")
    side.write_text(json.dumps({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}))
    assert main([str(scan), "--weights", str(weights), "--sigma", "50"]) == 1
    assert "is phase, by 'P' in its sidecar" in capsys.readouterr().err
    side.write_text(json.dumps({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}))
    assert main([str(scan), "--weights", str(weights), "--sigma", "50"]) == 0


@pytest.mark.parametrize(
    "scaled",
    [
        phase(),
        phase() + np.pi,
        np.rint(1000 * phase()),
        np.rint(4096 / np.pi * phase()),
        np.clip(np.rint(2048 / np.pi * phase()) + 2048, 0, 4095),
    ],
    ids=["radians", "radians from 0", "milliradians", "13 bits", "12 bits from 0"],
)
def test_phase_is_left_alone_and_the_way_on_is_named(
    write_scan: Write, weights: Path, capsys: Capture, scaled: np.ndarray
) -> None:
    scan = write_scan(scaled.astype(np.float32))
    before = np.asarray(nib.load(scan).dataobj)
    assert main([str(scan), "--weights", str(weights), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["unchanged"] == PHASE
    assert said["modality"] == "mr"
    assert any("--modality mr" in note for note in said["notes"])
    np.testing.assert_array_equal(np.asarray(nib.load(said["output"]).dataobj), before)


def test_phase_among_magnitudes_is_left_alone(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    stack = np.stack([noisy(make_head), phase() * 1000, noisy(make_head) * 0.8], -1)
    scan = write_scan(stack.astype(np.float32))
    assert main([str(scan), "--weights", str(weights), "--sigma", "50", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [volume["unchanged"] for volume in said["series"]] == ["", PHASE, ""]
    after = np.asarray(nib.load(said["output"]).dataobj)
    np.testing.assert_array_equal(after[..., 1], stack[..., 1].astype(np.float32))
    assert (after[..., 0] != stack[..., 0]).mean() > 0.9


def test_labels_are_left_alone_and_never_interpolated(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    labels = np.where(make_head(SHAPE) > 0, 40, 0) + np.where(make_head(SHAPE) > 450, 13, 0)
    scan = write_scan(labels.astype(np.uint8), affine=np.diag([1.0, 1, 4, 1]))
    assert main([str(scan), "--weights", str(weights), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["unchanged"] == LABELS
    for option in (["--upsample", "2"], ["--spacing", "1", "1", "2"]):
        assert main([str(scan), "--weights", str(weights), *option]) == 1
        assert "resample it by nearest voxels" in capsys.readouterr().err
    hole = write_scan((labels == 53).astype(np.uint8), "hole.nii.gz",
                      affine=np.diag([1.0, 1, 4, 1]))  # fmt: skip
    assert main([str(scan), "--weights", str(weights), "--inpaint", str(hole)]) == 1


def test_magnitudes_are_neither_phase_nor_labels(make_head: Make) -> None:
    volume = noisy(make_head)
    assert not_intensities(volume) == ""
    assert not_intensities(np.rint(volume / 5)) == ""
    assert not_intensities(volume - volume.mean()) == ""  # a difference
    assert not_intensities(np.clip(np.rint(volume * 5), 0, 4095)) == ""  # saturated
    coarse = np.rint(np.random.default_rng(0).standard_normal(SHAPE) + volume / 100)
    assert not_intensities(coarse) == ""


def test_ct_is_known_by_air_alone(make_head: Make) -> None:
    rng = np.random.default_rng(0)
    head = make_head(SHAPE)
    body = np.where(head > 0, 40.0, -1000.0) + 25 * rng.standard_normal(SHAPE)
    assert recognise(body) == "ct"
    padded = body.copy()
    padded[:8] = -3024
    assert recognise(padded) == "ct"
    assert recognise(np.maximum(body, -1024)) == "ct"
    lungs = np.where(head > 450, -850.0, body)
    assert recognise(lungs) == "ct"
    for other in (
        phase() * 4096 / np.pi,
        phase() * 1500 / np.pi,  # velocity, mm/s
        400 * rng.standard_normal(SHAPE),  # a field map, Hz
        200 + 500 * rng.standard_normal(SHAPE),  # perfusion differences
        head - 2000,
    ):
        assert recognise(other) == "mr"


def test_training_leaves_out_phase(make_head: Make, tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "func"
    folder.mkdir(parents=True)
    for name in ("sub-01_task-rest_bold", "sub-01_task-rest_part-phase_bold"):
        image = nib.Nifti1Image(noisy(make_head), np.eye(4))
        image.to_filename(folder / f"{name}.nii.gz")
    study = find_study(tmp_path)
    assert [row.path.name for row in study.rows] == ["sub-01_task-rest_bold.nii.gz"]
    assert "part-phase" in study.left_out[0][1]
