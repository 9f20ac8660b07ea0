"""The audit through the real command, on scans and samples in files."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diff_core.io import read_card
from diff_medical.audit.__main__ import main
from diff_medical.audit.report import write_card
from tiny_generator import write_generator

Out = pytest.CaptureFixture[str]
SHAPE = (32, 32, 26)
MM = 7.5  # the tiny model's pixel


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_generator(tmp_path_factory.mktemp("audit") / "slices.safetensors")


def person(seed: int) -> np.ndarray:
    """A body with an inside of its own, which fills the field of view."""
    inside = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1.5)
    return 500 + 150 * inside / inside.std()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, heldout (two people each), and samples: fresh, and copied."""
    root = tmp_path_factory.mktemp("scans")
    for number, name in enumerate(("train/a", "train/b", "heldout/c", "heldout/d")):
        write(root / f"{name}_t1_head.nii.gz", person(number))
    fresh, copied = person(7), person(0)
    for z in range(2, 24):
        for name, volume in (("fresh", fresh), ("copied", copied)):
            write(root / name / f"t1_head_axial_{z:06d}.nii.gz", volume[:, :, z : z + 1])
    return root


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.Nifti1Image(values.astype(np.float32), np.diag([MM, MM, MM, 1])).to_filename(path)


def audit(model: Path, folder: Path, *more: object, **folders: str) -> int:
    given = {"train": "train", "heldout": "heldout", "samples": "copied"} | folders
    paths = [part for n, f in given.items() for part in (f"--{n}", str(folder / f))]
    return main([*paths, "--weights", str(model), "--draws", "3", *map(str, more)])


def test_copies_fail_and_the_report_and_the_card_say_so(
    model: Path, folder: Path, tmp_path: Path, capsys: Out
) -> None:
    checkpoint = tmp_path / "model.safetensors"
    shutil.copy(model, checkpoint)
    out = tmp_path / "report"
    assert audit(model, folder, "--json", "-o", out, "--write-card", checkpoint) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found == json.loads((out / "audit.json").read_text())
    assert not found["passed"]
    assert found["samples"]["images"] == 22
    assert found["train"]["people"] == found["heldout"]["people"] == 2
    assert found["tested"] == {"t1 head axial": [22, 2]}
    assert found["copies"]["whole images"] >= 18
    assert all(pair["scan"].startswith("a_t1_head") for pair in found["worst"])
    assert (out / "worst.png").read_bytes()[:4] == b"\x89PNG"

    card, before = read_card(checkpoint), read_card(model)
    assert card.scores["audit passed"] == 0.0
    assert card.scores["audit samples"] == 22.0
    assert card.scores["audit samples of t1 head axial"] == 22.0
    assert card.signal == before.signal
    write_card(checkpoint, {"audit passed": 1.0})
    assert read_card(checkpoint).scores == {"audit passed": 1.0}

    assert audit(model, folder, "-o", out) == 2
    assert "audit.json exists; add --overwrite" in capsys.readouterr().err


def test_scans_behind_links_are_scans(
    model: Path, folder: Path, tmp_path: Path, capsys: Out
) -> None:
    for side in ("train", "heldout"):  # as git-annex stores a dataset
        (tmp_path / side).mkdir()
        for path in (folder / side).iterdir():
            (tmp_path / side / path.name).symlink_to(path)
    (tmp_path / "copied").symlink_to(folder / "copied")
    assert audit(model, tmp_path, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["train"]["people"] == found["heldout"]["people"] == 2
    assert found["copies"]["whole images"] >= 18


def test_fresh_samples_are_no_copies(model: Path, folder: Path, capsys: Out) -> None:
    audit(model, folder, samples="fresh")
    said = capsys.readouterr().out
    assert "t1 head axial: 22 samples; train and held-out cut to 2 people each" in said
    assert "copies by" not in said


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        ({"heldout": "same"}, "held-out files are training files too"),
        ({"samples": "train"}, "is the training file"),
        ({"samples": "few"}, "5 samples; an audit takes at least 20"),
        ({"samples": "empty"}, "no samples (.nii, .nii.gz, .dcm) are there"),
        ({"samples": "broken"}, "none of 1 samples can be used"),
        ({"train": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_no_verdict_with_the_reason_in_one_line(
    model: Path, folder: Path, capsys: Out, folders: dict[str, str], reason: str
) -> None:
    same, few = folder / "same", folder / "few"
    if not same.exists():
        same.mkdir()
        shutil.copy(folder / "train/a_t1_head.nii.gz", same / "renamed.nii.gz")
        few.mkdir()
        for path in sorted((folder / "fresh").iterdir())[:5]:
            shutil.copy(path, few)
        (folder / "empty").mkdir()
        (folder / "broken").mkdir()
        (folder / "broken" / "a.nii.gz").write_bytes(b"no scan")
    assert audit(model, folder, **folders) == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_a_person_on_both_sides_is_refused(model: Path, folder: Path, capsys: Out) -> None:
    assert audit(model, folder, "--subject", "^[ac]_(t1)|^[bd]_(t1_head)") == 2
    assert "subject t1 is in the splits train and val" in capsys.readouterr().err
