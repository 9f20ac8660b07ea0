"""The options of `python -m diff_medical.enhance` that need parsing and checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from diff_core.command import Job
from diff_core.command.reports import Reports
from diff_medical.scan.bids import people
from diff_medical.scan.kinds import SCANS

__all__ = ["alone", "are_scans", "exclude", "level", "reports"]


def level(text: str) -> tuple[float | None, float | None, Path | None]:
    """Return (sigma, percent, map) of the option --sigma, of which one at most is not None; none
    of them is for "auto" and "local".
    """
    if text in ("auto", "local"):
        return None, None, None
    if SCANS.matches(Path(text)):
        return None, None, Path(text)
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(
            f"--sigma is {text!r}; expected auto, a number >= 0 in the scan's units, one with "
            "% for percent of its maximum, local, or a NIfTI file"
        )
    return (None, value, None) if text.endswith("%") else (value, None, None)


def are_scans(files: dict[str, Path | None]) -> dict[str, Path | None]:
    """Return files by name of their option; wrong usage for one that is not named as a scan."""
    for name, path in files.items():
        if path is not None and not SCANS.matches(path):
            raise typer.BadParameter(f"--{name} is {path}; expected a .nii.gz file")
    return files


def exclude(flags: Mapping[str, bool]) -> None:
    """Raise typer.BadParameter where all flags are given; by name of the option."""
    if all(flags.values()):
        raise typer.BadParameter(f"{' and '.join(flags)} exclude each other")


def alone(chosen: Mapping[str, object], others: Mapping[str, object]) -> bool:
    """Return True if one of `chosen` is given; it is wrong usage if two are, or one beside one of
    `others`.

    Values by name of the option, None or false where it is not given.
    """
    given = [name for name, value in chosen.items() if value is not None]
    beside = given[1:] + [name for name, value in others.items() if value]
    if given and beside:
        raise typer.BadParameter(f"--{given[0]} does not go with --{beside[0]}")
    return bool(given)


def reports(
    report: Path | None,
    jobs: list[Job],
    output: Path | None,
    single: dict[str, Path | None],
    *,
    viewer: bool,
) -> Reports:
    """Return the pages of a run; wrong usage for what is of one scan (`single`) of several, and
    for a `viewer` without pages.
    """
    if viewer and report is None:
        raise typer.BadParameter("--viewer needs --report")
    if len(jobs) > 1:
        for name in (name for name, given in single.items() if given is not None):
            raise typer.BadParameter(f"--{name} is for one scan, but several are given")
    return Reports(report, jobs, output, title="Enhanced scans", theme="dark", groups=people)
