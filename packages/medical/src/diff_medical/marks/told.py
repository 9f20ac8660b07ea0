"""The provenance of a file: what its marks, its name and its sidecar report.

A mark says that a file is synthetic. A file without a mark may be synthetic too: marks get lost (a
header that is made anew), and anyone can remove or copy them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from diff_core.command import FileKind
from diff_core.files import fingerprint
from diff_medical.marks.mark import Mark, is_named_synthetic
from diff_medical.scan.bids import sidecar_path
from diff_medical.scan.kinds import NIFTI, is_dicom
from diff_medical.weights import brain_paths, fingerprint_of, path_of

__all__ = ["PICTURES", "Told", "tell"]

PICTURES = FileKind("pictures", (".png", ".jpg", ".jpeg"))
"""The pictures that may bear a mark."""
NOTHING = "no mark found, which does not prove that it is real"


@dataclass(frozen=True)
class Told:
    """The provenance that a file reports.

    synthetic: True, or None where nothing tells
    mark:      which model of ours made it, if a mark says so
    signs:     where it says so, the surest first
    shipped:   whether the model is one that comes with this package
    note:      what a user should know besides
    """

    path: Path
    synthetic: bool | None
    mark: Mark | None
    signs: tuple[str, ...]
    shipped: bool = False
    note: str = ""

    def record(self) -> dict[str, Any]:
        """Return the record that is printed as JSON."""
        said = self.mark.record() if self.mark else {}
        said.pop("Description", None)
        return {
            **said,
            "file": str(self.path),
            "Synthetic": self.synthetic,
            "Ours": self.mark is not None,
            "Shipped": self.shipped,
            "Marks": list(self.signs),
            "Note": self.note,
        }

    def text(self) -> str:
        """Return the text that is printed after the name of the file."""
        if not self.synthetic:
            return NOTHING
        by = "by what is not told"
        if mark := self.mark:
            which = f"{mark.model} {mark.fingerprint}".strip()
            seeds = f"{mark.seed} to {mark.seed + mark.count - 1}"
            seed = f"seeds {seeds}" if mark.count > 1 else f"seed {mark.seed}"
            said = " ".join(f"{v:.3g}" if isinstance(v, float) else str(v)
                            for v in mark.conditions.values() if v is not None)  # fmt: skip
            whose = "shipped" if self.shipped else "not the shipped one"
            by = ", ".join(p for p in (f"by {which} ({whose})", seed, said, mark.software) if p)
        return f"synthetic, {by}; told by {', '.join(self.signs)}"


def tell(path: Path) -> Told:
    """Return the provenance that a NIfTI, DICOM, PNG or JPEG file, its name and its sidecar
    report.

    Of other files only name and sidecar are read. Raises ValueError (ScanError) or OSError for a
    file that cannot be read.
    """
    found = dict(_inside(path))
    inside, denied = bool(found), []
    if is_dicom(path) and _denies(path):
        denied.append("Synthetic Data")
    for beside in (path, path.parent) if is_dicom(path) else (path,):
        sidecar = sidecar_path(beside)
        if sidecar != path and sidecar.is_file() and (said := _record(sidecar)) is not None:
            if (mark := Mark.of_record(said)) or said.get("Synthetic") is True:
                found["sidecar"] = mark
            elif said.get("Synthetic") is False:
                denied.append("sidecar")
        if is_named_synthetic(beside):
            found["file name"] = None
    marks = {where: mark for where, mark in found.items() if mark is not None}
    notes: list[str] = []
    if len({(mark.fingerprint, mark.seed) for mark in marks.values()}) > 1:
        each = ", ".join(f"{w}: {m.fingerprint} seed {m.seed}" for w, m in marks.items())
        notes.append(f"its marks differ ({each}); the first is told")
    if found and denied:
        notes.append(
            f"its marks differ (synthetic by {', '.join(found)}; not by {', '.join(denied)})"
        )
    elif found and not inside and _has_room(path):
        notes.append(f"nothing inside it is a mark, only its {' and its '.join(found)}")
    mark = _fullest(list(marks.values()))
    shipped = mark is not None and mark.fingerprint in _shipped()
    return Told(path, True if found else None, mark, tuple(found), shipped, "; ".join(notes))


def _denies(path: Path) -> bool:
    from diff_medical.marks.dicom import denies

    return denies(path)


def _has_room(path: Path) -> bool:
    """Return True for a format that has room for a mark, which is lost where there is none."""
    return NIFTI.matches(path) or PICTURES.matches(path) or is_dicom(path)


def _fullest(marks: list[Mark]) -> Mark | None:
    """The first, or one of the same scan that tells more: the header's line has no conditions."""
    same = [m for m in marks if (m.fingerprint, m.seed) == (marks[0].fingerprint, marks[0].seed)]
    return next((mark for mark in same if mark.model), marks[0] if marks else None)


def _inside(path: Path) -> dict[str, Mark | None]:
    """Return the marks in the file itself."""
    if NIFTI.matches(path) or path.suffix.lower() == ".hdr":
        from diff_medical.marks.nifti import signs

        return signs(path)
    if PICTURES.matches(path):
        from diff_medical.marks.png import signs

        return signs(path)
    if is_dicom(path):
        from diff_medical.marks.dicom import signs

        return signs(path)
    path.stat()  # FileNotFoundError
    return {}


def _record(sidecar: Path) -> dict[str, Any] | None:
    """The content of a sidecar; None if it is not a JSON object."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


@cache
def _shipped() -> set[str]:
    """Fingerprints of the generators that come with this package."""
    found = {fingerprint(path_of(name)) for name in ("generate", "generate_volume")}
    return found | ({fingerprint_of(brain)} if (brain := brain_paths()) else set())
