"""Blind reading tests: what readers get, what they cannot learn from it, and the scores."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.stats import beta

from diff_medical.metrics.reading import area, read_answers, score_answers
from diff_medical.read import main

Out = pytest.CaptureFixture[str]


def ball(shape: tuple[int, int, int], mm: float, bright: float, seed: int) -> np.ndarray:
    axes = [(np.arange(n) - n / 2) * mm for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    rng = np.random.default_rng(seed)
    inside = (x / 40) ** 2 + (y / 50) ** 2 + (z / 40) ** 2 < 1
    return np.where(inside, bright * rng.uniform(0.7, 1.0, shape), 0).astype(np.float32)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Four real scans of 2 mm, five synthetic ones of 4 mm in another frame and unit."""
    for kind in ("real", "made"):
        (tmp_path / kind).mkdir()
    for number in range(4):
        values = ball((48, 60, 48), 2.0, 900.0, number)
        image = nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1]))
        image.to_filename(tmp_path / f"real/sub-{number}_T1w.nii.gz")
    for number in range(5):
        image = nib.Nifti1Image(ball((40, 40, 40), 4.0, 3.0, number), np.diag([4.0, 4, 4, 1]))
        image.header["descrip"] = b"SYNTHETIC by a test"
        image.to_filename(tmp_path / f"made/t1_00000{number}_desc-synthetic.nii.gz")
    return tmp_path


def make(folder: Path, *more: str) -> int:
    both = (str(folder / "real"), str(folder / "made"))
    return main([*both, "-o", str(folder / "trial"), *more])


def key(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "trial/key.json").read_text())


def pictures(folder: Path) -> dict[str, Any]:
    return {p.stem: Image.open(p) for p in (folder / "trial/test/pictures").iterdir()}


def test_a_reader_cannot_learn_which_picture_is_real(folders: Path) -> None:
    assert make(folders) == 0
    held, found = key(folders)["trials"], pictures(folders)
    assert sorted(row["kind"] for row in held.values()) == ["real"] * 4 + ["synthetic"] * 4
    assert set(held) == set(found) and list(held) == sorted(held)
    text = (folders / "trial/test/index.html").read_text()
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert data is not None
    assert json.loads(data[1])["trials"] == [{"trial": name} for name in sorted(found)]
    assert not re.search(r"sub-\d|desc-|t1_0", text) and "http" not in text
    # neither size, mode nor texts tell; the balls fill their frame alike, in another unit too
    assert len({(one.size, one.mode, *one.info.items()) for one in found.values()}) == 1
    boxes = {name: one.getbbox() for name, one in found.items()}
    sides = np.array([[b[2] - b[0], b[3] - b[1]] for b in boxes.values()])
    assert (np.ptp(sides, axis=0) < 0.06 * sides.max(0)).all()
    bright = {k: np.mean([np.asarray(found[n])[np.asarray(found[n]) > 20].mean()
                          for n, row in held.items() if row["kind"] == k])
              for k in ("real", "synthetic")}  # fmt: skip
    assert abs(bright["real"] / bright["synthetic"] - 1) < 0.05
    # and all have the detail of the coarsest: 2 mm voxels are averaged to 4
    rough = {k: np.mean([np.abs(np.diff(np.asarray(found[n], float)[100:200, 120:240])).mean()
                         for n, row in held.items() if row["kind"] == k])
             for k in ("real", "synthetic")}  # fmt: skip
    assert rough["real"] < 1.1 * rough["synthetic"]


def test_one_plane_and_the_seed(folders: Path) -> None:
    assert make(folders, "--view", "axial", "-n", "4", "--seed", "3") == 0
    first = key(folders)
    assert len(first["trials"]) == 4
    (wide,) = {one.size[0] for one in pictures(folders).values()}
    (folders / "trial").rename(folders / "first")
    assert make(folders, "--view", "axial", "-n", "4", "--seed", "3") == 0
    assert key(folders) == first
    (folders / "trial").rename(folders / "second")
    assert make(folders, "-n", "4", "--seed", "4") == 0
    assert not set(key(folders)["trials"]) & set(first["trials"])
    assert {one.size[0] > 2 * wide for one in pictures(folders).values()} == {True}


@pytest.mark.parametrize("fault", ["marked", "empty", "damaged", "air", "there", "lacking"])
def test_a_test_that_would_be_wrong_is_not_made(fault: str, folders: Path, capsys: Out) -> None:
    path, code, says = folders / "real/sub-1_T1w.nii.gz", 1, "sub-1_T1w.nii.gz"
    more: tuple[str, ...] = ()
    if fault == "marked":
        image: Any = nib.load(next((folders / "made").iterdir()))
        image.to_filename(path)
    elif fault == "empty":
        for one in (folders / "made").iterdir():
            one.unlink()
        says = "no samples"
    elif fault == "damaged":
        path.write_bytes(path.read_bytes()[:900])
    elif fault == "air":
        nib.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)).to_filename(path)
    elif fault == "there":
        (folders / "trial").mkdir()
        (folders / "trial/mine.txt").write_text("mine")
        code, says = 2, "not empty"
    else:
        assert main([str(folders / "real"), "-o", str(folders / "trial")]) == 2
        code, more, says = 2, ("--score", "x.json"), "--score goes without"
    capsys.readouterr()
    assert make(folders, *more) == code
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1
    assert not (folders / "trial/key.json").exists()
    assert not (folders / "trial/test/index.html").exists()


def answers(folder: Path, reader: str, marks: dict[str, list[int]], **more: object) -> Path:
    """The file that the page would give, with marks -3 to 3 by kind."""
    held, left = key(folder), {kind: list(values) for kind, values in marks.items()}
    rows = []
    for trial, row in held["trials"].items():
        mark = left[row["kind"]].pop(0)
        rows.append({"trial": trial, "answer": "synthetic" if mark > 0 else "real",
                     "sure": abs(mark), "seconds": 1.5})  # fmt: skip
    path = folder / f"answers-{reader}.json"
    path.write_text(json.dumps({"test": held["test"], "reader": reader, "trials": rows} | more))
    return path


def test_the_scores_of_readers(folders: Path, capsys: Out) -> None:
    assert make(folders) == 0
    good = answers(folders, "good", {"real": [-3, -2, -1, 1], "synthetic": [3, 3, 2, 1]})
    poor = answers(folders, "poor", {"real": [3, -1, 2, -1], "synthetic": [-3, 1, -2, 1]})
    where = folders / "trial/key.json"
    result = score_answers(read_answers(where, [good, poor]))
    one = result.readers["good"]
    assert (one.right, one.pictures, one.accuracy.mean) == (7, 8, 7 / 8)
    # Clopper and Pearson's ends are quantiles of beta laws
    assert one.accuracy.low == pytest.approx(beta.ppf(0.025, 7, 2))
    assert one.accuracy.high == pytest.approx(beta.ppf(0.975, 8, 1))
    assert one.chance == pytest.approx((8 + 1) / 2**8)
    # 15 pairs have the synthetic one above, one is a tie
    assert one.area.mean == pytest.approx(15.5 / 16) and one.area.count == 4
    assert result.accuracy.mean == pytest.approx((7 / 8 + 4 / 8) / 2)
    capsys.readouterr()
    good.rename(where.with_name("good.json"))
    assert main(["--score", str(where.with_name("good.json"))]) == 0
    said = capsys.readouterr().out
    assert "good" in said and "0.875 (0.473 to 0.997)" in said and "0.969" in said
    words = ["--score", str(poor), "--score", str(where.with_name("good.json"))]
    assert main([*words, "--key", str(where), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["readers"]["poor"]["right"] == 4


def test_the_interval_of_the_area_holds_its_bound_and_covers() -> None:
    found = area([0.0] * 20, [1.0] * 30)
    assert found.mean == found.high == 1 and found.count == 20
    # KL(1, m) = -ln m
    assert found.low == pytest.approx(math.exp(-math.log(40) / 20))
    assert area([1], [1]).mean == 0.5
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        real, made = rng.integers(-3, 3, 12), rng.integers(-2, 4, 15)
        one = area(real.tolist(), made.tolist())
        truth = np.mean([(a > b) + 0.5 * (a == b) for a in range(-2, 4) for b in range(-3, 3)])
        covered += one.low <= truth <= one.high
    assert covered >= 190
    with pytest.raises(ValueError, match="empty"):
        area([], [1])


@pytest.mark.parametrize("fault", ["test", "sure", "answer", "missing", "twice", "json", "key"])
def test_answers_that_cannot_be_used_are_refused(fault: str, folders: Path, capsys: Out) -> None:
    assert make(folders) == 0
    marks = {"real": [-1] * 4, "synthetic": [1] * 4}
    path = answers(folders, "x", marks, **({"test": "another"} if fault == "test" else {}))
    held = json.loads(path.read_text())
    if fault in ("sure", "answer"):
        held["trials"][1][fault] = 4 if fault == "sure" else None
    elif fault == "missing":
        held["trials"].pop()
    path.write_text("[" if fault == "json" else json.dumps(held))
    files = ["--score", str(path)] * (2 if fault == "twice" else 1)
    where = folders / "trial/key.json"
    if fault == "key":
        where.write_text(json.dumps({"test": "a", "trials": {"b": {"name": "sound"}}}))
    capsys.readouterr()
    assert main([*files, "--key", str(where)]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert ("key.json" if fault == "key" else "answers-x.json") in said
