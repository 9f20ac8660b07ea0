"""The log of a training run, `log.jsonl`: one JSON object a line.

A full disk or a power cut may tear a line, and the run goes on below it. What reads a log passes
over such lines: a log is for people, and no fault of it costs a run its weights.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

__all__ = ["Log", "hours_trained", "read_log"]


class Log:
    """A log that rows are added to, each on a line of its own whatever the file ends with.

    Raises OSError where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        size = self._file.tell()
        with path.open("rb") as file:
            file.seek(max(0, size - 1))
            self._torn = file.read(1) not in (b"", b"\n")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row. Raises OSError where the disk does not take all of it."""
        line = (b"\n" if self._torn else b"") + json.dumps(dict(row)).encode() + b"\n"
        self._torn = True
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._torn = False

    def close(self) -> None:
        self._file.close()


def read_log(log: Path) -> list[dict[str, Any]]:
    """The rows of a log, without the lines that are torn; none where there is no log."""
    if not log.is_file():
        return []
    rows: list[dict[str, Any]] = []
    for line in log.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(cast("dict[str, Any]", row))
    return rows


def hours_trained(log: Path) -> float:
    """Wall-clock hours of a run and those that it resumed: `seconds` starts again with each."""
    times = [row.get("seconds") for row in read_log(log)]
    seconds = [0.0, *(time for time in times if isinstance(time, int | float))]
    ends = [now for now, after in zip(seconds, [*seconds[1:], 0.0], strict=True) if after < now]
    return round(sum(ends) / 3600, 2)
