"""The recordings that a manifest lists, as rows of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from diff_audio.data.layouts import Kind, Row, sounds
from diff_core.data import ManifestRow, read_manifest

__all__ = ["listed", "read_rows"]


def read_rows(path: Path) -> dict[Path, ManifestRow]:
    """Return the lines of a manifest by the file that each names, links followed.

    The field `clean` of a line becomes the path of that file.
    Raises ValueError as `diff_core.data.read_manifest` does, and for a `clean` that is no path.
    """
    rows: dict[Path, ManifestRow] = {}
    for row in read_manifest(path):
        clean = row.fields.get("clean")
        if clean is not None and not isinstance(clean, str):
            raise ValueError(
                f"manifest {path}, line {row.line}: clean is {clean!r}; expected a path"
            )
        if clean:
            row = replace(row, fields={**row.fields, "clean": (path.parent / clean).resolve()})
        rows[row.file.resolve()] = row
    return rows


def listed(folder: Path, kind: Kind, rows: Mapping[Path, ManifestRow]) -> list[Row]:
    """Return the sound files below a folder that a manifest lists.

    Listed files that are missing are among them: whoever reads them reports that.

    rows: the manifest's lines (`read_rows`)
    Raises ValueError if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder}: no such folder")
    folder = folder.resolve()
    found: list[Row] = []
    gone = [path for path in rows if folder in path.parents and not path.exists()]
    for path in sorted([*sounds(folder), *gone]):
        file = path.resolve()  # as the manifest's are: a folder may hold links
        if file not in rows:
            continue
        row = rows[file]
        fields = row.fields
        *parents, _name = path.relative_to(folder).parts
        group = fields.get("set") or (parents[0] if parents else folder.name)
        found.append(
            Row(
                file,
                "noisy" if fields.get("clean") else kind,
                group,
                f"{group}/{fields.get('speaker') or path.stem}",
                row.split,
                fields.get("text") or "",
                fields.get("clean") or None,
                fields.get("licence") or "unknown",
            )
        )
    return found
