r"""The share of generated images that lie among real ones, and of real ones among generated.

Each image is a vector of features; a set's manifold is the union of balls around its members that
reach to their k-th nearest neighbour in the set.

* precision: share of samples in the real manifold; recall: share of real images in the samples'
  manifold (T. Kynkaanniemi et al., "Improved precision and recall metric for assessing generative
  models", 2019, equation 2);
* density: mean over samples of the number of real balls that hold it, over k; coverage: share of
  real balls that hold a sample (M. Naeem et al., "Reliable fidelity and diversity metrics for
  generative models", 2020, equations 5 and 6). Density has mean 1 for two sets of one distribution
  and may exceed it; coverage is then nearly 1 - 2^-k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEIGHBOURS", "Overlap", "overlap"]

NEIGHBOURS = 5
"""The k of the k-th nearest neighbour, to which a ball reaches; 5 as in the papers."""


@dataclass(frozen=True)
class Overlap:
    """precision, recall and coverage 0 to 1, density from 0."""

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(
    real: NDArray[np.floating], samples: NDArray[np.floating], k: int = NEIGHBOURS
) -> Overlap:
    """Return the overlap of features (N, D) and (M, D). Raises ValueError unless both have more
    than k rows.
    """
    from scipy.spatial.distance import cdist

    if k < 1 or min(len(real), len(samples)) <= k:
        raise ValueError(
            f"k is {k}; expected from 1, less than {min(len(real), len(samples))} rows"
        )
    # the nearest neighbour of each is itself
    reach = [np.partition(cdist(v, v), k, axis=1)[:, k] for v in (real, samples)]
    between = cdist(real, samples)
    inside = between <= reach[0][:, None]
    return Overlap(
        precision=float(inside.any(0).mean()),
        recall=float((between <= reach[1][None]).any(1).mean()),
        density=float(inside.sum(0).mean() / k),
        coverage=float(inside.any(1).mean()),
    )
