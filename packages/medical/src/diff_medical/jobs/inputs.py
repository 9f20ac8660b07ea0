"""Which of the inputs of a command are DICOM series, and where their results go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from diff_core.command import Failures, Job
from diff_medical.scan.kinds import SCANS, is_dicom

__all__ = ["Inputs", "find_inputs", "plan_series"]


@dataclass(frozen=True)
class Inputs:
    """The inputs of a command, sorted.

    series: folders and zip archives of DICOM, each with the folder below which it was found
    others: what is left: NIfTI files, folders of them, patterns
    enough: those of `others` that need to hold nothing else than DICOM
    """

    series: tuple[tuple[Path, Path | None], ...]
    others: tuple[str, ...]
    enough: frozenset[str] = frozenset()


def find_inputs(
    inputs: Sequence[str], failures: Failures, *, recursive: bool, skip: Callable[[Path], bool]
) -> Inputs:
    """Return the folders that hold DICOM files, and .zip files, apart from all else.

    With `recursive`, every folder below a given one that holds DICOM files is a series. A single
    DICOM file is a failure: its folder has to be given.
    """
    series: dict[Path, tuple[Path, Path | None]] = {}
    others: list[str] = []
    enough: set[str] = set()
    for given in inputs:
        path = Path(given)
        if path.is_file() and path.suffix.lower() == ".zip":
            series.setdefault(path.resolve(), (path, None))
        elif path.is_file() and not SCANS.matches(path) and is_dicom(path):
            failures.add(given, "is one file of a DICOM series; give the folder that it is in")
        elif path.is_dir():
            folders = list(_visible(path)) if recursive else [path]
            found = [d for d in sorted(folders) if _holds_dicom(d) and not (d != path and skip(d))]
            for folder in found:
                series.setdefault(folder.resolve(), (folder, path if folder != path else None))
            others.append(given)
            if found:
                enough.add(given)
        else:
            others.append(given)
    return Inputs(tuple(series.values()), tuple(others), frozenset(enough))


def _visible(folder: Path) -> Iterator[Path]:
    """The folder, and the folders below it whose names do not begin with a dot."""
    for root, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield Path(root)


def plan_series(
    series: Sequence[tuple[Path, Path | None]], output: Path | None, tag: str, *, alone: bool
) -> list[Job]:
    """Return where each series goes: a folder of DICOM, or a NIfTI file if `output` is named as
    one.

    Without `output` it goes beside the input, as its name + `tag`. `alone` says that there is
    nothing else to write: `output` is then the folder of the series itself.

    Raises typer.BadParameter where one file is named for several inputs.
    """
    if output is not None and SCANS.matches(output) and not output.is_dir():
        if len(series) > 1 or (series and not alone):
            raise typer.BadParameter(
                f"{output} is one file, but several inputs are given; name a folder"
            )
        return [Job(path, output) for path, _ in series]
    jobs: list[Job] = []
    for path, root in series:
        name = path.stem if path.is_file() else path.resolve().name
        if output is None:
            target = path.resolve().with_name(name + tag) if root is None else path.with_name(
                name + tag
            )  # fmt: skip
        elif alone and len(series) == 1 and root is None:
            target = output
        else:
            target = output / (path.relative_to(root).parent / name if root else name)
        jobs.append(Job(path, target))
    return jobs


def _holds_dicom(folder: Path) -> bool:
    try:
        files = [p for p in folder.iterdir() if not p.name.startswith(".")]
    except OSError:  # is reported by the search for other files
        return False
    return any(p.is_file() and not SCANS.matches(p) and is_dicom(p) for p in files)
