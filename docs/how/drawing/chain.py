"""The forward process as it is defined: one small step after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from diff_core import Keyed, Schedule, transition

__all__ = ["chain"]

STEPS = 100


def chain(
    schedule: Schedule, x_0: Tensor, shown: Sequence[float]
) -> Iterator[tuple[float, Tensor]]:
    """(t, x_t) at the times `shown`, multiples of 0.01, of one walk from x_0 (1, ...)."""
    noise, x = Keyed([0]), x_0
    times = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    wanted = {round(t * STEPS): t for t in shown}
    for k in range(STEPS + 1):
        if k > 0:
            x = transition(schedule, x, times[k - 1], times[k], noise(k, x))
        if k in wanted:
            yield wanted[k], x
