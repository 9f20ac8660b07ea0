"""The splits that folders name: `train/ val/ test/`, at any depth and in any case.

One rule for all domains. A folder is that of a split if its name says so and it cannot be a
person's:

* `train`, `training`, `val`, `valid`, `validation`, and the `imagesTr`, `imagesTs` of nnU-Net
  always are;
* `test`, `testing`, `eval`, `evaluation`, `dev`, `development` are, unless they stand among other
  folders that may be people and none of these folders is another split's;
* `tr`, `cv`, `tt`, and a name that goes on, such as `train-clean-100` or `test_set`, are only
  beside a folder of another split.

Of several such folders in one path the outermost counts: `train/test/a.wav` trains, and is of a
speaker called `test`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from diff_core.data.split import Split

__all__ = ["FolderSplits", "Place", "count_line", "disagreement", "folder_splits", "split_of_name"]

ALWAYS: dict[str, Split] = {
    "train": "train", "training": "train", "trainset": "train", "imagestr": "train",
    "val": "val", "valid": "val", "validation": "val", "valset": "val",
    "imagests": "test", "testset": "test",
}  # fmt: skip
UNLESS_AMONG_PEOPLE: dict[str, Split] = {
    "dev": "val", "development": "val", "devset": "val",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test", "evalset": "test",
}  # fmt: skip
BESIDE_ANOTHER: dict[str, Split] = {"tr": "train", "cv": "val", "tt": "test"}
NAMES = ALWAYS | UNLESS_AMONG_PEOPLE | BESIDE_ANOTHER
NO_PEOPLE = frozenset(
    "speech clean noise noisy rir rirs audio wav wavs data images labels scans derivatives".split()
)
"""Names of folders that no person has."""

USES: dict[Split, str] = {"train": "training", "val": "validation", "test": "the test"}


@dataclass(frozen=True)
class Place:
    """The place of a file among folders.

    split:  the split whose folder it is below, or None
    folder: the name of that folder as it stands there, or ""
    above:  the folders above it; all folders of the path where there is no split
    below:  the folders below it
    """

    split: Split | None
    folder: str
    above: tuple[str, ...]
    below: tuple[str, ...]


@dataclass(frozen=True)
class FolderSplits:
    """The places of files.

    places:  the place of each file
    remarks: what a user should know: folders that are named like a split and are taken for people
    """

    places: Mapping[PurePath, Place]
    remarks: tuple[str, ...] = ()


def folder_splits(
    files: Iterable[PurePath], *, noun: str = "person", people_known: bool = False
) -> FolderSplits:
    """Return the split that the folders of each file name.

    files:        paths relative to the folder of the data set
    noun:         what a folder is of otherwise, for the remarks
    people_known: True where people are known by other means than folders (BIDS), so that a folder
                  called `test` is no person's
    """
    paths = sorted(set(files))
    folders = {path.parts[:depth] for path in paths for depth in range(1, len(path.parts))}
    children: dict[tuple[str, ...], set[str]] = {}
    for folder in folders:
        children.setdefault(folder[:-1], set()).add(folder[-1])
    found: dict[tuple[str, ...], Split] = {}
    for folder in folders:
        if split := _split(folder[-1], children[folder[:-1]], people_known):
            found[folder] = split
    doubtful = [
        folder
        for folder in sorted(folders)
        if folder not in found
        and folder[-1].casefold() in UNLESS_AMONG_PEOPLE
        and not any(folder[:depth] in found for depth in range(1, len(folder)))
    ]
    remarks = tuple(
        f"the folder {'/'.join(folder)} is taken for a {noun}, not for a split, because it stands "
        "among others: put those into a folder 'train' if it is one"
        for folder in doubtful
    )
    return FolderSplits({path: _place(path.parts[:-1], found) for path in paths}, remarks)


def split_of_name(name: str) -> Split | None:
    """Return the split that a folder of this name may stand for, or None."""
    return _named(name)[0]


def _place(folders: tuple[str, ...], found: Mapping[tuple[str, ...], Split]) -> Place:
    for depth in range(1, len(folders) + 1):
        if (split := found.get(folders[:depth])) is not None:
            return Place(split, folders[depth - 1], folders[: depth - 1], folders[depth:])
    return Place(None, "", folders, ())


def _split(name: str, beside: Collection[str], people_known: bool) -> Split | None:
    """Return the split of a folder called `name` among the folders `beside`, itself included."""
    split, word = _named(name)
    if split is None or word in ALWAYS or any(_named(o)[0] not in (None, split) for o in beside):
        return split
    people = not people_known and any(
        _named(other)[0] is None and other.casefold() not in NO_PEOPLE for other in beside
    )
    return split if word in UNLESS_AMONG_PEOPLE and not people else None


def _named(name: str) -> tuple[Split | None, str]:
    """Return the split that a name may stand for, and the word, "" for a name that goes on."""
    word = name.casefold()
    if word in NAMES:
        return NAMES[word], word
    first = re.split(r"[-_ .]", word, maxsplit=1)[0]
    longer = first in NAMES and first not in BESIDE_ANOTHER and first != word
    return (NAMES[first], "") if longer else (None, "")


def disagreement(said: Iterable[tuple[PurePath, Split, Split | None]]) -> str:
    """Return one line on files that a manifest gives another split than their folders name, or "".

    said: the file, the split of the manifest and that of the folders, for each file
    """
    others = [(path, split, place) for path, split, place in said if place not in (None, split)]
    if not others:
        return ""
    path, split, place = others[0]
    return (
        f"the manifest contradicts the folders for {len(others)} files, such as {path} "
        f"({split} in the manifest, below a folder for {place}): the manifest counts"
    )


def count_line(splits: Iterable[Split | None], noun: str) -> str:
    """Return the number of files of each split: "splits: 4 recordings for training, ..."."""
    counts = Counter(split or "train" for split in splits)
    said = ", ".join(f"{counts[split]} for {use}" for split, use in USES.items())
    left = " (left out of the training)" if counts["test"] else ""
    return f"splits of {sum(counts.values())} {noun}: {said}{left}"
