"""The splits that folders name, on the trees that people keep."""

from __future__ import annotations

from pathlib import PurePosixPath as Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_core.data import count_line, disagreement, folder_splits

TREES = {
    "at the top": {"train/p1/a": "train", "val/p2/a": "val", "test/p3/a": "test"},
    "other words": {"training/a": "train", "validation/b": "val", "testing/c": "test"},
    "more words": {"train/a": "train", "valid/b": "val", "dev/c": "val", "eval/d": "test"},
    "mixed case": {"Train/a": "train", "VAL/b": "val", "Test/c": "test"},
    "below a data set": {"one/train/p1/a": "train", "one/test/p2/a": "test", "2/dev/p3/a": "val"},
    "below a person": {"p1/train/a": "train", "p2/test/a": "test"},
    "without training": {"p1/a": None, "p2/a": None, "val/p3/a": "val", "test/p4/a": "test"},
    "loose files beside": {"a": None, "b": None, "test/c": "test"},
    "names that go on": {"train-clean-100/1/a": "train", "dev_clean/2/a": "val",
                         "test set/3/a": "test"},
    "beside kinds of sound": {"speech/p1/a": None, "noise/a": None, "test/b": "test"},
    "of a decathlon": {"imagesTr/a": "train", "imagesTs/b": "test"},
    "two letters": {"tr/a": "train", "cv/b": "val", "tt/c": "test"},
    "a person called test": {"anna/a": None, "bert/a": None, "test/a": None},
    "a person called dev": {"anna/a": None, "dev/a": None},
    "a person called test who trains": {"train/anna/a": "train", "train/test/a": "train",
                                        "val/b/a": "val"},
    "initials": {"tt/a": None, "ab/a": None},
    "a word inside a name": {"contest/a": None, "latest/a": None, "trainer/b": None},
}  # fmt: skip


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_folders_name_the_split_of_a_file(tree: dict[str, str | None]) -> None:
    found = folder_splits(map(Path, tree))
    assert {str(path): place.split for path, place in found.places.items()} == tree


def test_a_folder_that_is_taken_for_a_person_is_reported() -> None:
    found = folder_splits(map(Path, ("anna/a", "bert/b", "test/c")), noun="speaker")
    (remark,) = found.remarks
    assert "folder test is taken for a speaker, not for a split" in remark
    assert not folder_splits(map(Path, ("train/a", "test/c"))).remarks


def test_where_people_are_known_no_folder_is_a_person() -> None:
    files = [Path("sub-01/a"), Path("sub-02/a"), Path("test/sub-03/a")]
    assert folder_splits(files).places[files[2]].split is None
    assert folder_splits(files, people_known=True).places[files[2]].split == "test"


def test_the_folders_around_the_split_are_kept() -> None:
    (path,) = files = [Path("set/Train/anna/deep/a")]
    place = folder_splits(files).places[path]
    assert (place.folder, place.above, place.below) == ("Train", ("set",), ("anna", "deep"))


@given(
    st.lists(
        st.lists(st.sampled_from(["train", "Test", "val", "p1", "x"]), min_size=1, max_size=3),
        min_size=1,
        max_size=8,
    )
)
def test_beside_training_everything_below_test_is_for_the_test(trees: list[list[str]]) -> None:
    held = [Path("test", *tree, "file") for tree in trees]
    others = [Path("train", *tree, "file") for tree in trees]
    places = folder_splits([*held, *others]).places
    assert {places[path].split for path in held} == {"test"}
    assert {places[path].split for path in others} == {"train"}


def test_a_manifest_that_contradicts_the_folders_is_reported() -> None:
    said = [(Path("test/a"), "train", "test"), (Path("b"), "train", None)]
    assert "test/a (train in the manifest, below a folder for test)" in disagreement(said)  # type: ignore[arg-type]
    assert disagreement([(Path("test/a"), "test", "test")]) == ""


def test_counts_name_all_three_splits() -> None:
    line = count_line(["train", None, "test"], "scans")
    assert line.startswith("splits of 3 scans: 2 for training, 0 for validation, 1 for the test")
