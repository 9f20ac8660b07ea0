"""Brains with their label maps, of people or synthetic, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.data import Split
from diff_medical.brain.maps import read_upright
from diff_medical.brain.people import GRID, read_grid, read_people
from diff_medical.image_sets.brain_features import over_white
from diff_medical.image_sets.read import find_samples
from diff_medical.scan.names import labels_beside

__all__ = ["Brain", "each_brain"]


@dataclass(frozen=True)
class Brain:
    """One brain.

    path:   of the scan; for a prepared person the folder and the name of the person
    name:   of the person, or of the file
    scan:   (X, Y, Z) float32, any unit
    labels: (X, Y, Z) uint8, `grid.CLASSES`
    voxel:  mm
    """

    path: Path
    name: str
    scan: NDArray[np.float32]
    labels: NDArray[np.uint8]
    voxel: float

    def tones(self) -> NDArray[np.float32]:
        """Return the scan (X, Y, Z) in units of the median of white matter.

        Raises ValueError, one line that names the file, for a brain without white matter.
        """
        try:
            return over_white(self.scan, self.labels)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error


def each_brain(folder: Path, split: Split = "train") -> Iterator[tuple[float, Brain]]:
    """Yield the brains of a folder, each after the share of them that is read with it, 0 to 1.

    A folder of `train brain-prepare` (the people of a split), or one of `generate --volume
    --with-labels`. Raises ValueError, one line that names the file, for a brain without a label
    map, and for a folder without brains.
    """
    if (folder / GRID).is_file():
        grid = read_grid(folder)
        people = read_people(folder, grid, split)
        if not len(people):
            raise ValueError(f"{folder}: holds no people of the split {split!r}")
        for i, name in enumerate(people.names):
            yield (
                (i + 1) / len(people),
                Brain(
                    folder / name,
                    name,
                    people.images[i].float().numpy(),
                    people.labels[i].numpy(),
                    grid.voxel * float(people.sizes[i]),
                ),
            )
        return
    paths = find_samples(folder)
    for i, path in enumerate(paths):
        beside = labels_beside(path)
        if not beside.is_file():
            raise ValueError(f"{path}: has no label map; expected {beside.name}")
        scan, affine = read_upright(path)
        labels = read_upright(beside)[0].astype(np.uint8)
        if labels.shape != scan.shape:
            raise ValueError(f"{beside}: has shape {labels.shape}; expected {scan.shape}")
        voxel = float(abs(np.linalg.det(affine[:3, :3])) ** (1 / 3))
        yield (i + 1) / len(paths), Brain(path, path.name, scan, labels, voxel)
