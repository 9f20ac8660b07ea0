"""`python -m diff_medical.provenance FILE...`: tells whether scans and pictures are synthetic, and
which model of ours made them.

    from diff_medical.provenance import tell
    told = tell(Path("t1_head_axial_000012_desc-synthetic.nii.gz"))
    told.synthetic, told.mark

A mark says that a file is synthetic. That there is none says nothing: marks get lost (a header
that is made anew), and whoever wants to can remove or copy them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from diff_core.command import App, Failures, FileKind, options, run
from diff_core.files import fingerprint

from .bids import sidecar_path
from .dicom import is_dicom
from .files import SCANS
from .mark import Mark, is_named_synthetic

__all__ = ["Told", "app", "main", "tell"]

COMMAND = "diff_medical.provenance"
NIFTI = FileKind("NIfTI files", (".nii.gz", ".nii"))
PICTURES = FileKind("pictures", (".png", ".jpg", ".jpeg"))
NOTHING = "no mark found, which does not prove that it is real"

app = App()


class _Files(FileKind):
    """Scans and pictures, and DICOM files of any name."""

    def matches(self, path: Path) -> bool:
        return super().matches(path) or (path.is_file() and is_dicom(path))


FILES = _Files("scans or pictures", (*SCANS.suffixes, *PICTURES.suffixes))


@dataclass(frozen=True)
class Told:
    """What a file says of where it comes from.

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
        """For printing as JSON."""
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
        """For printing after the name of the file."""
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
    """What a NIfTI, DICOM, PNG or JPEG file, its name and its sidecar say of where it comes from.

    Of other files only name and sidecar are read. Raises ValueError (ScanError) or OSError for a
    file that cannot be read.
    """
    found, note = dict(_inside(path)), ""
    for beside in (path, path.parent) if is_dicom(path) else (path,):
        sidecar = sidecar_path(beside)
        if sidecar != path and sidecar.is_file() and (said := _record(sidecar)) is not None:
            if (mark := Mark.of_record(said)) or said.get("Synthetic") is True:
                found["sidecar"] = mark
        if is_named_synthetic(beside):
            found["file name"] = None
    marks = {where: mark for where, mark in found.items() if mark is not None}
    if len({(mark.fingerprint, mark.seed) for mark in marks.values()}) > 1:
        each = ", ".join(f"{w}: {m.fingerprint} seed {m.seed}" for w, m in marks.items())
        note = f"its marks differ ({each}); the first is told"
    mark = _fullest(list(marks.values()))
    shipped = mark is not None and mark.fingerprint in _shipped()
    return Told(path, True if found else None, mark, tuple(found), shipped, note)


def _fullest(marks: list[Mark]) -> Mark | None:
    """The first, or one of the same scan that tells more: the header's line has no conditions."""
    same = [m for m in marks if (m.fingerprint, m.seed) == (marks[0].fingerprint, marks[0].seed)]
    return next((mark for mark in same if mark.model), marks[0] if marks else None)


def _inside(path: Path) -> dict[str, Mark | None]:
    """What the file itself says."""
    if NIFTI.matches(path):
        from .synthetic_nifti import signs

        return signs(path)
    if PICTURES.matches(path):
        from .synthetic_png import signs

        return signs(path)
    if is_dicom(path):
        from .synthetic_dicom import signs

        return signs(path)
    path.stat()  # FileNotFoundError
    return {}


def _record(sidecar: Path) -> dict[str, Any] | None:
    """The content of a sidecar; None if it is not a JSON object."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


@cache
def _shipped() -> set[str]:
    """Fingerprints of the generators that come with this package."""
    folder = Path(__file__).parent / "weights"
    return {fingerprint(path) for path in folder.glob("generate*.safetensors")}


@app.command()
def provenance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="NIfTI, DICOM, PNG and JPEG files; folders; patterns."
        ),
    ],
    recursive: options.Recursive = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Tell whether scans and pictures are synthetic, and which model made them, from which seed.

    Looks at headers, tags, texts, sidecars, names, and for the mark drawn into pictures. "No mark
    found" does not prove that a scan is real: marks can be lost or removed. Nothing is changed.

    Exit code: 0 all told, 1 some files could not be read, 2 wrong usage.
    """
    del version
    failures = Failures(COMMAND, debug=debug)
    sources = FILES.expand(inputs, failures, recursive=recursive)
    told = _told([source.path for source in sources], failures, as_json=as_json)
    if as_json:
        for one in told:
            print(json.dumps(one.record()))
        return failures.finish(len(sources))
    # the slices of a DICOM series all say the same
    for (path, text), same in groupby(told, lambda one: (_series(one.path), one.text())):
        count = sum(1 for _ in same)
        print(f"{path}{f' ({count} files)' if count > 1 else ''}: {text}")
    return failures.finish(len(sources))


def _told(paths: Iterable[Path], failures: Failures, *, as_json: bool) -> Iterator[Told]:
    """What each says; those that cannot be read are failures."""
    for path in paths:
        try:
            one = tell(path)
        except Exception as error:  # pydicom raises many kinds for a damaged file
            text = failures.add(str(path), error)
            if as_json:
                print(json.dumps({"file": str(path), "error": text}))
            continue
        if one.note:
            failures.warn(str(path), f"note: {one.note}")
        yield one


def _series(path: Path) -> Path:
    """The folder of a slice of a series, else the file."""
    return path.parent if is_named_synthetic(path.parent) else path


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
