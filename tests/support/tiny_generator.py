"""Small generators without training, for the tests of what is around them."""

from pathlib import Path
from typing import Any

import torch

from diff_core.io import Card, save
from diff_medical.generator.vocabulary import Vocabulary
from small_cascade import small_cascade, with_random_heads

__all__ = ["SIZE", "write_generator"]

SIZE = 32


def write_generator(
    path: Path,
    *,
    spatial: int = 2,
    labels: int = 0,
    scores: dict[str, float] | None = None,
) -> Path:
    """Weights of a generator of 32-voxel slices or volumes that knows T1, T2 and CT."""
    torch.manual_seed(0)
    planes = ("axial", "coronal", "sagittal") if spatial == 2 else ()
    vocabulary = Vocabulary(("ct", "t1", "t2"), ("abdomen", "head", "knee"), planes)
    model = with_random_heads(small_cascade(vocabulary, spatial, extra=labels))
    known = [("t1", "head", 24, 5), ("t2", "knee", 12, 3), ("ct", "abdomen", 7, 1)]
    choices: list[dict[str, Any]] = [
        {"modality": modality, "body": body, "plane": plane, "scans": scans, "subjects": people,
         "positions": [0.2, 0.5, 0.8] if spatial == 2 else [], "view": 240.0}
        for plane in planes or ("",)
        for modality, body, scans, people in known
        if plane != "sagittal" or modality != "ct"
    ]  # fmt: skip
    card = Card(
        name="tiny",
        signal={
            "size": SIZE,
            "thickness": 4.0,
            "subjects": 8,
            "choices": choices,
            "channels": {"suffix": "labels" if labels else "", "labels": labels},
        },
        scores=scores or {},
    )
    save(path, model, card)
    return path
