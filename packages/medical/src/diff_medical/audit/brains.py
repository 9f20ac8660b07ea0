"""Brains with label maps for the audit: on one coarse grid, with features of no network.

All lie on the grid of the generator's template, so that they are registered by a turn, a shift and
one scale before `diff_medical.audit.match` looks for what is left of a shift. The voxels are
joined to about 3 mm: the folds of a cortex, which tell people apart, are there, and 200 brains
are compared in minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.data import Split, refuse_shared
from diff_medical.audit.compare import Settings
from diff_medical.generator.data.corpus import Entry
from diff_medical.generator.request import Request
from diff_medical.image_sets.brain_features import brain_features
from diff_medical.image_sets.brains import Brain, each_brain
from diff_medical.image_sets.images import Images

__all__ = ["BrainSets", "read_sets"]

Array = NDArray[np.float32]
LONGEST = 56  # voxels of the longest axis, about
WHITE = 0.8  # the tone of white matter, where air is 0
PATCH = 16  # voxels


@dataclass(frozen=True)
class BrainSets:
    """samples, train, heldout: tones; rows: features (D,) by set and name."""

    samples: Images
    train: Images
    heldout: Images
    rows: dict[tuple[str, str], Array]

    def features(self, images: Images) -> Array:
        """Return the features (N, D) of some of the images."""
        return np.stack([self.rows[entry.split, entry.scan] for entry in images.entries])

    @staticmethod
    def settings(draws: int, seed: int) -> Settings:
        """Return the settings for voxels of this size."""
        return Settings(patch=PATCH, draws=draws, seed=seed)


def read_sets(
    train: Path, heldout: Path, samples: Path, progress: Callable[[float], None]
) -> BrainSets:
    """Read samples, the people of training (split "train") and others (split "val").

    train, heldout: folders of `train brain-prepare`, which may be one, or of brains with label
                    maps
    samples:        a folder of `generate --volume --with-labels`

    Raises ValueError, one line, for a brain without label map or white matter, for brains on
    different grids, and for a person on both sides.
    """
    rows: dict[tuple[str, str], Array] = {}
    folders: list[tuple[str, Path, Split]] = [
        ("samples", samples, "train"), ("train", train, "train"), ("heldout", heldout, "val")
    ]  # fmt: skip
    made: list[Images] = []
    for number, (name, folder, split) in enumerate(folders):
        values: list[Array] = []
        entries: list[Entry] = []
        for share, brain in each_brain(folder, split):
            values.append(_joined(brain))
            if values[-1].shape != (made[0].values if made else values)[0].shape:
                raise ValueError(
                    f"{brain.path}: has shape {brain.scan.shape}, others another; expected brains "
                    "on one grid"
                )
            entries.append(Entry(Request("t1", "brain", ""), brain.name, brain.name, name, 0.0))
            found = brain_features(brain.scan, brain.labels, brain.voxel)
            rows[name, brain.name] = np.array(list(found.values()), np.float32)
            progress((number + share) / len(folders))
        made.append(Images(np.stack(values), tuple(entries)))
    sides: dict[str, list[str]] = {}
    for entry in (*made[1].entries, *made[2].entries):
        sides.setdefault(entry.subject, []).append(entry.split)
    refuse_shared(sides, "subject")
    first, second, third = made
    return BrainSets(first, second, third, rows)


def _joined(brain: Brain) -> Array:
    """The tones of a brain, in as many voxels as are compared."""
    tones = WHITE * brain.tones()
    count = max(1, round(max(tones.shape) / LONGEST))
    x, y, z = (n // count for n in tones.shape)
    cut = tones[: x * count, : y * count, : z * count]
    return cut.reshape(x, count, y, count, z, count).mean((1, 3, 5), dtype=np.float32)
