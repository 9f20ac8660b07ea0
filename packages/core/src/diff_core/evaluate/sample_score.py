"""A score of samples while a model trains: their distance to real data, by fixed features.

The loss of a denoiser and the likeness of its samples do not always move together. `SampleScore`
draws from the averaged model at each validation, always with the same seeds, and measures the
distance to data that were not learned from. It is a `diff_core.train.Watch`: the `watch` of a job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from diff_core.evaluate.energy import energy_distance
from diff_core.evaluate.shrinkage import shrunken_covariance
from diff_core.train.watch import Seen

__all__ = ["RandomFeatures", "SampleScore", "frechet_distance"]

M = TypeVar("M")
Distance = Callable[[Tensor, Tensor], float]


def frechet_distance(x: Tensor, y: Tensor, *, shrunken: bool = False) -> float:
    """Return the squared Fréchet distance of the normal distributions fitted to x and y.

    |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) for rows of features x (N, D) and y (M, D),
    with covariances over N - 1 and M - 1: The Fréchet Distance between Multivariate Normal
    Distributions (Dowson and Landau, 1982), equation 4. It is 0 for equal moments, and biased
    upwards for few rows; compare values of the same N and M only, or use `energy_distance`.

    shrunken: estimate both covariances by `shrunken_covariance`, for rows that are fewer than
              their entries: plain covariances then have no variance in most directions, and the
              distance tells little of the spread. The bias of the means stays

    Raises ValueError for fewer than 2 rows or rows of different sizes.
    """
    x, y = x.flatten(1).double(), y.flatten(1).double()
    if len(x) < 2 or len(y) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, y {tuple(y.shape)}; expected (N, D) and (M, D) with "
            "at least 2 rows"
        )
    one, two = ((_shrunken_root if shrunken else _root)(rows) for rows in (x, y))
    # the root of S_x S_y has the singular values of one two^T as its eigenvalues
    root = torch.linalg.svdvals(one @ two.T).sum()
    spread = one.square().sum() + two.square().sum() - 2 * root
    return float((x.mean(0) - y.mean(0)).square().sum() + spread.clamp(min=0))


def _root(x: Tensor) -> Tensor:
    """A matrix R (N, D) of which R^T R is the covariance of rows (N, D)."""
    return (x - x.mean(0)) / math.sqrt(len(x) - 1)


def _shrunken_root(x: Tensor) -> Tensor:
    """The same (D, D) for the shrunken covariance."""
    values, vectors = torch.linalg.eigh(shrunken_covariance(x))
    return values.clamp(min=0).sqrt()[:, None] * vectors.T


class RandomFeatures:
    """Features of a random convolutional network, which need no download and suit any data.

    Networks without training tell sets of images apart as well as trained ones do where the
    images are of another kind than those trained on: Reliable Fidelity and Diversity Metrics for
    Generative Models (Naeem et al., 2020), section 4. Each level halves the resolution; its
    features are the mean and the standard deviation of every channel in `cells` parts of each
    axis.

    spatial:  number of axes, 1 to 3
    channels: of the data
    width:    channels of each level
    levels:   fewer are used where an axis becomes shorter than 2
    cells:    fewer are used where they would hold a single position
    seed:     of the weights; values of other seeds cannot be compared
    """

    def __init__(
        self,
        spatial: int,
        channels: int,
        *,
        width: int = 32,
        levels: int = 3,
        cells: int = 2,
        seed: int = 0,
    ) -> None:
        if not 1 <= spatial <= 3:
            raise ValueError(f"spatial is {spatial}; expected 1, 2 or 3")
        generator = torch.Generator().manual_seed(seed)
        self.spatial, self.cells = spatial, cells
        self.filters: list[Tensor] = []
        for level in range(levels):
            inputs = width if level else channels
            shape = (width, inputs, *(3,) * spatial)
            scale = math.sqrt(2 / (inputs * 3**spatial))
            self.filters.append(torch.randn(shape, generator=generator) * scale)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features (N, D) of x (N, C, *S), float32 on the device of x."""
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.spatial - 1]
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[self.spatial - 1]
        averages = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
        average: Any = averages[self.spatial - 1]
        x, found = x.float(), list[Tensor]()
        for filters in self.filters:
            x = torch.relu(convolve(x, filters.to(x), padding=1))
            # a cell of one position has no deviation
            cells = [max(1, min(self.cells, length // 2)) for length in x.shape[2:]]
            mean, square = average(x, cells), average(x.square(), cells)
            deviation = (square - mean.square()).clamp(min=0).sqrt()
            found += [mean.flatten(1), deviation.flatten(1)]
            if min(x.shape[2:]) < 4:
                break
            x = pool(x, 2)
        return torch.cat(found, 1)


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


@dataclass(frozen=True, eq=False)
class SampleScore(Generic[M]):
    """A score for the `watch` of a `Job`, or for the `validate` of `diff_core.train.train`.

    Its names are in the log, in the curves and on the board, and `train.best` may be one of them,
    with `train.better=lower`. The seeds are the same at every validation, so that values differ by
    the model alone; a resumed run gives the same.

    sample:   sample(averaged model, seeds) -> (len(seeds), ...), a row for each seed, which must
              not depend on the others (`Keyed` noise)
    real:     (N, ...) data that were not learned from, N from 2
    count:    number of samples, from 2
    features: (n, ...) -> (n, D); the rows themselves by default. `RandomFeatures` are others
    distance: of the features of samples and data; `frechet_distance` is another
    batch:    samples drawn at a time
    name:     of the score
    further:  other distances of the same features, by name
    picture:  picture(samples (N, ...), step) -> (C, H, W) in [0, 1], for the board

    A distance is NaN where a feature is not finite. Raises ValueError for fewer than 2 samples or
    rows.
    """

    sample: Callable[[M, Sequence[int]], Tensor]
    real: Tensor
    count: int = 64
    features: Callable[[Tensor], Tensor] = _flat
    distance: Distance = energy_distance
    batch: int = 16
    name: str = "sample distance"
    further: Mapping[str, Distance] = field(default_factory=dict[str, Distance])
    picture: Callable[[Tensor, int], Tensor] | None = None

    def __post_init__(self) -> None:
        if self.count < 2 or len(self.real) < 2 or self.batch < 1:
            raise ValueError(
                f"count is {self.count}, batch {self.batch}, and real has {len(self.real)} rows; "
                "expected at least 2, 1 and 2"
            )

    @cached_property
    def _real(self) -> Tensor:
        with torch.no_grad():
            return self.features(self.real).cpu()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the distances."""
        return (self.name, *self.further)

    def __call__(self, average: M, step: int = 0) -> dict[str, float]:
        """Return the distances of the model's samples to the data, by name."""
        return self._measured([self.features(part).cpu() for part in self._drawn(average)])

    def look(self, average: M, step: int) -> Seen:
        """Return the distances, and the picture if there is one."""
        found: list[Tensor] = []
        kept: list[Tensor] = []
        for part in self._drawn(average):
            found.append(self.features(part).cpu())
            if self.picture:
                kept.append(part.cpu())
        shown = {"samples": self.picture(torch.cat(kept), step)} if self.picture else {}
        return Seen(self._measured(found), shown)

    def _drawn(self, average: M) -> Iterator[Tensor]:
        """Batches of samples, on the device of the model."""
        for first in range(0, self.count, self.batch):
            with torch.no_grad():
                yield self.sample(average, range(first, min(first + self.batch, self.count)))

    def _measured(self, parts: Sequence[Tensor]) -> dict[str, float]:
        found, distances = torch.cat(list(parts)), {self.name: self.distance, **self.further}
        if not found.isfinite().all():
            return dict.fromkeys(distances, math.nan)
        return {name: distance(found, self._real) for name, distance in distances.items()}
