"""Energy distance between two sets of samples: a number for "how well does the model sample?"

Energy Statistics: A Class of Statistics Based on Distances (Székely and Rizzo, 2013), equation 5:

    2 E|X - Y| - E|X - X'| - E|Y - Y'| ,

which is 0 if and only if both have the same distribution. There is nothing to choose or to train.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["energy_distance"]


def energy_distance(x: Tensor, y: Tensor) -> float:
    """Return the energy distance of samples x (N, ...) and y (M, ...), in the unit of the data.

    Rows are flattened. Without bias: two sets of the same distribution give 0 on average, and a
    little less as often as a little more. Takes O((N + M)^2) memory. Raises ValueError for fewer
    than 2 rows or rows of different sizes.
    """
    x, y = x.flatten(1).double(), y.flatten(1).double()
    if len(x) < 2 or len(y) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x has {len(x)} rows of {x.shape[1]} entries, y {len(y)} of {y.shape[1]}; expected "
            "at least 2 of each, of one size"
        )
    return 2 * torch.cdist(x, y).mean().item() - _within(x) - _within(y)


def _within(x: Tensor) -> float:
    """Mean distance between different rows."""
    return torch.cdist(x, x).sum().item() / (len(x) * (len(x) - 1))
