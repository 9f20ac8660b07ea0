"""The mark of a synthetic scan in the tags of DICOM: read and put in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diff_medical.marks.mark import Mark
from diff_medical.scan.dicom.pixels import quiet
from diff_medical.scan.dicom.series import reader
from diff_medical.scan.refusal import foreign

__all__ = ["denies", "sign", "signs"]

TAGS = ("SOPClassUID", "SyntheticData", "DerivationDescription", "ImageComments", "PatientName")


def sign(one: Any, mark: Mark | None) -> None:
    """Put what is missing of the mark into the dataset of a slice, in place."""
    one.SyntheticData = "YES"
    old = str(one.get("ImageComments") or "")
    if mark and Mark.parse(old) is None:
        one.ImageComments = f"{old}; {mark.line()}" if old else mark.json()


def signs(path: Path) -> dict[str, Mark | None]:
    """Return the marks in the tags, by their place; None for "synthetic" without a mark.

    Raises ValueError for a file that is not DICOM, or without pydicom.
    """
    said = _said(path)
    found: dict[str, Mark | None] = {}
    if mark := Mark.parse(said["ImageComments"]):
        found["comment"] = mark
    if "synthetic" in said["DerivationDescription"].lower():
        found["derivation"] = Mark.parse(said["DerivationDescription"])
    if said["SyntheticData"] == "YES":
        found["Synthetic Data"] = None
    if said["PatientName"].upper().startswith("SYNTHETIC"):
        found["patient's name"] = None
    return found


def denies(path: Path) -> bool:
    """Return True for a file whose tag Synthetic Data says that it is not synthetic."""
    return _said(path)["SyntheticData"] == "NO"


def _said(path: Path) -> dict[str, str]:
    """The tags of marks as text, "" where one is missing."""
    header = reader()(path, stop_before_pixels=True, specific_tags=list(TAGS))
    # pydicom converts a value when it is first asked for, and stumbles in all ways
    with foreign(_unreadable), quiet():
        found = {name: str(header.get(name) or "") for name in TAGS}
    if not found["SOPClassUID"]:
        raise _unreadable("its header does not say of what kind it is")
    return found


def _unreadable(why: str) -> ValueError:
    return ValueError(f"cannot be read as DICOM ({why}); copy it again")
