"""A folder of scans made into training data: one scan and one label map for each person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.data import assign
from diff_core.files import refuse_existing, replacing
from diff_medical.brain.grid import Grid
from diff_medical.brain.maps import read_upright, write_labels, write_scan
from diff_medical.brain.people import GRID, MANIFEST, write_grid
from diff_medical.brain.preparation.align import Aligned, Template, on_grid
from diff_medical.brain.preparation.atlas import Atlas, Regions
from diff_medical.brain.preparation.bias import shading, white_level
from diff_medical.brain.preparation.tissue import label
from diff_medical.data.studies import CorpusError, Row, find_study
from diff_medical.scan.kinds import SCANS

__all__ = ["Person", "Preparation", "Prepared", "prepare"]

BRIGHTEST = 1.6  # of white matter's level
VALIDATION = 0.12  # share of people, where the folder does not say


@dataclass(frozen=True)
class Prepared:
    """One person. name: of the files; row: of the manifest; correlation: with the template."""

    name: str
    row: Row
    aligned: Aligned
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Person:
    """A scan on the grid.

    aligned: its place
    image:   (X, Y, Z) without shading, white matter 1
    labels:  (X, Y, Z) uint8, `grid.CLASSES`
    gain:    (X, Y, Z) units of the scan in one of the image: level and shading
    """

    aligned: Aligned
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    gain: NDArray[np.float32]


@dataclass(frozen=True)
class Preparation:
    """Template and atlas on the grid."""

    grid: Grid
    template: Template
    atlas: Atlas

    @classmethod
    def of(
        cls,
        template: Path,
        atlas: Path,
        atlas_image: Path | None = None,
        regions: Regions = Regions(),  # noqa: B008
        grid: Grid = Grid(),  # noqa: B008
    ) -> Preparation:
        """Read template and atlas.

        template:    skull-stripped T1, to which heads are aligned
        atlas:       label map in the space of the template
        atlas_image: T1 on which the atlas was drawn; default: the template

        Raises ValueError, one line that names the file, for a file that cannot be used.
        """
        with _named(template):
            aligner = Template(*read_upright(template), grid.scale)
        image = atlas_image or template
        with _named(image):
            values, affine = read_upright(image)
            placed = on_grid(values, affine, np.eye(4), grid)
            placed = placed / white_level(placed[placed > 0.05 * placed.max()])
        with _named(atlas):
            return cls(grid, aligner, Atlas.on(placed, *read_upright(atlas), grid, regions))

    def person(self, path: Path) -> Person:
        """Return a scan in a file, as `placed` does.

        Raises ValueError for a scan that cannot be used.
        """
        return self.placed(*read_upright(path))

    def placed(self, values: NDArray[np.float32], affine: NDArray[np.float64]) -> Person:
        """Return the place of a scan (X, Y, Z) in RAS order, the scan on the grid, and its labels.

        Raises ValueError for a scan that cannot be used.
        """
        aligned = self.template.align(values, affine)
        image = on_grid(values, affine, aligned.matrix, self.grid)
        level = white_level(image[image > 0.05 * image.max()])
        image = image / level
        shade = shading(image.clip(0, 2.5))
        image = image / shade
        rest = white_level(image[image > 0.1])
        image = (image / rest).clip(0, BRIGHTEST).astype(np.float32)
        gain = (level * rest * shade).astype(np.float32)
        return Person(aligned, image, label(image, self.atlas), gain)


def prepare(
    data: Path,
    out: Path,
    preparation: Preparation,
    *,
    manifest: Path | None = None,
    licence: str = "",
    overwrite: bool = False,
    failed: Callable[[Path, Exception], object],
) -> Iterator[Prepared]:
    """Write people into `out` and yield each; the manifest is written at the end.

    The T1 scans of `data` are found as for training; those of the test split and what is marked
    as synthetic are left out. Where no one is held out, one in eight people is.

    licence: of scans whose manifest says none
    failed:  called with a scan that cannot be used, which is left out

    Raises CorpusError for a folder without T1 scans, FileExistsError for one that was prepared.
    """
    refuse_existing(out / MANIFEST, out / GRID, overwrite=overwrite)
    rows = [row for row in find_study(data, manifest, real=True).rows if _is_t1(row)]
    rows = [row for row in rows if row.split != "test"]
    if not rows:
        raise CorpusError(f"{data}: no T1 scans to prepare")
    rows = _split(rows)
    out.mkdir(parents=True, exist_ok=True)
    write_grid(out, preparation.grid)
    lines: list[str] = []
    names: set[str] = set()
    for row in rows:
        name = _name(row.path, names)
        try:
            person = preparation.person(row.path)
        except (ValueError, np.linalg.LinAlgError) as error:
            failed(row.path, error)
            continue
        affine = preparation.grid.in_head(person.aligned.scale / preparation.grid.scale)
        files = {"file": f"{name}_T1w.nii.gz", "labels": f"{name}_dseg.nii.gz"}
        with replacing(out / files["file"]) as partial:
            write_scan(partial, person.image, affine)
        with replacing(out / files["labels"]) as partial:
            write_labels(partial, person.labels, affine, None)
        said = {"split": row.split, "subject": row.subject or name}
        lines.append(json.dumps({**files, **said, "licence": row.licence or licence}))
        yield Prepared(name, row, person.aligned, person.image, person.labels)
    if not lines:
        raise CorpusError(f"{data}: none of {len(rows)} scans can be used")
    with replacing(out / MANIFEST) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _is_t1(row: Row) -> bool:
    """Return False for a scan that is said to be something else than T1."""
    said = f"{row.contrast} {row.about}".strip(" ,").lower()
    return row.modality != "ct" and (not said or "t1" in said or said == "mr")


def _split(rows: list[Row]) -> list[Row]:
    """Hold people out where nobody is."""
    if any(row.split == "val" for row in rows):
        return rows
    chosen = assign([row.subject or str(row.path) for row in rows], val=VALIDATION)
    return [replace(row, split=chosen[row.subject or str(row.path)]) for row in rows]


def _name(path: Path, taken: set[str]) -> str:
    """Return a name for a person's files that no other has."""
    stem = SCANS.split(path.name)[0] if SCANS.matches(path) else path.parent.name
    stem = stem.removesuffix("_T1w")
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    taken.add(name)
    return name


class _named:  # noqa: N801
    """Name a file in the errors of the block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if isinstance(error, ValueError) and not str(error).startswith(str(self.path)):
            raise ValueError(f"{self.path}: {error}") from error
