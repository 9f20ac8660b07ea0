r"""Sets of images measured against real ones, each number with an interval.

The interval is that of the delete-half jackknife (J. Shao and C. Wu, "A general theory for
jackknife variance estimation", 1989): the measure is taken of random halves of both sets, drawn
without replacement, and the standard deviation over halves stands for that of the whole. Unlike
the bootstrap it repeats no image: repeated images would look like copies to every measure that
asks for neighbours, and like less variety to the others. It covers the choice of images, not that
of the people whose images they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_medical.fidelity.distance import (
    frechet,
    kernel_mmd,
    median_rbf,
    slope,
    spectrum_distance,
    wasserstein,
)
from diff_medical.fidelity.manifold import overlap
from diff_medical.fidelity.summary import BINS, RANGE, Summary, radii_of

__all__ = ["MEASURES", "Value", "measure", "table"]

HALVES = 40
Z = 1.96

MEASURES = {
    "frechet": "Frechet distance",
    "mmd_cubic": "MMD^2, cubic",
    "mmd_rbf": "MMD^2, RBF",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "ms_ssim": "MS-SSIM of pairs",
    "histogram": "grey levels, W1",
    "spectrum": "spectrum, dB",
    "slope": "spectrum slope",
}
"""Names of the measures, and what tables call them."""

BOUNDS = {
    **dict.fromkeys(("precision", "recall", "coverage"), (0.0, 1.0)),
    **dict.fromkeys(("frechet", "density", "histogram", "spectrum"), (0.0, np.inf)),
}
"""What an interval cannot leave; an MMD without bias may be below 0."""


@dataclass(frozen=True)
class Value:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def measure(real: Summary, other: Summary, size: int, *, seed: int = 0) -> dict[str, Value]:
    """Return every measure of `other` against `real`, images of `size` pixels.

    The RBF kernel has one width, that of both sets, for the whole and its halves. Raises
    ValueError for sets of fewer than 12 images.
    """
    if min(len(real), len(other)) < 12:
        raise ValueError(f"sets have {len(real)} and {len(other)} images; expected at least 12")
    first, second = _scaled(real, other)
    taken = _measures(size, median_rbf(first.features, second.features))
    whole = taken(first, second)
    rng = np.random.default_rng(seed)
    halves = [taken(_half(first, rng), _half(second, rng)) for _ in range(HALVES)]
    made: dict[str, Value] = {}
    for name, value in whole.items():
        spread = Z * float(np.std([half[name] for half in halves], ddof=1))
        low, high = BOUNDS.get(name, (-np.inf, np.inf))
        made[name] = Value(value, max(value - spread, low), min(value + spread, high))
    similarity = second.similarity
    spread = Z * float(similarity.std(ddof=1) / len(similarity) ** 0.5)
    mean = float(similarity.mean())
    made["ms_ssim"] = Value(mean, mean - spread, mean + spread)
    return {name: made[name] for name in MEASURES}


def table(rows: dict[str, dict[str, Value]]) -> list[str]:
    """Return the lines of a table: a measure each, a set of images a column."""
    names = list(rows)
    width = 30  # the longest value with its interval, and a space
    lines = ["".join([f"{'':20}", *(name.rjust(width) for name in names)])]
    for key, label in MEASURES.items():
        lines.append("".join([f"{label:20}", *(str(rows[n][key]).rjust(width) for n in names)]))
    return lines


def _measures(
    size: int, rbf: Callable[..., NDArray[np.floating]]
) -> Callable[[Summary, Summary], dict[str, float]]:
    def taken(real: Summary, other: Summary) -> dict[str, float]:
        common = overlap(real.features, other.features)
        return {
            "frechet": frechet(real.features, other.features),
            "mmd_cubic": kernel_mmd(real.features, other.features),
            "mmd_rbf": kernel_mmd(real.features, other.features, rbf),
            "precision": common.precision,
            "recall": common.recall,
            "density": common.density,
            "coverage": common.coverage,
            "histogram": wasserstein(real.histograms, other.histograms, RANGE / BINS),
            "spectrum": spectrum_distance(real.spectra, other.spectra),
            "slope": slope(other.spectra, radii_of(size)),
        }

    return taken


def _scaled(real: Summary, other: Summary) -> tuple[Summary, Summary]:
    """Features in units of the real ones' standard deviation, so that none counts for nothing."""
    from dataclasses import replace

    mean, deviation = real.features.mean(0), real.features.std(0)
    kept = deviation > 1e-6 * max(float(deviation.max()), 1e-12)
    first, second = (
        replace(s, features=((s.features - mean)[:, kept] / deviation[kept]).astype(np.float64))
        for s in (real, other)
    )
    return first, second


def _half(summary: Summary, rng: np.random.Generator) -> Summary:
    return summary.part(rng.permutation(len(summary))[: (len(summary) + 1) // 2])
