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
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import App, Failures, FileKind, options, run
from diff_core.lines import print_line
from diff_medical.marks.mark import is_named_synthetic
from diff_medical.marks.told import PICTURES, Told, tell
from diff_medical.scan.kinds import SCANS, is_dicom

__all__ = ["Told", "app", "main", "tell"]

COMMAND = "diff_medical.provenance"

app = App()


class _Files(FileKind):
    """Scans and pictures, and DICOM files of any name."""

    def matches(self, path: Path) -> bool:
        return super().matches(path) or (path.is_file() and is_dicom(path))


FILES = _Files("scans or pictures", (*SCANS.suffixes, *PICTURES.suffixes), unread=SCANS.unread)


@app.command(
    examples={
        "scan.nii.gz": "Report whether the scan is synthetic.",
        "folder/ --recursive --json": "Print one JSON object for each file below a folder.",
    }
)
def provenance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="NIfTI, DICOM, PNG and JPEG files; folders; patterns."
        ),
    ],
    recursive: options.Recursive = False,
    strict: options.Strict = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Report whether scans and pictures are synthetic, and which model made them, from which seed.

    Looks at headers, tags, texts, sidecars, names, and for the mark drawn into pictures. "No mark
    found" does not prove that a scan is real: marks can be lost or removed. Nothing is changed.

    Exit code: 0 all told, 1 some files could not be read, 2 wrong usage.
    """
    del version
    failures = Failures(COMMAND, debug=debug, strict=strict)
    sources = FILES.expand(inputs, failures, recursive=recursive)
    told = _told([source.path for source in sources], failures, as_json=as_json)
    if as_json:
        for one in told:
            print(json.dumps(one.record()))
        return failures.finish(len(sources))
    # the slices of a DICOM series all say the same
    for (path, text), same in groupby(told, lambda one: (_series(one.path), one.text())):
        count = sum(1 for _ in same)
        print_line(f"{path}{f' ({count} files)' if count > 1 else ''}: {text}")
    return failures.finish(len(sources))


def _told(paths: Iterable[Path], failures: Failures, *, as_json: bool) -> Iterator[Told]:
    """Yield the provenance of each file; those that cannot be read are failures."""
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
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
