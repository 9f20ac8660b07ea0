"""Manifests: lists of files, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diff_core.data.split import SPLITS, Split
from diff_core.nearest import nearest

__all__ = ["ManifestRow", "read_manifest"]


@dataclass(frozen=True)
class ManifestRow:
    """One line of a manifest.

    file:   the file that it names; a relative path starts at the manifest's folder. Links are not
            followed, and the file may be missing
    line:   the number of the line, from 1
    split:  None where the line has none
    fields: all keys and values of the line as they stand there, `file` and `split` too
    """

    file: Path
    line: int
    split: Split | None
    fields: Mapping[str, Any]


def read_manifest(path: Path, *, split_required: bool = False) -> list[ManifestRow]:
    """Read a manifest: UTF-8, one JSON object a line with `file` and, if it has one, `split`.

    Empty lines are left out. A `split` is train, val or test; None and "" stand for none.

    split_required: refuse lines without a split
    Raises ValueError, with the path and the number of the line, for a manifest that cannot be
    read, a line without `file`, and a split that is none of the three (with the nearest of them).
    """
    if not path.is_file():
        raise ValueError(f"manifest {path}: no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"manifest {path}: is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise ValueError(f"manifest {path}: cannot be read ({error.strerror})") from error
    # split at "\n" alone: a JSON string may hold other line separators of Unicode
    return [
        _row(path, number, line, split_required)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _row(path: Path, number: int, line: str, split_required: bool) -> ManifestRow:
    where = f"manifest {path}, line {number}"
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError(f"{where}: expected a JSON object with 'file'")
    file, split = fields.get("file"), fields.get("split")
    if "file" not in fields:
        close = nearest("file", fields)
        hint = f"; {close!r} is not known" if close else ""
        raise ValueError(f"{where}: expected a JSON object with 'file'{hint}")
    if not isinstance(file, str) or not file:
        raise ValueError(f"{where}: file is {file!r}; expected a path")
    if split in (None, ""):
        if split_required:
            raise ValueError(f"{where}: split is missing; expected one of {', '.join(SPLITS)}")
        split = None
    elif split not in SPLITS:
        close = nearest(split, SPLITS)
        hint = f" (did you mean {close!r}?)" if close else ""
        raise ValueError(f"{where}: split is {split!r}; expected one of {', '.join(SPLITS)}{hint}")
    return ManifestRow(path.parent / file, number, split, fields)
