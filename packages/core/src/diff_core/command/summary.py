"""The summary of a run over many files: one line of JSON for each input, as it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from diff_core.command.remote import as_given

__all__ = ["Summary"]


class Summary:
    """A file of JSON lines to which every run adds its own; None is no file.

    Each line has the fields input, output (null where there is none), seconds, notes, error (null
    where there is none) and skipped. A line is on the disk when its input is done, so that a run
    that is killed leaves the lines of what it did. Several processes may add to one file.

    Raises ValueError for a file that holds anything else, OSError where it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            if file.read(1) not in (b"", b"{"):
                raise ValueError(f"{path} is no summary; choose another name for it")
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":  # the last run was killed while it wrote
                    file.write(b"\n")

    def add(
        self,
        source: str,
        target: str | None,
        seconds: float,
        *,
        notes: Sequence[str] = (),
        error: str | None = None,
        skipped: bool = False,
    ) -> None:
        """Add the line of one input.

        seconds: of wall clock, 0 for what failed before the work
        """
        if self._path is None:
            return
        fields = {
            "input": source,
            "output": target,
            "seconds": round(seconds, 3),
            "notes": list(notes),
            "error": error,
            "skipped": skipped,
        }
        with self._path.open("ab") as file:
            file.write(f"{as_given(json.dumps(fields))}\n".encode())
