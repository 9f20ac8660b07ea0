"""The mark of a synthetic scan in the tags of DICOM: read and put in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diff_medical.marks.mark import Mark
from diff_medical.scan.dicom.series import reader

__all__ = ["sign", "signs"]


def sign(one: Any, mark: Mark | None) -> None:
    """Puts what is missing of the mark into the dataset of a slice, in place."""
    one.SyntheticData = "YES"
    old = str(one.get("ImageComments") or "")
    if mark and Mark.parse(old) is None:
        one.ImageComments = f"{old}; {mark.line()}" if old else mark.json()


def signs(path: Path) -> dict[str, Mark | None]:
    """Return the marks in the tags, by their place; None for "synthetic" without a mark.

    Raises ValueError for a file that is not DICOM, or without pydicom.
    """
    wanted = [
        "SOPClassUID", "SyntheticData", "DerivationDescription", "ImageComments", "PatientName"
    ]  # fmt: skip
    header = reader()(path, stop_before_pixels=True, specific_tags=wanted)
    if "SOPClassUID" not in header:
        raise ValueError("cannot be read as DICOM (it says not of what kind); copy it again")
    found: dict[str, Mark | None] = {}
    if mark := Mark.parse(str(header.get("ImageComments", ""))):
        found["comment"] = mark
    derivation = str(header.get("DerivationDescription", ""))
    if "synthetic" in derivation.lower():
        found["derivation"] = Mark.parse(derivation)
    if str(header.get("SyntheticData", "")) == "YES":
        found["Synthetic Data"] = None
    if str(header.get("PatientName", "")).upper().startswith("SYNTHETIC"):
        found["patient's name"] = None
    return found
