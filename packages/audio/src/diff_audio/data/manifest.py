"""The recordings that a manifest lists, as rows of a folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from diff_audio.data.layouts import Kind, Row, held_out, places, sounds
from diff_core.data import ManifestRow, Split, disagreement, read_manifest

__all__ = ["listed", "read_rows"]

log = logging.getLogger(__name__)


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

    Listed files that are missing are among them: whoever reads them reports that. A line without
    a split leaves it to the folders (`diff_core.data.folders`); a line that contradicts them
    counts, with a warning.

    rows: the manifest's lines (`read_rows`)
    Raises ValueError if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder}: no such folder")
    folder = folder.resolve()
    found: list[Row] = []
    gone = [path for path in rows if folder in path.parents and not path.exists()]
    files = {path: path.resolve() for path in sorted([*sounds(folder), *gone])}
    # resolved as the manifest's are: a folder may hold links
    files = {path: file for path, file in files.items() if file in rows}
    found_places = places(folder, files).places
    of = {path: found_places[path.relative_to(folder)] for path in files}
    said: list[tuple[Path, Split, Split | None]] = []
    for path, file in files.items():
        if split := rows[file].split:
            said.append((path, split, of[path].split))
    if line := disagreement(said):
        log.warning("%s", line)
    for path, file in files.items():
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
                row.split or held_out(of[path]),
                fields.get("text") or "",
                fields.get("clean") or None,
                fields.get("licence") or "unknown",
            )
        )
    return found
