"""Words for scans: modality, body part, plane and position, as a vector that a network takes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.generator.request import NORMAL, PLANES, Request

__all__ = ["VIEWS", "Vocabulary", "body_of", "modality_of"]

# The first that is found counts: "T2*" and "T2 FLAIR" are not T2.
_MODALITIES = {
    "flair": "flair",
    "t2star": r"t2\s?\*|t2starw?",
    "t1": r"t1w?|mprage|mp2rage|spgr",
    "t2": "t2w?",
    "pd": "pdw?",
    "epi": "epi|bold|sbref",
    "dwi": "dwi",
    "swi": "swi",
    "gre": "gre|flash",
    "ct": "ct",
}
_BODIES = {
    "brain": "brain|skull.?stripped",
    "head": "head|cranial",
    "knee": "knee",
    "chest": "chest|thorax|lung|heart|cardiac",
    "abdomen": "abdomen|abdominal|liver|body",
    "pelvis": "pelvis|prostate|hip",
    "neck": "neck|cervical",
    "spine": "spine|spinal|lumbar",
    "breast": "breast",
}
VIEWS = {
    "head": 240.0, "brain": 200.0, "knee": 168.0, "chest": 416.0, "abdomen": 416.0,
    "pelvis": 416.0, "neck": 168.0, "spine": 240.0, "breast": 336.0,
}  # fmt: skip
"""Field of view, mm, that fits a part of the body."""


def modality_of(*texts: str) -> str:
    """Return the modality that the first text with one names; "" if none does."""
    return _first(_MODALITIES, texts)


def body_of(*texts: str) -> str:
    """As `modality_of`, the part of the body."""
    return _first(_BODIES, texts)


def _first(known: dict[str, str], texts: Sequence[str]) -> str:
    for text in texts:
        for name, pattern in known.items():
            if re.search(
                rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", text.lower().replace("_", " ")
            ):
                return name
    return ""


@dataclass(frozen=True)
class Vocabulary:
    """The words that a network knows, each an entry of the vector that it is told.

    planes: none for volumes
    labels: numbers that say how a training item was augmented; zero for a real scan

    In training all words are left out of a share of the items, for classifier-free guidance; the
    position is left out where it is not known.
    """

    modalities: tuple[str, ...]
    bodies: tuple[str, ...]
    planes: tuple[str, ...] = PLANES
    labels: int = 0

    @property
    def size(self) -> int:
        """Length of the vector."""
        words = len(self.modalities) + len(self.bodies) + len(self.planes)
        return words + (len(position_features(0.5)) if self.planes else 0) + self.labels

    def vector(
        self, request: Request | None, augmentation: Sequence[float] = ()
    ) -> NDArray[np.float32]:
        """(size,) float32; without a request all but the labels of the augmentation is zero.

        Raises ValueError for a word that is not known.
        """
        parts: list[Sequence[float]] = []
        said = (request.modality, request.body, request.plane) if request else ("", "", "")
        names = ("modality", "body", "plane")
        groups = (self.modalities, self.bodies, self.planes)
        for name, known, word in zip(names, groups, said, strict=True):
            if word and known and word not in known:
                raise ValueError(f"{name} is {word!r}; the model knows {', '.join(known)}")
            parts.append([float(word == other) for other in known])
        if self.planes:
            position = request.position if request else None
            parts.append(position_features(position))
        parts.append(augmentation if len(augmentation) else [0.0] * self.labels)
        # variance near one, whatever the number of words
        made = np.concatenate([np.asarray(part, np.float32) for part in parts])
        return made * np.float32(2.0)


def position_features(position: float | None) -> list[float]:
    """Return a flag for a known position, and the position as smooth functions; zeros if it is not
    known.
    """
    if position is None:
        return [0.0] * 8
    angles = [math.pi * k * position for k in (1, 2, 4)]
    waves = [f(angle) for angle in angles for f in (math.cos, math.sin)]
    return [1.0, 2 * position - 1, *waves]


def along(plane: str, share: Any) -> Any:
    """A position from the share of the way along its RAS axis, or back."""
    return 1 - share if NORMAL[plane] == 0 else share
