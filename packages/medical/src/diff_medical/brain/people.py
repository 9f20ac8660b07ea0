"""People whose T1 scans and label maps lie on one grid: what the stages are trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.data import Split, read_manifest, refuse_shared
from diff_core.files import write_json
from diff_medical.brain.appearance import contrast
from diff_medical.brain.grid import TISSUES, Grid
from diff_medical.brain.model import check_labels
from diff_medical.data.reading import Reading, load_scan
from diff_medical.data.studies import CorpusError

__all__ = ["GRID", "MANIFEST", "People", "read_grid", "read_people", "write_grid"]

GRID, MANIFEST = "grid.json", "manifest.jsonl"


@dataclass(frozen=True)
class People:
    """Several people on one grid.

    names:    one for each
    labels:   (N, X, Y, Z) uint8, `grid.CLASSES`
    images:   (N, X, Y, Z) float16, the peak of white matter 1, air 0
    sizes:    (N,) of their heads in units of the mean one
    licences: of their scans
    """

    names: tuple[str, ...]
    labels: Tensor
    images: Tensor
    sizes: Tensor
    licences: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def contrast(self) -> Tensor:
        """The contrast (N, 5) of each person, as `appearance.contrast`."""
        pairs = zip(self.images, self.labels, strict=True)
        return torch.cat([torch.empty(0, TISSUES), *[contrast(*both)[None] for both in pairs]])


def write_grid(folder: Path, grid: Grid) -> None:
    """Write the grid of prepared people into their folder."""
    write_json(folder / GRID, asdict(grid))


def read_grid(folder: Path) -> Grid:
    """Return the grid of a folder of prepared people. Raises CorpusError if there is none."""
    path = folder / GRID
    if not path.is_file():
        raise CorpusError(f"{folder}: holds no prepared people ({GRID} is missing)")
    try:
        said: dict[str, Any] = json.loads(path.read_text())
        shape, centre = (tuple(said.pop(name)) for name in ("shape", "centre"))
        return Grid(shape=shape, centre=centre, **said)  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        raise CorpusError(f"{path}: is no grid ({' '.join(str(error).split())})") from error


def read_people(folder: Path, grid: Grid, split: Split) -> People:
    """Return the people of a split; their number may be 0.

    The manifest of the folder has one JSON object a line: `file` and `labels`, both NIfTI and
    relative to the manifest, `split`, `subject` and `licence`. Raises CorpusError, one line that
    names the file, for a line without labels and for volumes that do not fit the grid.
    """
    try:
        rows = read_manifest(folder / MANIFEST, split_required=True)
    except ValueError as error:
        raise CorpusError(str(error)) from error
    names = [str(row.fields.get("subject") or row.file.name) for row in rows]
    refuse_shared(_splits(names, [str(row.split) for row in rows]), "subject")
    chosen = [(row, name) for row, name in zip(rows, names, strict=True) if row.split == split]
    labels: list[Tensor] = []
    images: list[Tensor] = []
    sizes: list[float] = []
    for row, _ in chosen:
        other = row.fields.get("labels")
        if not isinstance(other, str) or not other:
            raise CorpusError(f"manifest {folder / MANIFEST}, line {row.line}: labels is missing")
        values, size = _volume(row.file, grid)
        images.append(torch.from_numpy(values.astype(np.float16)))
        sizes.append(size)
        found = _volume(row.file.parent / other, grid)[0]
        try:
            check_labels(found, grid)
        except ValueError as error:
            raise CorpusError(f"{row.file.parent / other}: {error}") from error
        labels.append(torch.from_numpy(found.astype(np.uint8)))
    empty = torch.empty(0, *grid.shape)
    return People(
        tuple(name for _, name in chosen),
        torch.stack(labels) if labels else empty.to(torch.uint8),
        torch.stack(images) if images else empty.half(),
        torch.tensor(sizes),
        tuple(str(row.fields.get("licence") or "") for row, _ in chosen),
    )


def _splits(names: Sequence[str], splits: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, split in zip(names, splits, strict=True):
        found.setdefault(name, []).append(split)
    return found


def _volume(path: Path, grid: Grid) -> tuple[NDArray[np.float32], float]:
    """The values on the grid, and the size of the head."""
    try:
        loaded = load_scan(path, 0, Reading("zero", "RAS"))
    except ValueError as error:
        raise CorpusError(f"{path}: {error}") from error
    if loaded.values.shape != grid.shape:
        raise CorpusError(f"{path}: has shape {loaded.values.shape}; expected {grid.shape}")
    return loaded.values, float(np.mean(loaded.spacing)) / grid.voxel
