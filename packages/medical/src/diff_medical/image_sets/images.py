"""Images with what they are, and which of them may fairly be set beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diff_medical.generator.data.corpus import Entry

__all__ = ["Draw", "Images", "Pool", "Pools"]

Array = NDArray[np.float32]
Indices = NDArray[np.int64]
Kind = tuple[str, str, str]
EACH = 40  # most scans of a kind and person that are drawn from


@dataclass(frozen=True)
class Images:
    """Tones (N, *S) float32 (`diff_medical.generator.tone`), and what each is."""

    values: Array
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def kind(self, index: int) -> Kind:
        """Modality, body and plane; "" where one is not known."""
        said = self.entries[index].request
        return said.modality, said.body, said.plane

    def part(self, indices: Indices) -> Images:
        """Some of them."""
        return Images(self.values[indices], tuple(self.entries[int(i)] for i in indices))

    def people(self, kind: Kind) -> list[Indices]:
        """Indices of the images of a kind, by person; an unknown word fits any."""
        found: dict[str, list[int]] = {}
        for index, entry in enumerate(self.entries):
            pairs = zip(kind, self.kind(index), strict=True)
            if all(a == b or not a or not b for a, b in pairs):
                found.setdefault(entry.subject, []).append(index)
        return [np.array(indices, np.int64) for indices in found.values()]


@dataclass(frozen=True)
class Draw:
    """A draw of one kind: samples (n,), and of both sides (people, scans of each), as many."""

    samples: Indices
    train: Indices
    heldout: Indices

    def votes(
        self, to_train: Array, to_heldout: Array
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(G,) samples whose most alike scan is of each person, and (G,) who is of training.

        to_train, to_heldout: (N, T) and (N, H), likeness of all samples with all scans
        """
        sides = [
            values[self.samples][:, side].max(2)
            for values, side in ((to_train, self.train), (to_heldout, self.heldout))
        ]
        both = np.concatenate(sides, 1)
        votes = np.bincount(both.argmax(1), minlength=both.shape[1])
        return votes, np.arange(both.shape[1]) < len(self.train)


@dataclass(frozen=True)
class Pool:
    """The pool of one kind: samples, and the scans of each person of both sides that may be
    drawn.
    """

    samples: Indices
    train: tuple[Indices, ...]
    heldout: tuple[Indices, ...]

    def draw(self, rng: np.random.Generator) -> Draw:
        """As many people of both sides, and as many scans of each, evenly spread."""
        count = min(len(self.train), len(self.heldout))
        sides = [
            [side[i] for i in rng.choice(len(side), count, replace=False)]
            for side in (self.train, self.heldout)
        ]
        each = min(len(scans) for side in sides for scans in side)
        first, second = (
            np.stack([_spread(scans, each, float(rng.random())) for scans in side])
            for side in sides
        )
        return Draw(self.samples, first, second)


@dataclass(frozen=True)
class Pools:
    """kinds: those of the samples that both sides have; untested: samples of the others."""

    kinds: dict[str, Pool]
    untested: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, samples: Images, train: Images, heldout: Images) -> Pools:
        """Sorts the samples by kind, and finds the people of each on both sides."""
        groups: dict[Kind, list[int]] = {}
        for index in range(len(samples)):
            groups.setdefault(samples.kind(index), []).append(index)
        kinds: dict[str, Pool] = {}
        untested: dict[str, int] = {}
        for kind, members in groups.items():
            name = " ".join(filter(None, kind)) or "of unknown kind"
            sides = train.people(kind), heldout.people(kind)
            if min(map(len, sides)):
                few = (tuple(_spread(i, min(EACH, len(i)), 0.5) for i in side) for side in sides)
                kinds[name] = Pool(np.array(members, np.int64), *few)
            else:
                untested[name] = len(members)
        return cls(kinds, untested)

    def picked(self) -> tuple[Indices, Indices]:
        """Indices of all train, and all held-out, scans that may be drawn."""
        pools = self.kinds.values()
        return _union([i for p in pools for i in p.train]), _union(
            [i for p in pools for i in p.heldout]
        )

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Samples of each kind, and people of either side in a draw."""
        return {
            name: (len(pool.samples), min(len(pool.train), len(pool.heldout)))
            for name, pool in self.kinds.items()
        }


def _union(parts: Sequence[Indices]) -> Indices:
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def _spread(indices: Indices, count: int, start: float) -> Indices:
    """`count` of them, evenly spaced; the first a share `start` of the spacing from the end."""
    places = ((np.arange(count) + start) * len(indices) / count).astype(np.int64)
    return indices[places.clip(0, len(indices) - 1)]
