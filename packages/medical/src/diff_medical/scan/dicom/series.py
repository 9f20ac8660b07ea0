"""DICOM series as volumes, by pydicom (extra `diff-medical[dicom]`).

Slices are put in order by where they lie, not by their names or numbers. What does not make one
volume is refused with what is wrong (`diff_medical.scan.dicom.stack`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.pixels import quiet
from diff_medical.scan.dicom.stack import Stack, stacked
from diff_medical.scan.intensity import Modality
from diff_medical.scan.kinds import dicom_files, is_dicom
from diff_medical.scan.refusal import foreign

__all__ = ["Series", "Stack", "find_series", "is_dicom", "open_folder", "read_series", "reader"]

KINDS: dict[str, Modality] = {"MR": "mr", "CT": "ct"}
HEADER = ("SOPClassUID", "ImageType", "SeriesInstanceUID", "Modality", "PatientID",
          "SeriesDescription", "Rows")  # fmt: skip
CAPTURES = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture: pictures of a screen, also of frames
# Values of Image Type that scanners give to what goes with a scan.
ASIDE = {
    "LOCALIZER": "a localizer", "SCOUT": "a localizer", "CT_SOM5 TOP": "a localizer",
    "CT_SOM5 PROT": "a report", "DOSE_INFO": "a report", "SCREEN SAVE": "a report",
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """path: its first file. uid: its own. subject: a hash of the patient's number, which is not
    kept. aside: what it is beside a scan ("a localizer"), "" for a scan.
    """

    path: Path
    uid: str
    modality: Modality
    subject: str
    description: str
    aside: str = ""


def find_series(folder: Path) -> tuple[list[Series], tuple[tuple[Path, str], ...]]:
    """The MR and CT scans below a folder, and (file, why) of what else there is of DICOM.

    Hidden files and folders are left out without a word.
    """
    series, left_out = _find(dicom_files(folder))
    aside = [(one.path, f"is {one.aside}") for one in series if one.aside]
    return [one for one in series if not one.aside], (*left_out, *aside)


def _find(files: list[Path]) -> tuple[list[Series], tuple[tuple[Path, str], ...]]:
    """The MR and CT series among files, localizers and reports too, and what is no image."""
    if not files:
        return [], ()
    reader()  # ValueError without pydicom
    found: dict[tuple[Path, str, str], Series] = {}
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
        uid, aside = said["SeriesInstanceUID"], _aside(said)
        patient = said["PatientID"] or str((path.parent, uid))
        subject = hashlib.sha256(patient.encode("utf-8", "replace")).hexdigest()[:8]
        one = Series(path, uid, kind, f"patient-{subject}", said["SeriesDescription"], aside)
        found.setdefault((path.parent, uid, aside), one)
    return list(found.values()), tuple(left_out)


def _aside(said: dict[str, str]) -> str:
    if said["SOPClassUID"].startswith(CAPTURES):
        return "a picture of a screen"
    kinds = said["ImageType"].upper()
    return next((what for word, what in ASIDE.items() if word in kinds), "")


def read_series(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    """The series of the file `path`: values (X, Y, Z) or (X, Y, Z, V) float32, affine (4, 4) to
    RAS mm, notes.

    The series are the files of its folder with its SeriesInstanceUID. Values have the rescale
    slope and intercept applied: HU for CT. Raises ValueError if they do not make one volume, or
    several at the same, even places.
    """
    said = _said(path)
    files = dicom_files(path.parent, recursive=False)
    stack = stacked([*_slices(files, said["SeriesInstanceUID"], _aside(said))])
    if not stack.heights.is_even:
        raise ValueError(stack.heights.notes()[0].partition(":")[0] + "; resample it first")
    places = stack.shape[2]
    if stack.repeats:
        used = f"{places + stack.repeats} slices at {places} places: the first at each is used"
        return stack.values(), stack.affine, (*stack.notes, used)
    return stack.values(), stack.affine, stack.notes


def open_folder(folder: Path, keeper: object = None) -> Stack:
    """The one MR or CT series that lies in `folder`, or below it.

    Other DICOM objects (directories, reports, screenshots) are left alone, and so are localizers
    beside a scan. `keeper` is what must live as long as the folder. Raises ValueError if there is
    no series or more than one, or if its slices do not make one volume.
    """
    files = dicom_files(folder)
    series, left_out = _find(files)
    if not series:
        why = f" ({left_out[0][0].name} {left_out[0][1]})" if left_out else ""
        raise ValueError(f"holds no MR or CT series{why}; give the folder of one")
    scans = [one for one in series if not one.aside] or series
    if len({(one.uid, one.aside) for one in scans}) > 1:
        names = ", ".join(s.description or s.path.name for s in scans[:4])
        more = ", ..." if len(scans) > 4 else ""
        raise ValueError(
            f"holds {len({one.uid for one in scans})} series mixed ({names}{more}); put each in "
            "a folder of its own"
        )
    stack = stacked([*_slices(files, scans[0].uid, scans[0].aside)], keeper)
    beside = {one.aside for one in series if one not in scans}
    notes = [f"{what} beside it is left out" for what in sorted(beside)]
    return replace(stack, notes=(*stack.notes, *notes))


def reader() -> Any:
    """Return pydicom's dcmread, without its remarks on other makers' habits: for what it cannot
    read it raises ValueError. Raises ValueError itself where pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("DICOM needs pydicom; pip install 'diff-medical[dicom]'") from error

    def read(path: Path, **options: Any) -> Any:
        with foreign(_unreadable), quiet():
            # files of old archives lack DICOM's mark: `is_dicom` has looked at them
            return pydicom.dcmread(path, force=is_dicom(path), **options)

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


def _slices(files: Iterable[Path], uid: str, aside: str) -> Iterator[Any]:
    """The headers of the images of a series among files."""
    dcmread = reader()
    for file in files:
        try:
            said = _said(file)
            if said["SeriesInstanceUID"] == uid and said["Rows"] and _aside(said) == aside:
                yield dcmread(file, stop_before_pixels=True)
        except ValueError as error:
            raise ValueError(f"its file {file.name} {error}") from error
