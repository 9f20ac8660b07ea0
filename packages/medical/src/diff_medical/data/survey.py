"""The content of a folder of scans: subjects, modalities, sizes, orientations, and faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.data.reading import Loaded, load_scan, voxels
from diff_medical.data.studies import SYNTHETIC, Row, find_study, is_synthetic
from diff_medical.scan.intensity import recognise
from diff_medical.scan.sections import upright
from diff_medical.scan.spacing import Spacing

__all__ = ["Found", "Survey", "survey"]

LABELS = 64  # most distinct values of something that looks like a map of labels


@dataclass(frozen=True)
class Found:
    """One scan.

    problem:   why it cannot be used, or ""
    modality:  "MR" or "CT", with "?" where it was told from the values
    noise:     blind estimate, as a share of the bright level; NaN for a scan that is not usable
    plane:     its middle plane across the axis of the fewest voxels, normalised, right or front
               along the first axis; of `height` for a width of 1
    """

    row: Row
    problem: str = ""
    notes: tuple[str, ...] = ()
    modality: str = ""
    shape: tuple[int, ...] = ()
    spacing: Spacing = (0.0, 0.0, 0.0)
    orientation: str = ""
    low: float = float("nan")
    high: float = float("nan")
    noise: float = float("nan")
    plane: NDArray[np.float32] | None = None
    height: float = 1.0

    def entry(self) -> dict[str, Any]:
        """Return the row that is printed."""
        return {
            "scan": self.row.path.name,
            "split": self.row.split,
            "subject": self.row.subject,
            "contrast": self.row.contrast,
            "modality": self.modality,
            "shape": list(self.shape),
            "mm": [round(s, 3) for s in self.spacing],
            "axes": self.orientation,
            "range": [float(f"{v:.4g}") for v in (self.low, self.high)] if self.shape else [],
            "noise %": round(100 * self.noise, 2) if np.isfinite(self.noise) else None,
        }


@dataclass(frozen=True)
class Survey:
    """A folder.

    left_out: (file, why) of what is no scan to train on
    counts:   the number of scans of each split, in one line
    notes:    what concerns more than one scan
    """

    folder: Path
    layout: str
    found: tuple[Found, ...]
    left_out: tuple[tuple[Path, str], ...]
    counts: str = ""
    notes: tuple[str, ...] = ()

    @property
    def voxels(self) -> int:
        """The number of voxels of all scans that can be used."""
        return sum(int(np.prod(one.shape)) for one in self.found if one.shape)

    def remarks(self) -> tuple[str, ...]:
        """Return remarks on the sizes of voxels and the orientations of the scans that can be
        used.
        """
        usable = [one for one in self.found if not one.problem]
        if not usable:
            return ()
        sizes, warning = voxels([one.spacing for one in usable])
        turned_to = Counter(one.orientation for one in usable).most_common()
        axes = ", ".join(f"{count} {codes}" for codes, count in turned_to)
        return (
            f"{sizes}; axes: {axes}",
            *([f"warning: {warning}; training keeps them unless the recipe has a "
               "reading.spacing"] if warning else []),
        )  # fmt: skip


def survey(
    folder: Path,
    manifest: Path | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> Survey:
    """Read every scan below a folder.

    Raises ValueError if there is no such folder, it holds no scan, or a subject is in
    two splits.
    """
    study = find_study(folder, manifest)
    found: list[Found] = []
    for number, row in enumerate(study.rows):
        found.append(_found(row))
        if progress:
            progress((number + 1) / len(study.rows))
    return Survey(folder, study.layout, tuple(found), study.left_out, study.counts, study.notes)


def _found(row: Row) -> Found:
    from diff_medical.noise.level import detail_sigma, fine_axes
    from diff_medical.scan.intensity import scale

    try:
        loaded = load_scan(row.path, row.volume)
    except ValueError as error:
        return Found(row, str(error))
    values, notes = loaded.values, list(loaded.notes)
    modality = row.modality or recognise(values)
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Found(row, "all voxels are equal")
    if row.modality and (seen := recognise(values)) != row.modality:
        notes.append(
            f"is said to be {row.modality.upper()}, but its values are like {seen.upper()}"
        )
    some = values.reshape(-1)[:: max(1, values.size // 200_000)]
    if len(distinct := np.unique(some)) <= LABELS and np.all(distinct == np.rint(distinct)):
        notes.append(f"looks like a map of labels: {len(distinct)} distinct values")
    if is_synthetic(row.path):
        notes.append(
            f"{SYNTHETIC}: training leaves it out, unless the recipe says synthetic: true"
        )
    if modality == "ct":
        values = values.clip(-1024, 3000)
    normal = scale(values, modality).normalise(values)
    return Found(
        row,
        "",
        tuple(notes),
        modality.upper() + ("" if row.modality else "?"),
        values.shape,
        loaded.spacing,
        loaded.orientation,
        low,
        high,
        float(detail_sigma(normal, fine_axes(normal.shape, loaded.spacing))),
        *_plane(normal, loaded),
    )


def _plane(normal: NDArray[np.float32], loaded: Loaded) -> tuple[NDArray[np.float32], float]:
    spacing = loaded.spacing
    if loaded.affine is not None:
        normal, spacing = upright(normal, spacing, loaded.affine)
    axis = int(np.argmin(normal.shape))
    plane = np.take(normal, normal.shape[axis] // 2, axis=axis)
    width, height = (n * spacing[a] for a, n in enumerate(normal.shape) if a != axis)
    steps = (max(1, n // 256) for n in plane.shape)
    return plane[tuple(slice(None, None, step) for step in steps)].copy(), height / width
