"""Samples of a stage while it trains: a contact sheet, and numbers that say how good they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core.evaluate import energy_distance
from diff_medical.brain.anatomy import Anatomy
from diff_medical.brain.appearance import Appearance
from diff_medical.brain.borders import Borders
from diff_medical.brain.folds import Finer, Folds, Lobes
from diff_medical.brain.fractions import fractions, one_hot, simplex
from diff_medical.brain.people import People
from diff_medical.brain.spectrum import radial_power
from diff_medical.brain.training.augment import mirrored
from diff_medical.generator.training.sheet import GAP, padded, write_sheet

__all__ = ["Preview", "nearest", "power_gap", "preview"]

COLOURS = np.array(
    [[0, 0, 0], [60, 90, 200], [150, 150, 150], [245, 245, 245], [240, 150, 40], [60, 180, 90]],
    np.float32,
)
PLANES = (0.47, 0.45, 0.52)  # where sheets cut the grid

Row = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Preview:
    """The samples of a validation.

    heads: samples, and held-out people beside them
    steps: of the sampler; 0 for no preview
    """

    heads: int = 4
    steps: int = 12

    def __post_init__(self) -> None:
        if self.heads < 1 or self.steps < 0:
            raise ValueError(f"given {self}; expected heads from 1 and steps from 0 up")


def preview(
    stage: Any, people: People, held: People, settings: Preview, path: Path
) -> dict[str, float]:
    """Draw samples beside held-out people into `path` (PNG, marked) and return scores.

    The stages after the anatomy complete the held-out people's own coarse data, so that each is
    judged alone. Nothing without held-out people.
    """
    if not settings.steps or not len(held):
        return {}
    shown = min(settings.heads, len(held))
    makers: dict[type, Callable[..., tuple[list[Row], dict[str, float]]]] = {
        Anatomy: _anatomy, Lobes: _finer, Folds: _finer, Borders: _borders,
        Appearance: _appearance,
    }  # fmt: skip
    with torch.no_grad():
        rows, scores = makers[type(stage)](stage, people, held, settings, shown)
    write_sheet(rows, path)
    return scores


def _anatomy(
    stage: Anatomy, people: People, held: People, settings: Preview, shown: int
) -> tuple[list[Row], dict[str, float]]:
    """nearest: rms distance of samples to the nearest training head, and of held-out people.

    sample distance: the energy distance of samples to held-out people; of two of each or more
    """
    made = stage.sample(list(range(settings.heads)), settings.steps)
    real = fractions(held.labels[:shown], stage.factor)
    known = torch.cat([fractions(one[None], stage.factor) for one in people.labels])
    known = torch.cat([known, mirrored(known)])
    scores = {
        "nearest": nearest(made, known),
        "held-out nearest": nearest(real, known),
        **power_gap(made[:, 1:3].flatten(0, 1), real[:, 1:3].flatten(0, 1)),
    }
    if min(len(made), len(real)) > 1:
        scores["sample distance"] = energy_distance(made, real)
    return [[_colour(one) for one in simplex(made)], [_colour(one) for one in real]], scores


def _finer(
    stage: Finer, people: People, held: People, settings: Preview, shown: int
) -> tuple[list[Row], dict[str, float]]:
    labels = held.labels[:shown]
    real = fractions(labels, stage.factor)
    made = stage.sample(fractions(labels, 2 * stage.factor), list(range(shown)), settings.steps)
    scores = {"error": float((made - real).square().mean().sqrt())}
    scores |= power_gap(made[:, 1:3].flatten(0, 1), real[:, 1:3].flatten(0, 1))
    return [[_colour(one) for one in made], [_colour(one) for one in real]], scores


def _borders(
    stage: Borders, people: People, held: People, settings: Preview, shown: int
) -> tuple[list[Row], dict[str, float]]:
    """right: share of the head's voxels that get the label of the person."""
    labels = held.labels[:shown]
    made = stage.sample(fractions(labels, 2), list(range(shown)), min(settings.steps, 4))
    head = (labels > 0) | (made > 0)
    scores = {"right": float((made == labels)[head].float().mean())}
    return [[_colour(one) for one in one_hot(both)] for both in (made, labels)], scores


def _appearance(
    stage: Appearance, people: People, held: People, settings: Preview, shown: int
) -> tuple[list[Row], dict[str, float]]:
    labels, real = held.labels[:shown], held.images[:shown].float()
    words = stage.measured(held.contrast[:shown])
    made = stage.sample(labels, list(range(shown)), min(settings.steps, 6), words)
    head = labels > 0
    scores = {"error": float((made - real)[head].square().mean().sqrt())}
    scores |= power_gap(made, real)
    return [[_grey(one) for one in made], [_grey(one) for one in real]], scores


def nearest(made: Tensor, known: Tensor) -> float:
    """Return the mean over heads made (N, ...) of the root mean square distance to the nearest of
    the known (M, ...).
    """
    each = [(known - one).square().mean((1, 2, 3, 4)).min().sqrt() for one in made]
    return float(torch.stack(each).mean())


def power_gap(made: Tensor, real: Tensor) -> dict[str, float]:
    """Return log10 of the power of samples (N, X, Y, Z) over that of people (M, X, Y, Z), in the
    lowest and the highest of the bands of `radial_power`.
    """
    gap = _spectrum(made) - _spectrum(real)
    return {"spectrum low": float(gap[0]), "spectrum high": float(gap[-1])}


def _spectrum(volumes: Tensor) -> NDArray[np.float64]:
    """The mean log10 power of volumes (N, X, Y, Z) in bands of radial frequency."""
    return np.mean([radial_power(one) for one in volumes.float().cpu().numpy()], axis=0)


def _cuts(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three planes of (X, Y, Z, 3) side by side, the head and the front up."""
    a, b, c = (int(n * place) for n, place in zip(volume.shape, PLANES, strict=False))
    planes = [np.rot90(volume[:, :, c]), np.rot90(volume[:, b]), np.rot90(volume[a])]
    tall = max(plane.shape[0] for plane in planes)
    return np.concatenate([padded(plane, tall, plane.shape[1] + GAP) for plane in planes], 1)


def _colour(shares: Tensor) -> NDArray[np.float32]:
    """Fractions (5, X, Y, Z) in the colours of the classes."""
    air = 1 - shares.sum(0, keepdim=True)
    full = torch.cat([air, shares]).clamp(0, 1).numpy()
    return _cuts(np.einsum("cxyz,ck->xyzk", full, COLOURS))


def _grey(image: Tensor) -> NDArray[np.float32]:
    levels = (image / 1.25).clamp(0, 1).numpy() * 255
    return _cuts(np.repeat(levels[..., None], 3, -1))
