"""Synthetic brains through the real command: scans, label maps, marks, and what is refused."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from diff_medical.brain.model import BrainGenerator, BrainSampling
from diff_medical.brain.sampling import Steps
from diff_medical.generate import main
from diff_medical.image_sets.read import find_samples
from diff_medical.marks.told import tell
from diff_medical.scan.dicom.series import open_folder
from tiny_brain import GRID, head, write_brain

Out = pytest.CaptureFixture[str]
NAME = "t1_brain_volume_000004_desc-synthetic"


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_brain(tmp_path_factory.mktemp("brain") / "weights")


def generate(weights: Path, *arguments: object) -> int:
    common = ["--volume", "--weights", str(weights), "--steps", "2", "--device", "cpu"]
    return main([*common, *map(str, arguments)])


def image(path: Path) -> Any:
    return nib.load(path)


def values(path: Path) -> np.ndarray:
    return np.asarray(image(path).dataobj)


def write_map(path: Path, labels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    affine = GRID.in_head(1.05) if affine is None else affine
    nib.Nifti1Image(labels, affine).to_filename(path)
    return path


def test_scans_come_with_their_label_maps(brain: Path, tmp_path: Path, capsys: Out) -> None:
    out = tmp_path / "out"
    assert generate(brain, "-n", 2, "--seed", 4, "--with-labels", "-o", out) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == str(out / f"{NAME}.nii.gz")
    assert "s of processor: anatomy " in lines[2] and ", appearance " in lines[2]
    assert lines[3].startswith("Synthetic: learned from scans of 5 people, 5 of them in t1 brain")
    stems = [f"t1_brain_volume_00000{seed}_desc-synthetic" for seed in (4, 5)]
    expected = [stem + end for stem in stems for end in
                (".json", ".nii.gz", "_dseg.json", "_dseg.nii.gz")]  # fmt: skip
    expected.append("t1_brain_volume_000004-000005_desc-synthetic.png")
    assert sorted(path.name for path in out.iterdir()) == sorted(expected)

    scan, labels = image(out / f"{NAME}.nii.gz"), image(out / f"{NAME}_dseg.nii.gz")
    assert scan.shape == labels.shape == GRID.shape
    assert np.allclose(scan.affine, labels.affine)
    assert nib.orientations.aff2axcodes(scan.affine) == ("R", "A", "S")
    assert labels.get_data_dtype() == np.uint8 and labels.header.get_intent()[0] == "label"
    drawn, grey = np.asarray(labels.dataobj), np.asarray(scan.dataobj)
    assert set(np.unique(drawn)) <= set(range(6))
    assert grey.dtype == np.float32 and not grey[drawn == 0].any()
    sidecar = json.loads((out / f"{NAME}_dseg.json").read_text())
    assert sidecar["Synthetic"] is True and sidecar["Labels"]["3"] == "white matter"
    for path in (out / f"{NAME}.nii.gz", out / f"{NAME}_dseg.nii.gz", out / expected[-1]):
        mark = tell(path).mark
        assert mark is not None and mark.seed == 4 and len(mark.fingerprint) == 16
        assert mark.sampling["steps"] == "2+2+2+2+2"
    # label maps are no samples for the judges
    assert [path.name for path in find_samples(out)] == [f"{stem}.nii.gz" for stem in stems]


def test_a_brain_depends_on_its_seed_alone(brain: Path, tmp_path: Path) -> None:
    for out, more in (("a", ("-n", 2)), ("b", ("-n", 1, "--seed", 1))):
        asked = ("--with-labels", "--quiet", "--ventricles", "large", "-o", tmp_path / out)
        assert generate(brain, *more, *asked) == 0
    for end in ("", "_dseg"):
        name = f"t1_brain_volume_000001_desc-synthetic{end}.nii.gz"
        assert np.array_equal(values(tmp_path / "a" / name), values(tmp_path / "b" / name))
        first = name.replace("000001", "000000")
        assert not np.array_equal(values(tmp_path / "a" / name), values(tmp_path / "a" / first))
    mark = tell(tmp_path / "b" / "t1_brain_volume_000001_desc-synthetic.nii.gz").mark
    assert mark is not None and mark.conditions["ventricles"] == 1.5


def test_a_scan_of_a_label_map_lies_where_it_does(brain: Path, tmp_path: Path) -> None:
    labels = head(8)
    path = write_map(tmp_path / "map.nii.gz", labels)
    # the same head, stored front, left, head
    affine = image(path).affine
    affine[:3, 3] += affine[:3, 0] * (len(labels) - 1)
    affine[:3, 0] *= -1
    stored = labels[::-1].transpose(1, 0, 2)
    write_map(tmp_path / "turned.nii.gz", stored, affine[:, [1, 0, 2, 3]])
    made = []
    for name in ("map", "turned"):
        out = tmp_path / name
        more = ("--labels", tmp_path / f"{name}.nii.gz", "--with-labels", "--quiet", "-o", out)
        assert generate(brain, "--seed", 4, *more) == 0
        assert np.array_equal(values(out / f"{NAME}_dseg.nii.gz"), labels)
        assert np.allclose(image(out / f"{NAME}.nii.gz").affine, GRID.in_head(1.05), atol=1e-4)
        made.append(values(out / f"{NAME}.nii.gz"))
        mark = tell(out / f"{NAME}.nii.gz").mark
        assert mark is not None and mark.conditions["labels"] == "given"
    assert np.array_equal(*made)
    assert not made[0][labels == 0].any()


def test_label_maps_need_the_last_stage_alone(tmp_path: Path, capsys: Out) -> None:
    weights = write_brain(tmp_path / "weights", ("appearance",))
    path = write_map(tmp_path / "map.nii.gz", head())
    assert generate(weights, "--labels", path, "-o", tmp_path / "out", "--quiet") == 0
    assert generate(weights, "-o", tmp_path / "other") == 1
    said = capsys.readouterr().err
    assert "the model has no stage anatomy, lobes, folds, borders; train it first" in said
    assert not (tmp_path / "other").exists()


def test_dicom_has_the_same_values(brain: Path, tmp_path: Path) -> None:
    for kind in ("nifti", "dicom"):
        more = ("--format", kind, "--seed", 4, "--quiet", "--with-labels")
        assert generate(brain, *more, "-o", tmp_path / kind) == 0
    assert (tmp_path / "dicom" / f"{NAME}_dseg.nii.gz").is_file()
    stack = open_folder(tmp_path / "dicom" / NAME)
    scan = image(tmp_path / "nifti" / f"{NAME}.nii.gz")
    turn = nib.orientations.io_orientation(np.linalg.inv(scan.affine) @ stack.affine)
    turned = nib.orientations.apply_orientation(stack.values(), turn)
    assert np.abs(turned - np.rint(np.asarray(scan.dataobj))).max() <= 1


def wrong_maps() -> dict[str, tuple[np.ndarray, np.ndarray, str]]:
    good, place = head(), GRID.in_head()
    seven, half, minus, none = (good.astype(np.float32) for _ in range(4))
    seven[8, 12, 8], half[8, 12, 8], minus[8, 12, 8], none[8, 12, 8] = 7, 2.5, -1, np.nan
    flat = place.copy()
    flat[2, 2] *= 1.5
    cubes = "expected 16 x 32 x 16 voxels, cubes of 5.6 to 11.2 mm"
    return {
        "shape": (good[1:], place, f"labels has 15 x 32 x 16 voxels of 8 x 8 x 8 mm; {cubes}"),
        "size": (good, GRID.in_head(2), f"voxels of 16 x 16 x 16 mm; {cubes}"),
        "flat": (good, flat, f"voxels of 8 x 8 x 12 mm; {cubes}"),
        "seven": (seven, place, "labels holds 7; expected whole numbers from 0 to 5"),
        "half": (half, place, "labels holds 2.5; expected whole numbers from 0 to 5"),
        "minus": (minus, place, "labels holds -1; expected whole numbers from 0 to 5"),
        "nan": (none, place, "NaN"),
        "empty": (0 * good, place, "labels holds 0 alone; expected a head"),
    }


@pytest.mark.parametrize("name", list(wrong_maps()))
def test_a_label_map_that_does_not_fit_is_one_line(
    brain: Path, tmp_path: Path, capsys: Out, name: str
) -> None:
    labels, affine, says = wrong_maps()[name]
    path = write_map(tmp_path / "map.nii.gz", labels, affine)
    assert generate(brain, "--labels", path, "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ventricles", "huge"), "ventricles is 'huge'; expected small, normal, large, or"),
        (("--ventricles", "4"), "ventricles is 4.0; expected -3 to 3"),
        (("--ventricles", "large", "--labels", "m.nii.gz"), "leave out --labels"),
        (("--temperature", "3"), "temperature is 3.0; expected above 0, at most 2"),
        (("--guidance", "11"), "guidance is 11.0; expected 0 to 10"),
        (("--modality", "t2"), "modality is 't2'; the model knows: t1"),
        (("--body", "knee"), "body is 'knee'; the model knows"),
    ],
)
def test_wrong_usage_is_one_line(
    brain: Path, tmp_path: Path, capsys: Out, arguments: tuple[str, ...], says: str
) -> None:
    assert generate(brain, "-o", tmp_path / "out", *arguments) == 2
    said = capsys.readouterr()
    assert says in said.err and len(said.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_options_of_brains_are_refused_for_other_models(tmp_path: Path, capsys: Out) -> None:
    for option in (("--with-labels",), ("--ventricles", "large")):
        assert main(["-o", str(tmp_path / "out"), "--modality", "t2", *option]) == 2
        said = capsys.readouterr().err
        assert f"{option[0]} is of a model of brains" in said and len(said.splitlines()) == 1


def test_existing_outputs_are_refused_before_anything_is_made(
    brain: Path, tmp_path: Path, capsys: Out
) -> None:
    kept = tmp_path / f"{NAME}_dseg.nii.gz"
    kept.write_bytes(b"mine")
    asked = ("--seed", 4, "--with-labels", "-o", tmp_path)
    assert generate(brain, *asked) == 1
    assert f"{kept} exists; add --overwrite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert generate(brain, *asked, "--overwrite", "--quiet") == 0
    assert values(kept).shape == GRID.shape


def test_folders_that_hold_no_model(tmp_path: Path, brain: Path, capsys: Out) -> None:
    (tmp_path / "empty").mkdir()
    assert generate(tmp_path / "empty", "-o", tmp_path / "out") == 1
    assert "holds no stage of a brain generator" in capsys.readouterr().err
    twice = write_brain(tmp_path / "twice", ("folds",))
    (twice / "more").mkdir()
    (twice / "brain-folds.safetensors").rename(twice / "more" / "brain_folds.safetensors")
    write_brain(twice, ("folds",))
    assert generate(twice, "-o", tmp_path / "out") == 1
    assert "are both of the stage folds" in capsys.readouterr().err
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    data = (brain / "brain-folds.safetensors").read_bytes()
    (swapped / "brain-anatomy.safetensors").write_bytes(data)
    assert generate(swapped, "-o", tmp_path / "out") == 1
    assert "the stage anatomy is a Folds; expected Anatomy" in capsys.readouterr().err


def test_the_list_tells_what_the_model_knows(brain: Path, capsys: Out) -> None:
    assert generate(brain, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["t1", "brain", "volume", "5", "5"]
    assert "not audited for copies" in lines[2]


def test_from_python(brain: Path) -> None:
    generator = BrainGenerator.from_pretrained(brain, device="cpu")
    done: list[float] = []
    made = generator(3, BrainSampling(Steps(2, 2, 2, 2, 2)), progress=done.append)
    assert made.scan.values.shape == made.labels.shape == GRID.shape
    assert set(made.seconds) == {"anatomy", "lobes", "folds", "borders", "appearance"}
    assert done == sorted(done) and done[-1] == pytest.approx(1)
    for wrong in (made.labels[1:], np.full(GRID.shape, 6, np.uint8)):
        with pytest.raises(ValueError, match="labels"):
            generator(3, labels=wrong)
    with pytest.raises(ValueError, match="expected at least 1 of each stage"):
        Steps(0, 1, 1, 1, 1)
