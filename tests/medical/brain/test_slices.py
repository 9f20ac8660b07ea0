"""Slices of brains: what they show, where they lie, and what the command makes unasked."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import diff_medical.brain.model
import diff_medical.weights
from diff_medical.brain.model import REQUEST, Brain
from diff_medical.brain.slices import SIDE, cut, drawn_position, plane_of
from diff_medical.generate import main
from diff_medical.generator.model import Made
from diff_medical.generator.request import NORMAL, PLANES
from diff_medical.marks import told
from diff_medical.marks.told import tell
from diff_medical.scan.dicom.series import open_folder
from full_disk import full_disk
from tiny_brain import GRID, head, write_brain
from tiny_generator import write_generator

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_brain(tmp_path_factory.mktemp("brain") / "weights")


def generate(weights: Path, *arguments: object) -> int:
    common = ["--weights", str(weights), "--steps", "1", "--device", "cpu"]
    return main([*common, *map(str, arguments)])


def image(path: Path) -> Any:
    return nib.load(path)


def ramp(affine: np.ndarray) -> Brain:
    """A brain whose grey levels are 1000 more than a sum of its places in mm."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 1 + np.arange(GRID.shape[1] - 2)[:, None] % 5
    voxels = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1)
    values = levels(voxels @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32)
    return Brain(Made(values, affine, REQUEST, 3), labels, True, {})


def levels(places: np.ndarray) -> np.ndarray:
    return 1000 + places @ np.array([1.0, 2.0, -0.5])


@pytest.mark.parametrize("plane", PLANES)
def test_a_slice_shows_what_lies_where_it_says(plane: str) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    for affine in (GRID.in_head(1.1), turn @ GRID.in_head(0.9)):
        brain, normal = ramp(affine), NORMAL[plane]
        made, labels = cut(brain, plane, 0.4)
        assert made.values.shape == labels.shape == (SIDE, SIDE)
        sides = np.linalg.norm(made.affine[:3, :3], axis=0)
        assert np.allclose(np.delete(sides, normal), 1)
        assert sides[normal] == pytest.approx(np.linalg.norm(affine[:3, 0]))
        voxels = np.stack(np.meshgrid(*map(np.arange, made.volume.shape), indexing="ij"), -1)
        places = voxels @ made.affine[:3, :3].T + made.affine[:3, 3]
        at = (places - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        deep = ((at > 2) & (at < np.array(GRID.shape) - 3)).all(-1)
        assert deep.sum() > 1000
        # splines end at the edge of the grid, which is felt two voxels away
        np.testing.assert_allclose(made.volume[deep], levels(places)[deep], rtol=1e-3)
        nearest = np.rint(at).astype(int)
        even = deep & (np.abs(at - nearest) < 0.49).all(-1)
        flat = np.expand_dims(labels, normal)
        assert np.array_equal(flat[even], brain.labels[tuple(nearest[even].T)])
        # 0.4 of the way to the left, the front or the head; air is 0
        share = 0.6 if plane == "sagittal" else 0.4
        assert np.unique(nearest[..., normal]).tolist() == [int(share * GRID.shape[normal])]
        assert not made.values[labels == 0].any()


def test_unasked_slices_are_of_all_planes_and_hold_a_head() -> None:
    assert {plane_of(7 + i, 0) for i in range(3)} == set(PLANES)
    assert {plane_of(7, k) for k in range(3)} == set(PLANES)
    brain = Brain(Made(np.zeros(GRID.shape, np.float32), GRID.in_head(), REQUEST, 5),
                  head(5), True, {})  # fmt: skip
    for plane in PLANES:
        places = [drawn_position(brain, plane, k) for k in range(20)]
        assert len(set(places)) > 3
        areas = [(cut(brain, plane, place)[1] > 0).sum() for place in places]
        whole = max((cut(brain, plane, (k + 0.5) / 24)[1] > 0).sum() for k in range(24))
        assert min(areas) > 0.25 * whole


def test_slices_with_labels_and_marks(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert generate(weights, "-n", 3, "--seed", 4, "--with-labels", "-o", out, "--quiet") == 0
    stems = [f"t1_brain_{plane_of(4 + i, 0)}_{4 + i:06d}_desc-synthetic" for i in range(3)]
    ends = (".nii.gz", ".json", "_dseg.nii.gz", "_dseg.json")
    sheet = "3_kinds_000004-000006_desc-synthetic.png"
    expected = sorted([*(stem + end for stem in stems for end in ends), sheet])
    assert sorted(path.name for path in out.iterdir()) == expected
    for number, stem in enumerate(stems):
        scan, labels = image(out / f"{stem}.nii.gz"), image(out / f"{stem}_dseg.nii.gz")
        assert sorted(scan.shape) == [1, SIDE, SIDE] and scan.shape == labels.shape
        assert np.allclose(scan.affine, labels.affine)
        assert set(np.unique(labels.dataobj)) <= set(range(6))
        for path in (out / f"{stem}.nii.gz", out / f"{stem}_dseg.nii.gz"):
            mark = tell(path).mark
            assert mark is not None and mark.seed == 4 + number
            assert mark.conditions["plane"] == stem.split("_")[2]
            assert 0 < mark.conditions["position"] < 1
            # the pixels are finer than what was drawn, and the mark says so
            assert 7 < mark.sampling["drawn in voxels of mm"] < 9
    sidecar = json.loads((out / f"{stems[0]}.json").read_text())
    again = tmp_path / "again"
    asked = [f"--{name}={sidecar['Conditions'][name]}" for name in ("plane", "position")]
    assert generate(weights, "--seed", 4, *asked, "-o", again, "--quiet") == 0
    one, other = (image(f / f"{stems[0]}.nii.gz") for f in (out, again))
    assert np.array_equal(one.dataobj, other.dataobj) and np.array_equal(one.affine, other.affine)


def test_several_slices_of_each_brain(weights: Path, tmp_path: Path, capsys: Out) -> None:
    more = ("-n", 5, "--per-brain", 3, "--plane", "axial", "--format", "dicom", "--with-labels")
    assert generate(weights, *more, "-o", tmp_path, "--json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [Path(row["output"]).name for row in said[:-1]]
    assert names == [f"t1_brain_axial_{s:06d}-{k}_desc-synthetic.dcm"
                     for s, k in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2))]  # fmt: skip
    assert [row["Seed"] for row in said[:-1]] == [0, 0, 0, 1, 1]
    assert len({row["Conditions"]["position"] for row in said[:3]}) > 1
    assert (tmp_path / "t1_brain_axial_000001-2_desc-synthetic_dseg.nii.gz").is_file()
    assert generate(weights, *more, "-o", tmp_path) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.move(tmp_path / names[0], folder)
    assert sorted(open_folder(folder).values().shape) == [1, SIDE, SIDE]


@pytest.fixture
def shipped(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that comes with brains, and with slices and volumes of few people."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    write_generator(folder / "generate.safetensors")
    write_generator(folder / "generate_volume.safetensors", spatial=3)
    for path in weights.iterdir():
        shutil.copy(path, folder / path.name.replace("-", "_"))
    monkeypatch.setattr(diff_medical.weights, "FOLDER", folder)
    monkeypatch.setattr(diff_medical.brain.model, "FOLDER", folder)
    told._shipped.cache_clear()  # the fingerprints of what is shipped
    yield folder
    told._shipped.cache_clear()


def test_kinds_of_few_people_have_to_be_asked_for(
    shipped: Path, tmp_path: Path, capsys: Out
) -> None:
    out = tmp_path / "out"
    common = ("--steps", "1", "--device", "cpu", "-o", str(out))
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:4]] == [["t1", "brain", p] for p in PLANES]
    assert lines[0].split()[-1] == "people" and "--experimental" in lines[-1]
    assert not any("knee" in line for line in lines)
    for more in (("--modality", "t2"), ("--modality", "ct", "--volume")):
        assert main([*common, *more]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and "fewer than 20; add --experimental" in said
    assert not out.exists()
    assert main(["--list", "--experimental"]) == 0
    kinds = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["t2", "knee"] in kinds and ["t1", "brain"] in kinds
    assert main([*common, "--modality", "t2", "--experimental", "--quiet"]) == 0
    assert (out / "t2_knee_axial_000000_desc-synthetic.nii.gz").is_file()
    assert main([*common, "--modality", "flare"]) == 2
    assert "modality is 'flare'; the model knows" in capsys.readouterr().err


def test_unasked_it_makes_slices_of_brains(shipped: Path, tmp_path: Path, capsys: Out) -> None:
    assert main(["--steps", "1", "--device", "cpu", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.err == "" and "Synthetic: learned from scans of 5 people" in said.out
    name = f"t1_brain_{plane_of(0, 0)}_000000_desc-synthetic.nii.gz"
    assert tell(tmp_path / "out" / name).shipped


def test_without_brains_all_is_offered_with_a_note(
    shipped: Path, tmp_path: Path, capsys: Out
) -> None:
    for path in shipped.glob("brain_*"):
        path.unlink()
    common = ["--steps", "1", "--device", "cpu", "-o", str(tmp_path / "out")]
    assert main([*common, "--modality", "t2"]) == 0
    assert "note: no kind that comes with the package" in capsys.readouterr().err
    assert main([*common, "--modality", "ct", "--experimental"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["--list"]) == 0
    said = capsys.readouterr()
    assert "knee" in said.out and "20 people or more" in said.err
    # a model of one's own makes what it knows
    own = str(shipped / "generate.safetensors")
    assert main([*common, "--weights", own, "--seed", "1", "--modality", "t1"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--per-brain", "0"), "greater than or equal to 1"),
        (("--volume", "--per-brain", "2"), "--per-brain is of slices"),
        (("--plane", "oblique"), "plane is 'oblique'; the model knows"),
        (("--position", "1.5"), "less than or equal to 1"),
        (("--modality", "t2"), "modality is 't2'; the model knows: t1"),
    ],
)
def test_wrong_usage_is_one_line(
    weights: Path, tmp_path: Path, capsys: Out, arguments: tuple[str, ...], says: str
) -> None:
    assert generate(weights, "-o", tmp_path / "out", *arguments) == 2
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "room"), [((), 2500), (("--volume",), 100), (("--format", "dicom"), 2500)]
)
def test_a_full_disk_is_one_line_and_leaves_whole_files(
    weights: Path, tmp_path: Path, capsys: Out, more: tuple[str, ...], room: int
) -> None:
    with full_disk(room):
        assert generate(weights, *more, "--with-labels", "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "File too large" in said and len(said.splitlines()) == 1
    left = sorted((tmp_path / "out").iterdir())
    # no scan, and nothing under a name of its own while it is written; what is there is whole
    assert not [path for path in left if path.suffix not in (".json", ".gz")]
    assert all(path.name.startswith("t1_brain") for path in left)
    for path in left:
        if path.suffix == ".json":
            assert json.loads(path.read_text())["Synthetic"] is True
        else:
            assert path.name.endswith("_dseg.nii.gz") and np.asarray(image(path).dataobj).any()
    assert room == 2500 or not left
