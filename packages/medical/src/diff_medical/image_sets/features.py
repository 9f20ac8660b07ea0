"""Features of a generator's own network, and which scans it was trained on, from its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diff_core.io import Card
from diff_medical.generator.data.corpus import Selection
from diff_medical.generator.tone import decode
from diff_medical.image_sets.images import Images

if TYPE_CHECKING:
    from diff_medical.generator.model import Generator

__all__ = ["network_features", "selection_of"]


def network_features(generator: Generator, images: Images) -> NDArray[np.float32]:
    """(N, D) of images: what the bottleneck of the network holds (`Generator.features`)."""
    words = [entry.request.modality for entry in images.entries]
    values = [decode(image, word) for image, word in zip(images.values, words, strict=True)]
    return generator.features(np.stack(values), words)


def selection_of(card: Card, subject: str = "") -> Selection:
    """The selection of the training recipe in the card; all scans if it has none.

    subject: a regular expression that takes the place of the recipe's

    Raises ValueError for one that is none.
    """
    said: Any = card.recipe.get("scans")
    found: dict[str, Any] = dict(said) if isinstance(said, dict) else {}
    return Selection(
        tuple(found.get("modalities", ())),
        tuple(found.get("bodies", ())),
        subject or str(found.get("subject", "")),
        int(found.get("rare", 1)),
    )
