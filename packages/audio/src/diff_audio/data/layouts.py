"""The layout of a folder of recordings: a public corpus's, one for each split, or a plain tree.

Folders called `train`, `val`, `test` and so on are splits in every layout, by the rule of
`diff_core.data.folders`. A tree that no layout knows is "plain": the folder below the root names
the speaker.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from diff_audio.data.published import LAYOUTS
from diff_audio.data.recordings import Kind, Row, recordings, sounds
from diff_audio.sound.names import is_made_here
from diff_core.data import FolderSplits, Place, Split, folder_splits

__all__ = ["Kind", "Layout", "Row", "held_out", "places", "recognise", "sounds"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """The recordings of a folder.

    name:    the layout's, or "plain"
    remarks: what a user should know of folders that are named like a split
    """

    name: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def recognise(folder: Path, kind: Kind = "speech") -> Layout:
    """Return the layout of a folder, or of the only folder inside it. `kind` is what a plain tree
    holds.

    Files that this package made of others beside them are left out, with a warning. Raises
    ValueError if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder}: no such folder")
    folder = folder.resolve()
    if made := [path for path in sounds(folder) if is_made_here(path)]:
        log.warning(
            "%s: %d left out: outputs of diff_audio beside what they were made from, such as %s",
            folder, len(made), made[0].name,
        )  # fmt: skip
    files = recordings(folder)
    inside = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".")]
    roots = (folder, *inside) if len(inside) == 1 and inside[0].is_dir() else (folder,)
    for root in roots:
        name, rows = _known(root, kind, files)
        if rows:
            found = places(folder, [row.path for row in rows]).places
            rows = [
                row
                if row.split
                else replace(row, split=held_out(found[row.path.relative_to(folder)]))
                for row in rows
            ]
            return Layout(name, tuple(sorted(rows, key=lambda row: row.path)))
    found = places(folder, files)
    return Layout(
        "plain",
        tuple(_plain(folder, kind, files, found)),
        found.remarks if kind == "speech" else (),
    )


def places(folder: Path, files: Iterable[Path]) -> FolderSplits:
    """Return the place of each file, by its path relative to the folder."""
    return folder_splits([path.relative_to(folder) for path in files], noun="speaker")


def held_out(place: Place) -> Split | None:
    """Return the split of a place; None below `train` too, of which some may be held out."""
    return None if place.split == "train" else place.split


def _known(root: Path, kind: Kind, files: Iterable[Path]) -> tuple[str, list[Row]]:
    """Return the layout that knows a folder, or the folders of splits in it, and its recordings.

    A folder for the test of which no layout knows anything is plain. Where that holds of another
    split's, the tree as a whole is plain, and there are no recordings.
    """
    name, rows = _asked(root)
    seen = {row.path for row in rows}
    below = [path for path in files if root in path.parents]
    found = places(root, below)
    tops = {place.folder: place for place in found.places.values() if not place.above}
    for top, place in sorted(tops.items()):
        inside = [path for path in below if path.relative_to(root).parts[0] == top]
        if place.split is None or seen.intersection(inside):
            continue
        inner, more = _asked(root / top)
        if not more and place.split != "test":
            return "", []
        rows += [_of_part(row, root, top) for row in more]
        rows += [] if more else _plain(root, kind, inside, found)
        name = name or inner
    return (name, rows) if name else ("", [])


def _asked(root: Path) -> tuple[str, list[Row]]:
    for name, rows_of in LAYOUTS.items():
        if rows := rows_of(root):
            return name, rows
    return "", []


def _of_part(row: Row, root: Path, part: str) -> Row:
    """Return the row of a split's folder: its set is that around it, and a recording that is a
    speaker of its own is so in this split only.
    """
    group = root.name if row.group == part else row.group
    *_, speaker = row.speaker.split("/")
    if speaker == (row.pair or row.path).stem:
        return replace(row, group=group, speaker=f"{group}/{part}/{speaker}")
    if row.group == part:
        return replace(
            row, group=group, speaker=f"{group}/{group if speaker == part else speaker}"
        )
    return row


def _plain(folder: Path, kind: Kind, files: Iterable[Path], found: FolderSplits) -> list[Row]:
    rows: list[Row] = []
    for path in files:
        place = found.places[path.relative_to(folder)]
        group, speaker = _speaker(folder, path, place, kind)
        rows.append(Row(path, kind, group, speaker, held_out(place)))
    return rows


def _speaker(folder: Path, path: Path, place: Place, kind: Kind) -> tuple[str, str]:
    """Return the group and the speaker of a file of a plain tree.

    The folder below the root names the speaker; around the folder of a split, the one above it
    names the data set and the one below it the speaker. A noise, and a file without a speaker's
    folder, is a speaker of its own.
    """
    above, below = place.above[:1], place.below[:1]
    group = (above or below or (folder.name,))[0]
    named = below or above
    if kind == "speech" and named:
        return group, f"{group}/{named[0]}"
    return group, "/".join((group, *([place.folder] if place.folder else []), path.stem))
