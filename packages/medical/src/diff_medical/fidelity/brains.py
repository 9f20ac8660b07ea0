"""Synthetic brains measured against real ones, beside real ones measured against real ones.

The people are cut into two halves many times. The samples are measured against one half, as many
as there are people in the other, and so is the other half: what a perfect generator would have.
The interval is that of the cuts; it covers the choice of people among those that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.data import Split
from diff_medical.brain.grid import CLASSES
from diff_medical.fidelity.distance import frechet, kernel_mmd, median_rbf
from diff_medical.fidelity.table import Value
from diff_medical.image_sets.brain_features import brain_features, volume_name
from diff_medical.image_sets.brains import each_brain

__all__ = ["Brains", "Comparison", "compare", "read_brains"]

CUTS = 20
RIDGE = 10.0  # of the classifier, features in deviations of the real ones
FEWEST = 6
SLOPE = "slope of the spectrum"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Brains:
    """names: of the features (D); values: (N, D) of N brains."""

    names: tuple[str, ...]
    values: Array

    def of(self, name: str) -> Array:
        """Return a feature (N,) of all brains."""
        return self.values[:, self.names.index(name)]


@dataclass(frozen=True)
class Comparison:
    """Numbers of the samples and, of the same kind, of real brains among themselves.

    distances: "Frechet distance", "MMD^2, RBF" and "told apart" (the share of brains of which a
               linear classifier says rightly whether they are real, of brains it has not seen):
               samples against real, and real against real
    levels:    the slope of the spectrum and the volumes: samples and real, mean and the 2.5 and
               97.5 % quantiles over brains
    inside:    share of the samples within the range of the real ones, of `levels`
    furthest:  features whose mean is furthest off, in deviations over the real ones
    """

    distances: Mapping[str, tuple[Value, Value]]
    levels: Mapping[str, tuple[Value, Value]]
    inside: Mapping[str, float]
    furthest: Mapping[str, float]

    def lines(self) -> list[str]:
        """Return a table, line by line."""
        rows = [("", "samples", "real")]
        rows += [(name, str(a), str(b)) for name, (a, b) in self.distances.items()]
        rows += [
            (name, f"{a}  {self.inside[name]:.0%} inside", str(b))
            for name, (a, b) in self.levels.items()
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        cells = [[cell.ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows]
        said = ", ".join(f"{name} {value:+.2f}" for name, value in self.furthest.items())
        return ["  ".join(row).rstrip() for row in cells] + [
            f"furthest off, in deviations: {said}"
        ]


def read_brains(
    folder: Path, progress: Callable[[float], None] | None = None, *, split: Split = "train"
) -> Brains:
    """Return the features of a folder of brains with label maps; of prepared people, of those of a
    split. Raises ValueError as `each_brain` does.
    """
    rows: list[dict[str, float]] = []
    for share, brain in each_brain(folder, split):
        try:
            rows.append(brain_features(brain.scan, brain.labels, brain.voxel))
        except ValueError as error:
            raise ValueError(f"{brain.path}: {error}") from error
        if progress:
            progress(share)
    names = tuple(rows[0])
    return Brains(names, np.array([[row[name] for name in names] for row in rows]))


def compare(real: Brains, samples: Brains, *, seed: int = 0) -> Comparison:
    """Compare samples with the real brains that they should be like.

    Raises ValueError for fewer than 12 real brains or 6 samples.
    """
    half = len(real.values) // 2
    if half < FEWEST or len(samples.values) < FEWEST:
        raise ValueError(
            f"given {len(real.values)} real brains and {len(samples.values)} samples; expected at "
            f"least {2 * FEWEST} and {FEWEST}"
        )
    mean, deviation = real.values.mean(0), real.values.std(0) + 1e-9
    x, y = ((brains.values - mean) / deviation for brains in (real, samples))
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float]]] = {}
    count = min(half, len(y))
    for _ in range(CUTS):
        people = rng.permutation(len(x))
        one, other = x[people[:count]], x[people[half : half + count]]
        made = y[rng.permutation(len(y))[:count]]
        kernel = median_rbf(one, other)
        pairs = {
            "Frechet distance": (frechet(one, made), frechet(one, other)),
            "MMD^2, RBF": (kernel_mmd(one, made, kernel), kernel_mmd(one, other, kernel)),
            "told apart": (_told_apart(one, made, rng), _told_apart(one, other, rng)),
        }
        for name, pair in pairs.items():
            found.setdefault(name, []).append(pair)
    levels = (SLOPE, *(volume_name(number) for number in range(1, len(CLASSES))))
    off = y.mean(0)
    furthest = np.argsort(-np.abs(off))[:8]
    return Comparison(
        {name: _both(np.array(pairs)) for name, pairs in found.items()},
        {name: (_value(samples.of(name)), _value(real.of(name))) for name in levels},
        {name: _inside(samples.of(name), real.of(name)) for name in levels},
        {real.names[i]: float(off[i]) for i in furthest},
    )


def _told_apart(one: Array, other: Array, rng: np.random.Generator) -> float:
    """The accuracy of a linear classifier on the half of each set that it was not fitted to."""
    right: list[NDArray[np.bool_]] = []
    first, second = (rng.permutation(len(v)) for v in (one, other))
    for turn in (0, 1):
        fit = np.concatenate([one[first[turn::2]], other[second[turn::2]]])
        sides = np.repeat([1.0, -1.0], [len(first[turn::2]), len(second[turn::2])])
        centre = fit.mean(0)
        inner = (fit - centre).T @ (fit - centre) + RIDGE * np.eye(fit.shape[1])
        weights = np.linalg.solve(inner, (fit - centre).T @ sides)
        right.append((one[first[1 - turn :: 2]] - centre) @ weights > 0)
        right.append((other[second[1 - turn :: 2]] - centre) @ weights <= 0)
    return float(np.concatenate(right).mean())


def _both(pairs: Array) -> tuple[Value, Value]:
    return _value(pairs[:, 0]), _value(pairs[:, 1])


def _value(values: Array) -> Value:
    low, high = np.quantile(values, (0.025, 0.975))
    return Value(float(values.mean()), float(low), float(high))


def _inside(samples: Array, real: Array) -> float:
    return float(((samples >= real.min()) & (samples <= real.max())).mean())
