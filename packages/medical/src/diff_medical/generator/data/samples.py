"""Training items of the generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_medical.generator.cascade import Cascade
from diff_medical.generator.data.augment import Augmentation, Strength, warped
from diff_medical.generator.data.corpus import Corpus, Entry
from diff_medical.generator.request import NORMAL
from diff_medical.generator.vocabulary import Vocabulary

__all__ = ["Balance", "ScanSamples", "held_out", "vocabulary_of"]


@dataclass(frozen=True)
class Balance:
    """The frequency with which each kind of scan is drawn, and with which its words are left out.

    power: the weight of a kind (modality and part of the body) is the number of its training
           images to this power: 1 as they come, 0 all kinds alike; within a kind each scan weighs
           the square root of the number of its images
    drop:  share of items without any word, for classifier-free guidance
    """

    power: float = 0.5
    drop: float = 0.12

    def __post_init__(self) -> None:
        for name in ("power", "drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1")


def vocabulary_of(corpus: Corpus) -> Vocabulary:
    """The words of the training images."""
    choices = corpus.choices()
    words = [
        sorted({getattr(c, n) for c in choices} - {""}) for n in ("modality", "body", "plane")
    ]
    return Vocabulary(*map(tuple, words), labels=Augmentation.size(corpus.cutting.spatial))


@dataclass(frozen=True)
class ScanSamples:
    """Item i: `x_0` packed, `vector`, and `channels` if the model takes an aligned scan."""

    corpus: Corpus
    model: Cascade
    strength: Strength
    balance: Balance
    seed: int = 0

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Indices of the training images and their cumulative probabilities."""
        indices = self.corpus.of("train")
        entries = [self.corpus.entries[i] for i in indices]
        kinds = np.array([f"{e.request.modality} {e.request.body}" for e in entries])
        scans = np.array([entry.scan for entry in entries])
        weights = np.zeros(len(indices))
        for kind in np.unique(kinds):
            mine = kinds == kind
            for scan in np.unique(scans[mine]):
                which = mine & (scans == scan)
                weights[which] = which.sum() ** -0.5
            weights[mine] *= mine.sum() ** self.balance.power / weights[mine].sum()
        return indices, np.cumsum(weights / weights.sum())

    def _index(self, rng: np.random.Generator) -> int:
        indices, cumulative = self._places
        place = int(np.searchsorted(cumulative, rng.random(), side="right"))
        return int(indices[min(place, len(indices) - 1)])

    def name(self, index: int) -> str:
        """The scan that item `index` is of."""
        return self.corpus.entries[self._index(np.random.default_rng([self.seed, index]))].scan

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        place = self._index(rng)
        entry, spatial = self.corpus.entries[place], self.corpus.cutting.spatial
        axis = _left_right(entry, spatial)
        mr = entry.request.modality != "ct"
        augmentation = Augmentation.draw(self.strength, spatial, axis, mr, rng)
        canvas = np.asarray(self.corpus.images[place], np.float32)
        image = warped(canvas, self.corpus.cutting, augmentation)
        request = None if rng.random() < self.balance.drop else entry.request
        vector = self.model.vocabulary.vector(request, augmentation.labels)
        return _item(self.model, image, vector)


def _left_right(entry: Entry, spatial: int) -> int | None:
    if spatial == 3:
        return 0
    return None if NORMAL[entry.request.plane] == 0 else 0


def _item(
    model: Cascade, image: NDArray[np.float32], vector: NDArray[np.float32]
) -> dict[str, Tensor]:
    tensor = torch.from_numpy(image)[None]
    item = {"x_0": model.outer.pack(tensor[:, :1])[0], "vector": torch.from_numpy(vector)}
    if model.extra:
        item["channels"] = model.pack_extra(tensor[:, 1:])[0]
    return item


def held_out(
    corpus: Corpus, model: Cascade, split: str, count: int, batch: int = 16
) -> Iterator[dict[str, Tensor]]:
    """Batches of `count` images of a split, spread evenly over it, as they are; even in number.

    Images of kinds that the model has no word for are left out.
    """
    known = model.vocabulary
    indices = [
        i
        for i in corpus.of(split).tolist()
        if corpus.entries[i].request.modality in known.modalities
        and corpus.entries[i].request.body in (*known.bodies, "")
        and corpus.entries[i].request.plane in (*known.planes, "")
    ]
    chosen = np.unique(np.linspace(0, len(indices) - 1, count).astype(int)) if indices else []
    chosen = chosen[: len(chosen) // 2 * 2]
    items = [
        _item(model, corpus.window(i), known.vector(corpus.entries[i].request))
        for i in (indices[place] for place in chosen)
    ]
    for first in range(0, len(items), batch):
        part = items[first : first + batch]
        yield {name: torch.stack([item[name] for item in part]) for name in part[0]}
