"""DICOM series as volumes, by pydicom (extra `diff-medical[dicom]`).

Slices are put in order by where they lie, not by their names or numbers. What does not make one
volume is refused with what is wrong (`diff_medical.scan.dicom.stack`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.stack import Stack, quiet, stacked
from diff_medical.scan.intensity import Modality
from diff_medical.scan.kinds import is_dicom
from diff_medical.scan.refusal import foreign

__all__ = ["Series", "Stack", "find_series", "is_dicom", "open_folder", "read_series", "reader"]

KINDS: dict[str, Modality] = {"MR": "mr", "CT": "ct"}
HEADER = ("SeriesInstanceUID", "Modality", "PatientID", "SeriesDescription", "Rows")


@dataclass(frozen=True)
class Series:
    """path: its first file. uid: its own. subject: a hash of the patient's number, which is not
    kept.
    """

    path: Path
    uid: str
    modality: Modality
    subject: str
    description: str


def find_series(folder: Path) -> tuple[list[Series], tuple[tuple[Path, str], ...]]:
    """The MR and CT series below a folder, and (file, why) of what else there is of DICOM."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and is_dicom(p)]
    if not files:
        return [], ()
    reader()  # ValueError without pydicom
    found: dict[tuple[Path, str], Series] = {}
    left_out: list[tuple[Path, str]] = []
    for path in files:
        try:
            said = _said(path)
        except ValueError as error:
            left_out.append((path, str(error)))
            continue
        kind = KINDS.get(said["Modality"])
        if kind is None or not said["Rows"]:
            left_out.append((path, f"is not an MR or CT image ({said['Modality'] or '?'})"))
            continue
        key = (path.parent, said["SeriesInstanceUID"])
        patient = said["PatientID"] or str(key)
        subject = hashlib.sha256(patient.encode("utf-8", "replace")).hexdigest()[:8]
        description = said["SeriesDescription"]
        found.setdefault(key, Series(path, key[1], kind, f"patient-{subject}", description))
    return list(found.values()), tuple(left_out)


def read_series(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    """The series of the file `path`: values (X, Y, Z) float32, affine (4, 4) to RAS mm, notes.

    The series are the files of its folder with its SeriesInstanceUID. Values have the rescale
    slope and intercept applied: HU for CT. Raises ValueError if they do not make one volume.
    """
    wanted = _said(path)["SeriesInstanceUID"]
    stack = stacked([*_slices(sorted(path.parent.iterdir()), wanted)])
    places = len(stack.slices)
    notes = (f"{places + stack.repeats} slices at {places} places: the first at each is used",)
    return stack.values(), stack.affine, notes if stack.repeats else ()


def open_folder(folder: Path, keeper: object = None) -> Stack:
    """The one MR or CT series that lies in `folder`, or below it.

    Other DICOM objects (directories, reports, screenshots) are left alone. `keeper` is what must
    live as long as the folder. Raises ValueError if there is no series or more than one, or if
    its slices do not make one volume.
    """
    series, left_out = find_series(folder)
    if not series:
        why = f" ({left_out[0][0].name} {left_out[0][1]})" if left_out else ""
        raise ValueError(f"holds no MR or CT series{why}; give the folder of one")
    uids = {one.uid for one in series}
    if len(uids) > 1:
        names = ", ".join(s.description or s.path.name for s in series[:4])
        more = ", ..." if len(series) > 4 else ""
        raise ValueError(
            f"holds {len(uids)} series mixed ({names}{more}); put each in a folder of its own"
        )
    return stacked([*_slices(sorted(folder.rglob("*")), series[0].uid)], keeper)


def reader() -> Any:
    """pydicom's dcmread, without its remarks on other makers' habits: for what it cannot read it
    raises ValueError. Raises ValueError itself where pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("DICOM needs pydicom; pip install 'diff-medical[dicom]'") from error

    def read(*arguments: Any, **options: Any) -> Any:
        with foreign(_unreadable), quiet():
            return pydicom.dcmread(*arguments, **options)

    return read


def _unreadable(why: str) -> ValueError:
    return ValueError(f"cannot be read as DICOM ({why}); copy it again")


def _said(path: Path) -> dict[str, str]:
    """Return the tags of a file that concern its series, "" where one is missing. Raises
    ValueError if the file is damaged.
    """
    header = reader()(path, stop_before_pixels=True, specific_tags=list(HEADER))
    with foreign(_unreadable), quiet():
        return {name: _text(header.get(name)) for name in HEADER}


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _slices(files: Iterable[Path], uid: str) -> Iterator[Any]:
    """The headers of the images of a series among files."""
    dcmread = reader()
    for file in files:
        if not (file.is_file() and is_dicom(file)):
            continue
        try:
            one = dcmread(file, stop_before_pixels=True)
            with foreign(_unreadable), quiet():
                belongs = _text(one.get("SeriesInstanceUID")) == uid and "Rows" in one
        except ValueError as error:
            raise ValueError(f"its file {file.name} {error}") from error
        if belongs:
            yield one
