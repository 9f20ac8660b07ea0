"""The inspect command of scans, as a user types it, on folders with known faults."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_files import write_series
from diff_medical.inspect import main

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, make_head: Make, write_scan: Write) -> Path:
    noise = 30 * np.random.default_rng(0).standard_normal((40, 40, 36)).astype(np.float32)
    write_scan(make_head((40, 40, 36)) + noise, "data/a.nii.gz")
    thick = np.diag([-1.0, 1.0, 6.0, 1.0])
    write_scan(make_head((32, 32, 8), seed=1), "data/b.nii", affine=thick)
    ct = np.where(make_head((24, 24, 24), seed=2) > 0, 40.0, -1000.0)
    write_scan(ct + np.random.default_rng(0).uniform(-9, 9, ct.shape), "data/c.nii.gz")
    write_scan((make_head((24, 24, 24)) > 0).astype(np.int16), "data/mask.nii.gz")
    return tmp_path / "data"


def test_the_command_as_a_user_types_it(
    folder: Path, tmp_path: Path, write_scan: Write, make_head: Make,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    holes = make_head((20, 20, 20))
    holes[3, 3, 3] = np.nan
    write_scan(holes, "data/nan.nii.gz")
    write_scan(np.ones((9, 9, 9), np.float32), "data/flat.nii.gz")
    (folder / "cut.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:3000])
    before = {p: p.read_bytes() for p in folder.iterdir()}
    picture = tmp_path / "seen.png"
    assert main([str(folder), "-o", str(picture)]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    for name, fault in (
        ("nan.nii.gz", "holds NaN or infinity in 1 of 8000 voxels"),
        ("flat.nii.gz", "all voxels are equal"),
        ("cut.nii.gz", "cut short"),
    ):
        assert sum(name in line and fault in line for line in err.splitlines()) == 1
    assert "4 of 7 scans can be used" in out
    assert "mask.nii.gz: looks like a map of labels: 2 distinct values" in out
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    assert min(Image.open(picture).size) > 200


def test_json_has_every_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--json"]) == 0
    rows = {row["scan"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {name: row["modality"] for name, row in rows.items()} == {
        "a.nii.gz": "MR?",
        "b.nii": "MR?",
        "c.nii.gz": "CT?",
        "mask.nii.gz": "MR?",
    }
    assert (rows["b.nii"]["axes"], rows["b.nii"]["mm"]) == ("LAS", [1.0, 1.0, 6.0])
    assert rows["b.nii"]["shape"] == [32, 32, 8]
    assert rows["a.nii.gz"]["noise %"] == pytest.approx(100 * 30 / 850, rel=0.2)


def test_what_is_left_out_is_counted(
    folder: Path, make_head: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(folder / "series", make_head((20, 20, 6)))
    (folder / "b.rec").write_bytes(b"x")
    assert main([str(folder)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"diff_medical.inspect: {folder}: left out: 6 .dcm (DICOM files beside other scans are no "
        "training data; give a folder of their own)",
        f"diff_medical.inspect: {folder}: left out: 1 .rec (not read; convert them to .nii.gz)",
    ]


def test_a_modality_that_the_values_deny_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"file": "a.nii.gz", "split": "train", "modality": "CT"},
        {"file": "c.nii.gz", "split": "train", "modality": "MR"},
    ]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert "a.nii.gz: is said to be CT, but its values are like MR" in said
    assert "c.nii.gz: is said to be MR, but its values are like CT" in said


def test_the_picture_stands_upright(tmp_path: Path, write_scan: Write, make_head: Make) -> None:
    """One head stored in two orders of axes gives the same picture."""
    head = make_head((32, 40, 20))
    turn = np.array([[0, -1.0, 0, 0], [0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])
    write_scan(head, "one/x.nii.gz")
    write_scan(head[::-1].transpose(2, 0, 1), "two/x.nii.gz", affine=turn)
    pixels = []
    for name in ("one", "two"):
        assert main([str(tmp_path / name), "-o", str(tmp_path / f"{name}.png")]) == 0
        pixels.append(np.asarray(Image.open(tmp_path / f"{name}.png")))
    assert np.array_equal(*pixels)


def test_wrong_use_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"precious")
    (tmp_path / "none").mkdir()
    for arguments, code, said in (
        ([str(tmp_path / "missing")], 1, "no such folder"),
        ([str(tmp_path / "none")], 1, "no NIfTI files"),
        ([str(folder), "-o", str(taken)], 2, "add --overwrite"),
    ):
        assert main(arguments) == code
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
    assert taken.read_bytes() == b"precious"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom diff_medical.inspect import main\nprint(main(['--help']))\n"
        "print([m for m in ('torch', 'nibabel', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0", "[]"]
