"""The audit of brains with label maps: generators that copy, and one that does not."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diff_medical.audit.__main__ import main
from diff_medical.brain.grid import Grid
from diff_medical.brain.people import write_grid

GRID = Grid(shape=(32, 32, 32), voxel=5.0)
Out = pytest.CaptureFixture[str]


def brain(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """White matter whose folds are anyone's own in a head that all share, and its labels."""
    axes = [np.linspace(-1, 1, n) for n in GRID.shape]
    radius = np.sqrt(sum(np.square(v) for v in np.meshgrid(*axes, indexing="ij")))
    own = gaussian_filter(np.random.default_rng(seed).standard_normal(GRID.shape), 1.5)
    labels = np.where(radius + own / own.std() * 0.12 < 0.6, 3, 2)
    labels = np.where(radius < 0.9, labels, 0).astype(np.uint8)
    scan = np.array([0, 0, 0.7, 1.0])[labels] + 0.03 * (labels > 0) * own / own.std()
    return scan.astype(np.float32), labels


def write(folder: Path, name: str, scan: np.ndarray, labels: np.ndarray) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, values in (("", scan), ("_dseg", labels)):
        nib.Nifti1Image(values, GRID.in_head(1.0)).to_filename(folder / f"{name}{kind}.nii.gz")
    return {"file": f"{name}.nii.gz", "labels": f"{name}_dseg.nii.gz", "subject": name}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_grid(folder, GRID)
    rows = [
        write(folder, f"p{i}", *brain(i)) | {"split": "train" if i < 10 else "val"}
        for i in range(18)
    ]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def audit(prepared: Path, samples: Path, *more: str) -> int:
    sides = ["--train", str(prepared), "--heldout", str(prepared), "--samples", str(samples)]
    return main(["--brains", *sides, "--quiet", *more])


def test_brains_of_nobody_pass(prepared: Path, tmp_path: Path, capsys: Out) -> None:
    for i in range(8):
        scan, labels = brain(100 + i)
        write(tmp_path / "made", f"s{i}", 900 * scan, labels)  # in a unit of its own
    assert audit(prepared, tmp_path / "made", "-o", str(tmp_path / "report")) == 0
    assert "PASSED" in capsys.readouterr().out
    record = json.loads((tmp_path / "report" / "audit.json").read_text())
    assert record["copies"] == {"whole images": 0, "halves": 0}
    assert record["train"]["people"] == 10 and record["heldout"]["people"] == 8
    assert record["tested"] == {"t1 brain": [8, 8]}
    assert (tmp_path / "report" / "worst.png").is_file()


def test_copies_are_found_though_moved_mirrored_and_noisy(
    prepared: Path, tmp_path: Path, capsys: Out
) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        # three are people of the training
        scan, labels = brain(i if i < 3 else 100 + i)
        scan, labels = (np.roll(v, (1, -1), (0, 2))[::-1] for v in (scan, labels))
        noisy = scan + 0.05 * (labels > 0) * rng.standard_normal(scan.shape)
        write(tmp_path / "made", f"s{i}", noisy.astype(np.float32), labels)
    assert audit(prepared, tmp_path / "made", "-o", str(tmp_path / "report")) == 1
    assert "copies by whole images" in capsys.readouterr().out
    record = json.loads((tmp_path / "report" / "audit.json").read_text())
    assert record["copies"]["whole images"] == 3
    pairs = {(w["sample"], w["scan"]) for w in record["worst"] if w["excess"] > 0}
    assert {(f"s{i}.nii.gz", f"p{i}") for i in range(3)} <= pairs


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("no map", "has no label map; expected s0_dseg.nii.gz"),
        ("grid", "expected brains on one grid"),
        ("few", "7 samples; an audit takes at least 8"),
        ("dark", "holds no white matter that is brighter than 0"),
    ],
)
def test_what_cannot_be_audited_gets_one_line(
    fault: str, says: str, prepared: Path, tmp_path: Path, capsys: Out
) -> None:
    scan, labels = brain(100)
    if fault == "grid":
        scan, labels = scan[:, :, 8:], labels[:, :, 8:]
    if fault == "dark":
        scan = -scan
    for i in range(7):
        write(tmp_path, f"s{i}", scan, labels)
    if fault == "no map":
        (tmp_path / "s0_dseg.nii.gz").unlink()
    assert audit(prepared, tmp_path) == 2
    out, err = capsys.readouterr()
    assert not out and says in err and err.count("\n") == 1


def test_one_person_on_both_sides_is_refused(prepared: Path, tmp_path: Path, capsys: Out) -> None:
    for i in range(8):
        write(tmp_path, f"s{i}", *brain(100 + i))
    sides = ["--train", str(tmp_path), "--heldout", str(tmp_path), "--samples", str(tmp_path)]
    assert main(["--brains", *sides]) == 2
    assert "is in the splits heldout and train" in capsys.readouterr().err
    assert main(["--brains", "--volume", *sides]) == 2
    assert "--brains asks no network" in capsys.readouterr().err
