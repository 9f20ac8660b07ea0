"""Trees of scans with folders for training, validation and the test: none of the test is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from diff_medical.data.studies import CorpusError, find_scans, find_study
from diff_medical.data.volumes import build_corpus
from diff_medical.generator.data.corpus import Selection
from diff_medical.generator.data.corpus import build_corpus as build_images
from diff_medical.generator.data.cutting import Cutting
from diff_medical.inspect import main as inspect

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]

TREES = {
    "at the top": {"train/p1/a": "train", "val/p2/b": "val", "test/p3/c": "test"},
    "flat": {"train/a": "train", "val/b": "val", "test/c": "test"},
    "other words": {"training/a": "train", "validation/b": "val", "eval/c": "test"},
    "mixed case": {"Train/a": "train", "Valid/b": "val", "TEST/c": "test"},
    "below a data set": {"one/train/a": "train", "one/dev/b": "val", "one/test/c": "test"},
    "below a person": {"p1/train/a": "train", "p2/val/b": "val", "p3/test/c": "test"},
    "beside people": {"p1/a": "train", "p2/b": "train", "val/p3/c": "val", "test/p4/d": "test"},
    "without validation": {"train/a": "train", "test/c": "test"},
    "of a decathlon": {"imagesTr/a": "train", "imagesTs/c": "test"},
    "of BIDS": {"train/sub-01/sub-01_T1w": "train", "val/sub-02/sub-02_T1w": "val",
                "test/sub-03/sub-03_T1w": "test"},
    "BIDS, beside people": {"sub-01/sub-01_T1w": "train", "val/sub-02/sub-02_T1w": "val",
                            "test/sub-03/sub-03_T1w": "test"},
}  # fmt: skip


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_the_folders_give_the_split_and_inspect_the_counts(
    tmp_path: Path,
    write_scan: Write,
    make_head: Make,
    tree: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for seed, name in enumerate(tree):
        write_scan(make_head((20, 20, 20), seed), f"data/{name}.nii.gz")
    root = tmp_path / "data"
    study = find_study(root)
    found = {str(r.path.relative_to(root)).removesuffix(".nii.gz"): r.split for r in study.rows}
    assert found == tree
    volumes = build_corpus(study.rows, tmp_path / "cache")
    used = {volume.row.path for volume in volumes if volume.row}
    assert {found[str(p.relative_to(root)).removesuffix(".nii.gz")] for p in used} == {"train"}
    counts = [list(tree.values()).count(split) for split in ("train", "val", "test")]
    line = "{} for training, {} for validation, {} for the test".format(*counts)
    assert line in study.counts  # what a dry run prints
    assert inspect([str(root)]) == 0
    assert line in capsys.readouterr().out


def test_a_person_called_test_stays_a_person(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    for seed, name in enumerate(("anna/a", "bert/b", "test/c")):
        write_scan(make_head((20, 20, 20), seed), f"data/{name}.nii.gz")
    study = find_study(tmp_path / "data")
    assert {row.split for row in study.rows} == {"train"}
    assert any("test is taken for a person" in line for line in study.remarks())
    write_scan(make_head((20, 20, 20)), "data/val/d.nii.gz")  # is beside another split: no person
    splits = {r.path.parent.name: r.split for r in find_scans(tmp_path / "data")}
    assert splits == {"anna": "train", "bert": "train", "test": "test", "val": "val"}


def test_people_of_bids_and_dicom_are_held_out_of_those_who_train(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    for number in range(6):
        part = "test" if number == 5 else "train"
        write_scan(
            make_head((20, 20, 20), number), f"bids/{part}/sub-0{number}/sub-0{number}_T1w.nii.gz"
        )
    rows = find_scans(tmp_path / "bids")
    assert sorted(row.split for row in rows) == ["test", *["train"] * 4, "val"]
    assert {row.subject for row in rows if row.split == "test"} == {"sub-05"}
    cube = make_head((12, 12, 6))
    for number, part in enumerate(("train", "train", "test")):
        folder = tmp_path / "dicom" / part / f"s{number}"
        write_series(folder, cube, uid=f"1.{number}", PatientID=f"p{number}")
    splits = {row.path.parts[-3]: row.split for row in find_scans(tmp_path / "dicom")}
    assert splits["test"] == "test" and splits["train"] in ("train", "val")


def test_the_generator_uses_nothing_of_the_test(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    for number in range(5):
        part = "test" if number == 4 else "train"
        name = f"data/{part}/p{number}_t1_head.nii.gz"
        write_scan(make_head((32, 32, 32), number), name, affine=np.diag([6.0, 6, 6, 1]))
    rows = find_scans(tmp_path / "data")
    assert sum(row.split == "test" for row in rows) == 1
    corpus = build_images(
        rows, tmp_path / "cache", Cutting(16, 2, {"": 192.0}), Selection(subject=r"p\d")
    )
    assert {entry.subject for entry in corpus.entries} == {f"p{n}" for n in range(4)}
    assert {entry.split for entry in corpus.entries} == {"train", "val"}


def test_a_folder_without_training_scans_says_so(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    for part in ("val", "test"):
        write_scan(make_head((20, 20, 20)), f"data/{part}/{part}.nii.gz")
    rows = find_scans(tmp_path / "data")
    with pytest.raises(CorpusError, match="nothing is left to train on; .*1 for the test"):
        build_corpus(rows, tmp_path / "cache")
    with pytest.raises(CorpusError, match="nothing is left to train on"):
        build_images(rows, tmp_path / "images", Cutting(16, 2, {"": 192.0}))


def test_the_manifest_counts_and_a_contradiction_is_reported(
    tmp_path: Path, write_scan: Write, make_head: Make
) -> None:
    for part in ("train", "test"):
        write_scan(make_head((20, 20, 20)), f"data/{part}/{part}.nii.gz")
    lines = [{"file": "test/test.nii.gz", "split": "train"},
             {"file": "train/train.nii.gz", "split": "test"}]  # fmt: skip
    (tmp_path / "data" / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    study = find_study(tmp_path / "data")
    assert {row.path.stem: row.split for row in study.rows} == {
        "test.nii": "train",
        "train.nii": "test",
    }
    assert any("contradicts the folders for 2 files" in line for line in study.remarks())
