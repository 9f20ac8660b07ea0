"""Training items of the stages: item i is a function of the seed and i alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from diff_medical.brain.anatomy import Anatomy
from diff_medical.brain.appearance import Appearance
from diff_medical.brain.borders import Borders
from diff_medical.brain.folds import Finer, Folds, Lobes
from diff_medical.brain.fractions import fractions
from diff_medical.brain.people import People
from diff_medical.brain.places import START, Shape, coordinates
from diff_medical.brain.training.augment import Augmentation, bent, joined, mirrored

__all__ = ["CropSamples", "Crops", "HeadSamples", "collate"]

EIGHTH = 8
"""Small crops that cost as much as one of twice their side."""

TRIES = 1000

Item = dict[str, Tensor]


@dataclass(frozen=True)
class Crops:
    """The pieces of heads that the stages after the lobes are trained on.

    side:  of a crop, cells of the stage
    wide:  share of batches of crops of twice the side, an eighth as many, so that the network also
           knows what is far from the edge of what it sees
    least: share of a crop that has to be head

    Raises ValueError for a share outside 0 to 1 or a side that is odd or below 2.
    """

    side: int = 16
    wide: float = 0.15
    least: float = 0.1

    def __post_init__(self) -> None:
        if self.side < 2 or self.side % 2:
            raise ValueError(f"side is {self.side}; expected an even number from 2 up")
        for name in ("wide", "least"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1")


@dataclass(frozen=True)
class HeadSamples:
    """Whole heads: `x_0`, `channels`, and for the anatomy the words `vector`.

    The words are 0 in the share `drop` of items.
    """

    stage: Anatomy | Lobes
    people: People
    augmentation: Augmentation
    drop: float
    seed: int = 0

    @cached_property
    def _shares(self) -> Tensor:
        """(N, 5, *cells of half the side), from which bent ones are made."""
        half = self.stage.factor // 2
        return torch.cat([fractions(one[None], half).half() for one in self.people.labels])

    def name(self, index: int) -> str:
        """Return the name of a person of the item."""
        return self.people.names[self._two(_generator(self.seed, index))[0]]

    def _two(self, generator: torch.Generator) -> list[int]:
        return torch.randint(len(self.people), (2,), generator=generator).tolist()

    def __getitem__(self, index: int) -> Item:
        generator, change = _generator(self.seed, index), self.augmentation
        one, other = self._two(generator)
        chances = torch.rand(5, generator=generator).tolist()
        shares = self._shares[one : one + 1].float()
        shares = mirrored(shares) if chances[0] < 0.5 else shares
        if chances[1] < change.joined:
            right = self._shares[other : other + 1].float()
            shares = joined(shares, mirrored(right) if chances[2] < 0.5 else right)
        if chances[3] < change.bent:
            x, y, z = shares.shape[2:]
            places = bent(coordinates(START, (x, y, z), (x, y, z)), change.bend, generator)
            shares = F.grid_sample(shares, places, align_corners=False)
        shares, stage = F.avg_pool3d(shares, 2), self.stage
        with torch.no_grad():
            if isinstance(stage, Lobes):
                return _refined(stage, shares, START, generator)
            return {
                "x_0": stage.encode(shares)[0],
                "vector": stage.measured(shares)[0] * (chances[4] >= self.drop),
                "channels": stage.position(1)[0],
            }


@dataclass(frozen=True)
class _Crop:
    """Cells of the stage in the head of person `who`, mirrored or not."""

    who: int
    flip: bool
    start: Shape
    shape: Shape


@dataclass(frozen=True)
class CropSamples:
    """Crops of heads for one of the stages after the lobes.

    batch: items of a batch: all crops of one are of one size
    drop:  share of items without words (appearance)

    An item whose crop is too large to be in its batch is empty; `collate` leaves it out.
    """

    stage: Folds | Borders | Appearance
    people: People
    augmentation: Augmentation
    crops: Crops
    batch: int
    drop: float = 0.0
    seed: int = 0

    @property
    def _factor(self) -> int:
        """Voxels along a side of a cell."""
        return 4 if isinstance(self.stage, Folds) else 2

    def name(self, index: int) -> str:
        """Return the name of the person of the item."""
        generator = _generator(self.seed, index)
        return self.people.names[self._crop(self._is_wide(index), generator).who]

    def __getitem__(self, index: int) -> Item:
        wide = self._is_wide(index)
        if wide and index % self.batch % EIGHTH:
            return {}
        generator = _generator(self.seed, index)
        return self._item(self._crop(wide, generator), generator)

    def _is_wide(self, index: int) -> bool:
        """Return True for an item of a batch of large crops."""
        drawn = np.random.default_rng([self.seed, index // self.batch, 1]).random()
        return bool(drawn < self.crops.wide)

    def _crop(self, wide: bool, generator: torch.Generator) -> _Crop:
        """A crop with enough of a head in it, of a person drawn with it."""
        for _ in range(TRIES):
            who = int(torch.randint(len(self.people), (), generator=generator))
            flip = bool(torch.rand((), generator=generator) < 0.5)
            start, shape = self._place(self.crops.side * (1 + wide), generator)
            found = _Crop(who, flip, start, shape)
            head = self._cut(self.people.labels, found) > 0
            if float(head.float().mean()) >= self.crops.least:
                return found
        raise ValueError(
            f"crops.least is {self.crops.least}; in {TRIES} crops no one held so much of a head"
        )

    def _place(self, side: int, generator: torch.Generator) -> tuple[Shape, Shape]:
        """Start and shape of a crop, cells."""
        whole = self.stage.grid.cells(self._factor)
        x, y, z = (min(side, n) for n in whole)
        a, b, c = (
            int(torch.randint(0, n - m + 1, (), generator=generator))
            for n, m in zip(whole, (x, y, z), strict=True)
        )
        return (a, b, c), (x, y, z)

    def _cut(self, volumes: Tensor, crop: _Crop) -> Tensor:
        """(1, *shape in voxels)."""
        volume = mirrored(volumes[crop.who]) if crop.flip else volumes[crop.who]
        x, y, z = (
            slice(self._factor * a, self._factor * (a + n))
            for a, n in zip(crop.start, crop.shape, strict=True)
        )
        return volume[None, x, y, z]

    def _item(self, crop: _Crop, generator: torch.Generator) -> Item:
        stage, start = self.stage, crop.start
        labels = self._cut(self.people.labels, crop)
        with torch.no_grad():
            if isinstance(stage, Appearance):
                image = self._cut(self.people.images, crop).float()
                words = stage.measured(self.people.contrast[crop.who : crop.who + 1])[0]
                said = float(torch.rand((), generator=generator) >= self.drop)
                return {
                    "x_0": stage.encode(image, labels)[0],
                    "channels": stage.channels(labels, start)[0],
                    "vector": words * said,
                }
            if isinstance(stage, Borders):
                coarse = fractions(labels, 2)
                noise = torch.randn(coarse.shape, generator=generator)
                channels = stage.channels(coarse, noise, start)[0]
                return {"x_0": labels[0].long(), "channels": channels}
            labels = self._bent(labels, crop, generator)
            return _refined(stage, fractions(labels, 2), start, generator)

    def _bent(self, labels: Tensor, crop: _Crop, generator: torch.Generator) -> Tensor:
        """The crop of a bent head, read in the crop alone; the labels as they are for some."""
        change = self.augmentation
        if float(torch.rand((), generator=generator)) >= change.bent:
            return labels
        x, y, z = (self._factor * a for a in crop.start)
        i, j, k = labels.shape[1:]
        places = coordinates((x, y, z), (i, j, k), self.stage.grid.shape)
        whole = self.people.labels[crop.who]
        whole = (mirrored(whole) if crop.flip else whole)[None, None].float()
        read = F.grid_sample(
            whole, bent(places, change.bend, generator), mode="nearest", align_corners=False
        )
        return read[0].to(torch.uint8)


def collate(items: Sequence[Item]) -> Item:
    """A batch of the items that are not empty. Raises ValueError where all are."""
    held = [item for item in items if item]
    if not held:
        raise ValueError(
            f"a part of a batch of large crops is empty; expected parts of {EIGHTH} items or "
            "more: a larger batch_size, fewer parts, or crops.wide=0"
        )
    return default_collate(held)


def _refined(stage: Finer, shares: Tensor, start: Shape, generator: torch.Generator) -> Item:
    """The item of fractions (1, 5, *fine cells) of a crop from the coarse cell `start`."""
    coarse, x_0 = stage.encode(shares)
    noise = torch.randn(coarse.shape, generator=generator)
    return {"x_0": x_0[0], "channels": stage.channels(coarse, noise, start)[0]}


def _generator(seed: int, index: int) -> torch.Generator:
    drawn = int(np.random.default_rng([seed, index]).integers(2**63))
    return torch.Generator().manual_seed(drawn)
