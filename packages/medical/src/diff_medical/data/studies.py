"""Which scans a folder holds: a manifest, a BIDS tree, DICOM series, or any tree of NIfTI files.

K. Gorgolewski et al., "The brain imaging data structure, a format for organizing and describing
outputs of neuroimaging experiments", Scientific Data 2016.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from diff_core.data import (
    Split,
    assign,
    count_line,
    disagreement,
    folder_splits,
    read_manifest,
    refuse_shared,
)
from diff_medical.scan.bids import BIDS_CT, BIDS_MR, is_derivative
from diff_medical.scan.declared import no_magnitude
from diff_medical.scan.intensity import Modality
from diff_medical.scan.kinds import SCANS, is_alone
from diff_medical.scan.names import is_made_here

__all__ = ["CorpusError", "Row", "Study", "find_scans", "find_study", "is_synthetic"]

SYNTHETIC = "is marked as synthetic"
MADE_HERE = "is an output of diff_medical beside what it was made from"
REASONS = 5  # that are told


class CorpusError(ValueError):
    """There is nothing to train on."""


@dataclass(frozen=True)
class Row:
    """A scan on disk and what is said of it.

    path:     a NIfTI file, or the first file of a DICOM series
    modality: None to recognise it by its values
    subject:  who was scanned; "" where that is not known, and the file stands for itself
    contrast: what was scanned: "T1w", "bold", a series description; "" where that is not known
    volume:   which volume of a 4-D scan
    about:    the manifest's own words on modality and part of the body
    """

    path: Path
    split: Split
    modality: Modality | None = None
    licence: str = ""
    subject: str = ""
    contrast: str = ""
    volume: int = 0
    about: str = field(default="", compare=False)


@dataclass(frozen=True)
class Study:
    """The scans of a folder.

    layout:   "manifest", "BIDS", "DICOM" or "plain"
    left_out: (file, why) of each scan that is not for training
    notes:    what a user should know of folders that are named like a split
    """

    layout: str
    rows: tuple[Row, ...]
    left_out: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> str:
        """Return the number of scans of each split, in one line."""
        return count_line((row.split for row in self.rows), "scans")

    def remarks(self) -> tuple[str, ...]:
        """Return the notes, and what is left out, counted by its reason; of many reasons the
        commonest.
        """
        reasons = Counter(why for _, why in self.left_out).most_common(REASONS)
        rest = len(self.left_out) - sum(count for _, count in reasons)
        lines = [f"{count} left out: {why}" for why, count in reasons]
        more = [f"{rest} left out for other reasons"] if rest else []
        return (*(f"note: {note}" for note in self.notes), *lines, *more)


def find_scans(data: Path, manifest: Path | None = None, *, real: bool = False) -> list[Row]:
    """The scans under `data`, with their split.

    A manifest has one JSON object a line: `file` (relative to the manifest), `split` ("train",
    "val" or "test") and optionally `modality` (begins with "MR" or "CT"), `body`, `licence`,
    `subject`, `contrast` and `volume`; `manifest.jsonl` in `data` is found by itself. Without one,
    folders called `train`, `val`, `test` and so on give the split (`diff_core.data.folders`); if
    none is for validation, and the subjects are known (BIDS, DICOM), one in twenty of those who
    are not in the test is, at least one; and outputs of this package beside what they were made
    from are left out.

    real: leave out what is marked as synthetic (`diff_medical.provenance`)

    Raises CorpusError if the folder is missing, a line of the manifest cannot be used, or nothing
    is found; ValueError for a subject in two splits. Scans of the test split are among the rows,
    and are not trained on.
    """
    return list(find_study(data, manifest, real=real).rows)


def find_study(data: Path, manifest: Path | None = None, *, real: bool = False) -> Study:
    """Return the study of `find_scans`, with the layout and what was left out."""
    if not data.is_dir():
        raise CorpusError(f"{data}: no such folder")
    if manifest is None and (data / "manifest.jsonl").is_file():
        manifest = data / "manifest.jsonl"
    if manifest is not None:
        study = Study("manifest", tuple(_read_manifest(manifest)))
    else:
        study = _without(_search(data), partial(_is_output, data), MADE_HERE)
    if real:
        study = _without(study, is_synthetic, SYNTHETIC)
    if manifest is None:
        study = _split(study, data)
    elif line := _contradiction(study.rows, data):
        study = replace(study, notes=(line,))
    if not study.rows:
        raise CorpusError(
            f"{manifest or data}: no NIfTI files (.nii, .nii.gz) or DICOM series to train on"
            + "".join(f"; {remark}" for remark in study.remarks())
        )
    splits: dict[str, list[str]] = {}
    for row in study.rows:
        splits.setdefault(row.subject or str(row.path), []).append(row.split)
    refuse_shared(splits, "subject")
    return study


def is_synthetic(path: Path) -> bool:
    """Return True for a scan that is marked as synthetic, False for one that cannot be read."""
    from diff_medical.marks.told import tell

    try:
        return bool(tell(path).synthetic)
    except Exception:  # pydicom raises many kinds for a damaged file; who reads it will say so
        return False


def _is_output(data: Path, path: Path) -> bool:
    place = path if SCANS.matches(path) else path.parent
    return place != data and is_made_here(place)  # a folder that is given is wanted


def _without(study: Study, is_it: Callable[[Path], bool], why: str) -> Study:
    unwanted = {row.path for row in study.rows if is_it(row.path)}
    kept = tuple(row for row in study.rows if row.path not in unwanted)
    found = tuple((path, why) for path in sorted(unwanted))
    return replace(study, rows=kept, left_out=study.left_out + found)


def _search(data: Path) -> Study:
    files = sorted(
        path
        for path in data.rglob("*")
        if SCANS.matches(path)
        and not is_alone(path)
        and not any(part.startswith(".") for part in path.relative_to(data).parts)
    )
    if any(_subject(path) for path in files):
        return _bids(data, files)
    if files:
        return Study("plain", tuple(Row(path, "train") for path in files))
    from diff_medical.scan.dicom.series import find_series

    series, left_out = find_series(data)
    rows = tuple(Row(s.path, "train", s.modality, "", s.subject, s.description) for s in series)
    return Study("DICOM", rows, left_out)


def _subject(path: Path) -> str:
    found = re.match(r"(sub-[a-zA-Z0-9]+)_", path.name)
    return found[1] if found else ""


def _bids(data: Path, files: Sequence[Path]) -> Study:
    rows: list[Row] = []
    left_out: list[tuple[Path, str]] = []
    for path in files:
        stem, _ = SCANS.split(path.name)
        suffix = stem.rsplit("_", 1)[-1]
        modality: Modality | None = (
            "mr" if suffix in BIDS_MR else "ct" if suffix in BIDS_CT else None
        )
        if not _subject(path):
            left_out.append((path, "has no BIDS name (sub-..._suffix)"))
        elif modality is None:
            left_out.append((path, f"its BIDS suffix '{suffix}' is not that of an MR or CT scan"))
        elif reason := no_magnitude(path):
            left_out.append((path, f"is {reason}"))
        elif "derivatives" in path.relative_to(data).parts or is_derivative(path):
            left_out.append((path, "is a derivative of another scan"))
        else:
            rows.append(Row(path, "train", modality, "", _subject(path), suffix))
    return Study("BIDS", tuple(rows), tuple(left_out))


def _split(study: Study, data: Path) -> Study:
    rows = study.rows
    paths = [row.path.relative_to(data) for row in rows]
    found = folder_splits(paths, people_known=study.layout == "BIDS")
    of = {row.path: found.places[path].split for row, path in zip(rows, paths, strict=True)}
    subjects = {row.subject for row in rows if of[row.path] != "test"}
    chosen: dict[str, Split] = {}
    if "val" not in of.values() and "" not in subjects and len(subjects) > 1:
        chosen = assign(subjects)
    made = tuple(
        replace(row, split=split if (split := of[row.path]) in ("val", "test")
                else chosen.get(row.subject, "train"))
        for row in rows
    )  # fmt: skip
    return replace(study, rows=made, notes=found.remarks)


def _contradiction(rows: Sequence[Row], data: Path) -> str:
    """Return one line on scans that the manifest gives another split than their folders, or ""."""
    below = [row for row in rows if row.path.is_relative_to(data)]
    places = folder_splits(row.path.relative_to(data) for row in below).places
    return disagreement(
        (row.path, row.split, places[row.path.relative_to(data)].split) for row in below
    )


def _read_manifest(manifest: Path) -> Iterator[Row]:
    try:
        rows = read_manifest(manifest, split_required=True)
    except ValueError as error:
        raise CorpusError(str(error)) from error
    for row in rows:
        fields = row.fields
        try:
            volume = int(fields.get("volume") or 0)
        except (ValueError, TypeError) as error:
            raise CorpusError(
                f"manifest {manifest}, line {row.line}: volume is {fields['volume']!r}; expected "
                "a whole number"
            ) from error
        declared = str(fields.get("modality") or "")[:2].lower()
        modality = "ct" if declared == "ct" else "mr" if declared == "mr" else None
        licence, subject, contrast = (
            str(fields.get(key) or "") for key in ("licence", "subject", "contrast")
        )
        about = f"{fields.get('modality') or ''}, {fields.get('body') or ''}"
        assert row.split is not None
        yield Row(row.file, row.split, modality, licence, subject, contrast, volume, about)
