"""Sets of images made comparable: as many of each kind in every set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diff_medical.image_sets.images import Images

__all__ = ["halved", "matched"]

Indices = NDArray[np.int64]


def halved(images: Images) -> tuple[Images, Images]:
    """Two halves without a person in common, every second person of each kind.

    A kind with scans of one person is left out. Raises ValueError if all are.
    """
    people: dict[tuple[str, str, str], list[str]] = {}
    for index, entry in enumerate(images.entries):
        names = people.setdefault(images.kind(index), [])
        if entry.subject not in names:
            names.append(entry.subject)
    side: dict[str, int] = {}
    counts = [0, 0]
    for names in people.values():
        for name in names:
            if name not in side and len(names) > 1:
                side[name] = int(counts[1] < counts[0])
                counts[side[name]] += 1
    first, second = (
        np.array([i for i, e in enumerate(images.entries) if side.get(e.subject) == half], int)
        for half in (0, 1)
    )
    if not len(first) or not len(second):
        raise ValueError(
            "real scans of one person, of each kind; give `reference`, or more people"
        )
    return images.part(first), images.part(second)


def matched(
    sets: Mapping[str, Images], most: int, seed: int = 0
) -> tuple[dict[str, Indices], dict[str, int]]:
    """Rows of each set, as many of each kind (of the first set's words) in all, at most `most`.

    Images of a kind that a set lacks are left out of all. Raises ValueError if fewer than 12
    images are left.
    """
    rng = np.random.default_rng(seed)
    kinds = sorted({images.kind(i) for images in sets.values() for i in range(len(images))})
    found = {
        kind: {name: _of(images, kind) for name, images in sets.items()}
        for kind in kinds
        if kind[0] and kind[1]
    } or {("", "", ""): {name: np.arange(len(images)) for name, images in sets.items()}}
    least = {kind: min(map(len, parts.values())) for kind, parts in found.items()}
    share = min(1.0, most / max(sum(least.values()), 1))
    taken = {kind: int(count * share) for kind, count in least.items() if int(count * share)}
    if sum(taken.values()) < 12:
        counts = {name: len(images) for name, images in sets.items()}
        raise ValueError(
            f"{sum(taken.values())} images of kinds that all sets have, of {counts}; expected at "
            "least 12"
        )
    rows = {
        name: np.concatenate(
            [rng.permutation(found[kind][name])[:count] for kind, count in taken.items()]
        )
        for name in sets
    }
    return rows, {" ".join(filter(None, k)) or "of any kind": n for k, n in taken.items()}


def _of(images: Images, kind: tuple[str, str, str]) -> Indices:
    return np.array([i for i in range(len(images)) if images.kind(i) == kind], np.int64)
