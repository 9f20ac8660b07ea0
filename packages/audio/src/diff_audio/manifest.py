"""Lists of recordings: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from diff_audio.layouts import Kind, Row, sounds
from diff_core.data.split import SPLITS, Split

__all__ = ["listed", "read_manifest"]

Rows = dict[Path, dict[str, Any]]


def read_manifest(path: Path) -> Rows:
    """The lines of a manifest by the file that they name.

    Raises ValueError if it cannot be read, or a line is not an object with `file` and, if it has
    one, a `split` out of train, val and test.
    """
    if not path.is_file():
        raise ValueError(f"manifest {path}: no such file")
    rows: Rows = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            file = (path.parent / row["file"]).resolve()
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"manifest {path}, line {number}: expected a JSON object with 'file'"
            ) from error
        if row.get("split") not in (*SPLITS, None, ""):
            raise ValueError(
                f"manifest {path}, line {number}: split is {row['split']!r}; "
                f"expected one of {', '.join(SPLITS)}"
            )
        rows[file] = (
            row | {"clean": (path.parent / row["clean"]).resolve()} if row.get("clean") else row
        )
    return rows


def listed(folder: Path, kind: Kind, rows: Rows) -> list[Row]:
    """The sound files below a folder that a manifest lists, with what it says of them; also those
    that are not there, for who reads them to name.

    Raises ValueError if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder}: no such folder")
    folder = folder.resolve()
    found: list[Row] = []
    gone = [path for path in rows if folder in path.parents and not path.exists()]
    for path in sorted([*sounds(folder), *gone]):
        file = path.resolve()  # as the manifest's are: a folder may hold links
        row = rows.get(file)
        if row is None:
            continue
        *parents, _name = path.relative_to(folder).parts
        group = row.get("set") or (parents[0] if parents else folder.name)
        found.append(
            Row(
                file,
                "noisy" if row.get("clean") else kind,
                group,
                f"{group}/{row.get('speaker') or path.stem}",
                cast("Split | None", row.get("split") or None),
                row.get("text") or "",
                row.get("clean") or None,
                row.get("licence") or "unknown",
            )
        )
    return found
