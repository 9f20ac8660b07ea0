"""Samples of a stage while it trains, measured against held-out people by fixed features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.evaluate import RandomFeatures, SampleScore, energy_distance
from diff_medical.brain.anatomy import Anatomy
from diff_medical.brain.appearance import Appearance
from diff_medical.brain.borders import Borders
from diff_medical.brain.folds import Finer
from diff_medical.brain.fractions import fractions, one_hot
from diff_medical.brain.people import People
from diff_medical.generator.training.judge import FURTHER, Judging

__all__ = ["Describe", "apart", "brain_watch"]

KNOWN = 16  # people of the training whose features set the units

Describe = Callable[[NDArray[np.float32], NDArray[np.uint8], float], Mapping[str, float]]
"""describe(scan (X, Y, Z), labels (X, Y, Z), voxel in mm) -> features by name; ValueError for a
brain that has none."""


def brain_watch(
    stage: Any,
    people: People,
    held: People,
    judging: Judging,
    describe: Describe | None = None,
    previews: Path | None = None,
) -> SampleScore[Any] | None:
    """Return the distances of samples of a stage to held-out people: `generator.training.judge`.

    Sample i has the seed i. Those of a stage after the anatomy complete the coarse data, or the
    label map, of held-out person i modulo their number, so that each stage is judged alone. Their
    energy distance is over pairs of different people (`apart`), so that it is 0 on average for a
    perfect stage; their Fréchet distance has no such end, and compares validations only.

    describe: features of whole brains, for label maps (with the person's own scan) and for scans;
              fractions, and all stages without it, have those of a fixed random network. Named
              features are in units of their deviations over people of the training, the others
              in that of the root mean square of theirs
    previews: folder with a sheet of each validation, for the board

    The distances are NaN where a sample has no features. None where no samples are asked for, or
    fewer than two people are held out.
    """
    if not judging.count or len(held) < 2:
        return None
    features = _Features(stage, describe)
    found = features.of_people(_first(people, KNOWN))
    mean, unit = found.mean(0), found.std(0).clamp_min(1e-9)
    if not features.has_names:  # of one kind: a channel that is nearly constant weighs little
        unit = unit.square().mean().sqrt()

    def scaled(rows: Tensor) -> Tensor:
        return (rows - mean) / unit

    def sample(average: Any, seeds: Sequence[int]) -> Tensor:
        who = [seed % len(held) for seed in seeds]
        drawn = _drawn(average, held, who, seeds, judging.steps).cpu()
        return scaled(features.of(drawn, held, who))

    def picture(_samples: Tensor, step: int) -> Tensor:
        from PIL import Image

        assert previews is not None
        with Image.open(previews / f"{step:07d}.png") as image:
            levels = np.asarray(image.convert("RGB"), np.float32) / 255
        return torch.from_numpy(levels).permute(2, 0, 1)

    real = scaled(features.of_people(held))
    distance = energy_distance if isinstance(stage, Anatomy) else apart
    shown = picture if previews is not None else None
    return SampleScore(
        sample, real, judging.count, distance=distance, batch=4, further=FURTHER, picture=shown
    )


def apart(x: Tensor, y: Tensor) -> float:
    """Return the energy distance of samples x (N, D) to people y (M, D), of each of whom there is
    one row, where sample i was made for person i modulo M.

    The means of `diff_core.evaluate.energy_distance` are over pairs of different people alone.
    They are independent; a sample and its own person, or two samples of one person, are not, and
    would make good samples nearer than other people are to each other. N and M are from 2.
    """
    mine, own = torch.arange(len(x)) % len(y), torch.arange(len(y))

    def mean(a: Tensor, b: Tensor, who: Tensor, whom: Tensor) -> float:
        return float(torch.cdist(a, b)[who[:, None] != whom].mean())

    x, y = x.double(), y.double()
    return 2 * mean(x, y, mine, own) - mean(x, x, mine, mine) - mean(y, y, own, own)


@dataclass(frozen=True)
class _Features:
    """Features (N, D), float64, of what a stage makes."""

    stage: Any
    describe: Describe | None

    @property
    def has_names(self) -> bool:
        """Return True if the features are those of `describe`."""
        return self.describe is not None and isinstance(self.stage, Borders | Appearance)

    def of(self, made: Tensor, people: People, who: Sequence[int]) -> Tensor:
        """Those of volumes (N, ...) for the people `who`."""
        if self.has_names:
            rows = [self._row(one, people, w) for one, w in zip(made, who, strict=True)]
            width = max(len(row) for row in rows)  # a row without features is a single NaN
            full = [row if len(row) == width else row * width for row in rows]
            return torch.tensor(full, dtype=torch.float64)
        channels = one_hot(made) if isinstance(self.stage, Borders) else made
        channels = channels[:, None] if isinstance(self.stage, Appearance) else channels
        network = RandomFeatures(3, channels.shape[1])
        return torch.cat([network(one).double() for one in channels.split(1)])

    def of_people(self, people: People) -> Tensor:
        """Those of real people."""
        return self.of(self._real(people), people, range(len(people)))

    def _real(self, people: People) -> Tensor:
        if isinstance(self.stage, Appearance):
            return people.images.float()
        if isinstance(self.stage, Borders):
            return people.labels
        return fractions(people.labels, self.stage.factor)

    def _row(self, made: Tensor, people: People, who: int) -> list[float]:
        assert self.describe
        is_scan = isinstance(self.stage, Appearance)
        scan = made if is_scan else people.images[who]
        labels = people.labels[who] if is_scan else made
        voxel = self.stage.grid.voxel * float(people.sizes[who])
        try:
            found = self.describe(scan.float().numpy(), labels.numpy(), voxel)
        except ValueError:  # of a network that has just begun: no white matter, say
            return [float("nan")]
        return list(found.values())


def _drawn(
    stage: Any, held: People, who: Sequence[int], seeds: Sequence[int], steps: int
) -> Tensor:
    """Samples (N, ...) of a stage, given data of the held-out people `who`."""
    seeds, labels = list(seeds), held.labels[list(who)]
    device = next(stage.parameters()).device
    if isinstance(stage, Anatomy):
        return stage.sample(seeds, steps)
    if isinstance(stage, Finer):
        return stage.sample(fractions(labels, 2 * stage.factor).to(device), seeds, steps)
    if isinstance(stage, Borders):
        return stage.sample(fractions(labels, 2).to(device), seeds, steps)
    words = stage.measured(held.contrast[list(who)].to(device))
    return stage.sample(labels, seeds, steps, words)


def _first(people: People, count: int) -> People:
    return People(
        people.names[:count], people.labels[:count], people.images[:count], people.sizes[:count],
        people.licences[:count],
    )  # fmt: skip
