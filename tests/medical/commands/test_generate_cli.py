"""Synthetic scans through the real command: what is written, and what is refused."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from diff_medical.generate import main
from diff_medical.marks.told import tell
from diff_medical.scan.dicom.series import open_folder
from diff_medical.weights import FOLDER
from tiny_generator import SIZE, write_generator

Out = pytest.CaptureFixture[str]
SHIPPED = sorted(path.stem for path in FOLDER.glob("generate*.safetensors"))


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_generator(tmp_path_factory.mktemp("generator") / "slices.safetensors")


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generator") / "volumes.safetensors"
    return write_generator(path, spatial=3)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generator") / "labels.safetensors"
    return write_generator(path, labels=2, scores={"audit passed": 0.0})


def generate(weights: Path, *arguments: object) -> int:
    return main(["--weights", str(weights), "--steps", "2", *map(str, arguments)])


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)  # type: ignore[attr-defined]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_slices_with_sidecars_and_a_picture(slices: Path, tmp_path: Path, capsys: Out) -> None:
    out = tmp_path / "new" / "out"
    code = generate(slices, "--modality", "T1", "-n", 3, "--seed", 7, "-o", out)
    assert code == 0
    said = capsys.readouterr()
    assert said.err == ""
    stems = [f"t1_head_axial_{seed:06d}_desc-synthetic" for seed in (7, 8, 9)]
    sheet = "t1_head_axial_000007-000009_desc-synthetic.png"
    expected = [f"{stem}{suffix}" for stem in stems for suffix in (".json", ".nii.gz")]
    assert names(out) == sorted([*expected, sheet])
    lines = said.out.splitlines()
    assert lines[:3] == [str(out / f"{stem}.nii.gz") for stem in stems]
    assert lines[3].startswith(f"{out / sheet}  (scans: 3, ")
    assert lines[4:] == [
        "Synthetic: learned from scans of 8 people, 5 of them in t1 head axial; for research, "
        "not for diagnosis; not audited for copies."
    ]
    for seed, stem in zip((7, 8, 9), stems, strict=True):
        image: Any = nib.load(out / f"{stem}.nii.gz")
        assert image.shape == (SIZE, SIZE, 1)
        assert np.allclose(image.header.get_zooms(), (7.5, 7.5, 4.0))
        assert nib.orientations.aff2axcodes(image.affine) == ("R", "A", "S")
        told = tell(out / f"{stem}.nii.gz")
        assert told.mark is not None and told.mark.seed == seed
        assert told.mark.conditions["modality"] == "t1"
        assert told.mark.sampling == {"steps": 2, "guidance": 1.5, "temperature": 0.9}
    assert tell(out / sheet).mark is not None


def test_a_scan_depends_on_its_seed_and_request_alone(slices: Path, tmp_path: Path) -> None:
    common = ("--modality", "t2", "--quiet", "--guidance", 1.2, "--temperature", 0.9)
    assert generate(slices, *common, "-n", 3, "--batch", 3, "-o", tmp_path / "a") == 0
    assert generate(slices, *common, "-n", 3, "--batch", 1, "-o", tmp_path / "b") == 0
    assert generate(slices, *common, "-n", 1, "--seed", 2, "-o", tmp_path / "c") == 0
    scans = sorted(path.name for path in (tmp_path / "a").glob("*.nii.gz"))
    assert len(scans) == 3
    first, _, last = (values(tmp_path / "a" / name) for name in scans)
    assert not np.allclose(first, last, atol=5)
    for name in scans:
        assert np.allclose(values(tmp_path / "a" / name), values(tmp_path / "b" / name), atol=0.1)
    assert np.allclose(last, values(tmp_path / "c" / scans[2]), atol=0.1)


def test_what_is_left_open_is_taken_in_turn(slices: Path, tmp_path: Path, capsys: Out) -> None:
    assert generate(slices, "-n", 4, "-o", tmp_path, "--json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [one["Conditions"]["modality"] for one in said[:-1]]
    assert kinds == ["t1", "t2", "ct", "t1"]
    assert said[2]["Seed"] == 2 and Path(said[2]["output"]).is_file()
    assert said[-1]["scans"] == 4 and said[-1]["people"] == 8
    assert said[-1]["audit"] == "not audited for copies"
    assert Path(said[-1]["picture"]).name == "3_kinds_000000-000003_desc-synthetic.png"
    told = tell(Path(said[-1]["picture"]))
    assert told.mark is not None and told.mark.count == 4
    assert dict(told.mark.conditions) == {"plane": "axial"}


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_plane_and_position_put_the_slice_in_its_place(
    slices: Path, tmp_path: Path, plane: str
) -> None:
    axis = ("sagittal", "coronal", "axial").index(plane)
    places = []
    for position in (0.25, 0.75):
        out = tmp_path / str(position)
        asked = ("--modality", "t1", "--plane", plane, "--position", position)
        assert generate(slices, *asked, "-o", out, "--quiet") == 0
        (path,) = out.glob("*.nii.gz")
        image: Any = nib.load(path)
        assert image.shape[axis] == 1
        places.append(image.affine[axis, 3])
    # of 240 mm; sagittal positions go from the right to the left, and x to the right
    assert places == ([60, -60] if plane == "sagittal" else [-60, 60])


def test_volumes(volumes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert generate(volumes, "--volume", "--modality", "ct", "-o", out, "--quiet") == 0
    assert names(out) == [
        "ct_abdomen_volume_000000-000000_desc-synthetic.png",
        "ct_abdomen_volume_000000_desc-synthetic.json",
        "ct_abdomen_volume_000000_desc-synthetic.nii.gz",
    ]
    image: Any = nib.load(out / "ct_abdomen_volume_000000_desc-synthetic.nii.gz")
    assert image.shape == (SIZE,) * 3
    told = tell(out / "ct_abdomen_volume_000000_desc-synthetic.nii.gz")
    assert told.mark is not None
    assert dict(told.mark.conditions) == {"modality": "ct", "body": "abdomen"}
    sidecar = json.loads((out / "ct_abdomen_volume_000000_desc-synthetic.json").read_text())
    assert sidecar["Units"] == "HU"


@pytest.mark.parametrize("kind", ["axial", "volume"])
def test_dicom_has_the_same_values(slices: Path, volumes: Path, tmp_path: Path, kind: str) -> None:
    weights, more = (volumes, ["--volume"]) if kind == "volume" else (slices, [])
    for format in ("nifti", "dicom"):
        out = tmp_path / format
        asked = ("--modality", "ct", "--format", format, "--quiet", *more)
        assert generate(weights, *asked, "-o", out) == 0
    name = f"ct_abdomen_{kind}_000000_desc-synthetic"
    assert (tmp_path / "dicom" / f"{name}{'' if more else '.dcm'}").exists()
    stack = open_folder(tmp_path / "dicom")
    image: Any = nib.load(tmp_path / "nifti" / f"{name}.nii.gz")
    turn = nib.orientations.io_orientation(np.linalg.inv(image.affine) @ stack.affine)
    turned = nib.orientations.apply_orientation(stack.values(), turn)
    expected = np.rint(np.asarray(image.dataobj)).clip(-1024)
    assert np.abs(turned - expected).max() <= 1  # what is near a half may be rounded either way
    assert tell(tmp_path / "dicom" / f"{name}.dcm" if not more else
                tmp_path / "dicom" / name / "00001.dcm").mark  # fmt: skip


def test_the_list_tells_what_the_model_knows(
    slices: Path, labelled: Path, capsys: Out, tmp_path: Path
) -> None:
    assert generate(slices, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["modality", "body", "plane", "scans", "people"]
    assert lines[1].split() == ["t1", "head", "axial", "24", "5"]
    assert len(lines) == 1 + 8 + 1
    assert generate(slices, "--list", "--json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[2] | {"positions": 0} == {
        "modality": "ct", "body": "abdomen", "plane": "axial", "scans": 7, "subjects": 1,
        "positions": 0, "view": 240.0,
    }  # fmt: skip
    assert generate(labelled, "--list") == 0
    assert "FAILED its audit: may copy scans" in capsys.readouterr().out
    passed = write_generator(tmp_path / "passed.safetensors", scores={"audit passed": 1.0})
    assert generate(passed, "--list") == 0
    assert "; passed its audit for copies" in capsys.readouterr().out


def test_an_audit_is_claimed_for_the_kinds_that_had_one(tmp_path: Path) -> None:
    from diff_core.io import read_card
    from diff_medical.generator.request import Choice
    from diff_medical.generator.selection import audit_of, honest

    scores = {"audit passed": 1.0, "audit samples of t1 head axial": 20.0}
    card = read_card(write_generator(tmp_path / "some.safetensors", scores=scores))
    audited, other = (Choice("t1", "head", p, 24, 5, (), 240.0) for p in ("axial", "coronal"))
    assert audit_of(card, [audited]) == "passed its audit for copies"
    assert audit_of(card, [other]).startswith("NOT AUDITED for t1 head coronal")
    both = audit_of(card, [audited, other])
    assert both == "passed its audit for copies of t1 head axial, NOT AUDITED for the others"
    assert "NOT AUDITED" in honest(card, [other])
    unknown = read_card(
        write_generator(tmp_path / "one.safetensors", scores={"audit passed": 1.0})
    )
    assert "does not say of which kinds" in audit_of(unknown, [audited])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-n", 0), "greater than or equal to 1"),
        (("--modality", "flare"), "modality is 'flare'; the model knows: "),
        (("--modality", "t11"), "modality is 't11'; the model knows: t1, "),
        (("--modality", "t1", "--body", "hed"), "body is 'hed'; the model knows of t1: head"),
        (("--plane", "sagital"), "plane is 'sagital'; the model knows: sagittal, axial, coronal"),
        (("--modality", "ct", "--plane", "sagittal"), "the model knows of ct: axial, coronal"),
        (("--position", 1.5), "less than or equal to 1"),
        (("--temperature", 0), "temperature is 0.0; expected above 0"),
        (("--guidance", 11), "guidance is 11.0; expected 0 to 10"),
        (("--picture", "sheet.jpg"), "expected a .png file"),
        (("--volume", "--plane", "axial"), "--plane is of slices"),
        (("--volume", "--position", 0.5), "--position is of slices"),
        (("--volume",), "a model of slices: leave out --volume"),
        (("--format", "mgz"), "nifti"),
    ],
)
def test_wrong_usage_is_one_line(
    slices: Path, tmp_path: Path, capsys: Out, arguments: tuple[object, ...], says: str
) -> None:
    assert generate(slices, "-o", tmp_path / "out", *arguments) == 2
    said = capsys.readouterr()
    assert says in said.err and len(said.err.splitlines()) == 1
    assert said.out == "" and not (tmp_path / "out").exists()


def test_the_output_has_to_be_named(slices: Path, volumes: Path, capsys: Out) -> None:
    assert generate(slices) == 2
    assert "-o out/" in capsys.readouterr().err
    assert generate(volumes, "-o", "out") == 2
    assert "a model of volumes: add --volume" in capsys.readouterr().err


def test_existing_outputs_are_refused_before_anything_is_made(
    slices: Path, tmp_path: Path, capsys: Out
) -> None:
    common = ("--modality", "t1", "-n", 2, "-o", tmp_path)
    assert generate(slices, *common, "--quiet") == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in sorted(path.name for path in before):
        for path in tmp_path.iterdir():
            path.unlink()
        kept = tmp_path / name
        kept.write_bytes(b"mine")
        assert generate(slices, *common) == 1
        assert f"{kept} exists; add --overwrite" in capsys.readouterr().err
        assert names(tmp_path) == [name] and kept.read_bytes() == b"mine"
    assert generate(slices, *common, "--overwrite", "--quiet") == 0
    scans = {path: data for path, data in before.items() if path.suffix == ".json"}
    assert {path: path.read_bytes() for path in scans} == scans


def test_a_folder_or_file_of_the_users_is_left_alone(
    slices: Path, volumes: Path, tmp_path: Path, capsys: Out
) -> None:
    (tmp_path / "file").write_text("mine")
    assert generate(slices, "-o", tmp_path / "file") == 1
    assert "is a file; name a folder" in capsys.readouterr().err
    folder = tmp_path / "ct_abdomen_volume_000000_desc-synthetic"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    asked = ("--volume", "--modality", "ct", "--format", "dicom", "--overwrite")
    assert generate(volumes, *asked, "-o", tmp_path) == 1
    assert "holds other things than DICOM" in capsys.readouterr().err
    assert names(folder) == ["notes.txt"]


def test_weights_that_are_no_generators(tmp_path: Path, weights: Path, capsys: Out) -> None:
    for path, says in (
        (tmp_path / "none.safetensors", "no such file"),
        (weights, "SlabNetwork"),
        (Path(__file__), "not a safetensors file"),
    ):
        assert generate(path, "-o", tmp_path / "out") == 1
        said = capsys.readouterr().err
        assert says in said and len(said.splitlines()) == 1


def label_map(path: Path, shape: tuple[int, ...], mm: float = 7.5) -> Path:
    drawn = np.zeros(shape, np.int16)
    drawn[: shape[0] // 2] = 1
    nib.Nifti1Image(drawn, np.diag([mm, mm, 4.0, 1.0])).to_filename(path)
    return path


def test_a_model_with_labels_follows_them(labelled: Path, tmp_path: Path, capsys: Out) -> None:
    asked = ("--modality", "t1", "--plane", "axial", "--quiet")
    for number, top in enumerate((1, 2)):
        path = label_map(tmp_path / f"{number}.nii.gz", (SIZE, SIZE, 1))
        if top == 2:
            image: Any = nib.load(path)
            turned = np.asarray(image.dataobj)[::-1].copy()
            nib.Nifti1Image(turned, image.affine).to_filename(path)
        out = tmp_path / f"out{number}"
        assert generate(labelled, *asked, "--labels", path, "-n", 2, "-o", out) == 0
    one, other = (next((tmp_path / f"out{n}").glob("*0_desc-synthetic.nii.gz")) for n in (0, 1))
    assert not np.allclose(values(one), values(other), atol=0.5)
    assert generate(labelled, *asked, "-o", tmp_path / "none") == 1
    assert "expected" in capsys.readouterr().err and not list((tmp_path / "none").glob("*"))


@pytest.mark.parametrize(
    ("shape", "mm"), [((SIZE, SIZE - 1, 1), 7.5), ((SIZE, SIZE, 1), 6.0), ((SIZE, SIZE, 4), 7.5)]
)
def test_labels_on_another_grid(
    labelled: Path, tmp_path: Path, capsys: Out, shape: tuple[int, ...], mm: float
) -> None:
    path = label_map(tmp_path / "map.nii.gz", shape, mm)
    out = tmp_path / "out"
    assert generate(labelled, "--modality", "t1", "--labels", path, "-o", out) == 1
    said = capsys.readouterr().err
    assert "expected 32 x 32 x 1 voxels of 7.5 x 7.5" in said
    assert " x ".join(map(str, shape)) in said
    assert not list(tmp_path.glob("out/*"))


def test_labels_for_a_model_that_takes_none(slices: Path, tmp_path: Path, capsys: Out) -> None:
    path = label_map(tmp_path / "map.nii.gz", (SIZE, SIZE, 1))
    assert generate(slices, "--labels", path, "-o", tmp_path / "out") == 1
    assert "the model was trained without label maps" in capsys.readouterr().err


def test_an_interrupted_run_leaves_whole_files_only(slices: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "diff_medical.generate", "--weights", str(slices)]
    command += ["-n", "2000", "--steps", "1", "--batch", "1", "-o", str(tmp_path)]
    pipe = subprocess.PIPE
    # whoever starts the tests in the background has this signal ignored in all that they start
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, preexec_fn=heard) as process:
        assert process.stdout is not None and process.stderr is not None
        for _ in range(3):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        said = process.communicate()[1].decode()
    assert process.returncode == 130
    assert "Traceback" not in said
    found = sorted(tmp_path.iterdir())
    assert len(found) >= 6
    assert not [path for path in found if path.name.startswith(".")]
    for path in tmp_path.glob("*.nii.gz"):
        assert np.isfinite(values(path)).all()
        assert path.with_name(path.name.replace("nii.gz", "json")).is_file()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_models_make_what_they_list(name: str, tmp_path: Path, capsys: Out) -> None:
    more = ["--experimental", *(["--volume"] if name == "generate_volume" else [])]
    assert main([*more, "--list", "--json"]) == 0
    known = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    asked = ["--modality", known[-1]["modality"], "--body", known[-1]["body"]]
    assert main([*more, *asked, "--steps", "1", "-o", str(tmp_path), "--quiet"]) == 0
    (path,) = tmp_path.glob("*.nii.gz")
    assert np.isfinite(values(path)).all()
    least = 64 if name == "generate_volume" else 128
    assert min(n for n in values(path).shape if n > 1) >= least
    told = tell(path)
    assert told.shipped and told.mark is not None
    assert told.mark.conditions["body"] == known[-1]["body"]
    assert "(shipped)" in told.text()
