"""The data, the body and the training that all families of `families.py` share.

Data are levels (N, D), whole numbers from 0 to K - 1. A continuous family sees them spread evenly
over their level and scaled to [-1, 1]; what it draws is of that kind.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

__all__ = ["BATCH", "WIDTH", "Body", "Data", "Family", "Model", "fit", "in_bits", "seeded"]

WIDTH, BATCH, RATE, KEEP = 256, 64, 1e-3, 0.998


@dataclass(frozen=True)
class Data:
    """Levels (N, D) from 0 to `levels` - 1."""

    rows: Tensor
    levels: int

    def spread(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows, each level a random place in its part of [-1, 1]."""
        inside = torch.rand(rows.shape, generator=generator)
        return (rows + inside) / self.levels * 2 - 1

    def frequencies(self) -> Tensor:
        """Return the logarithms (D, K) of how often each entry has each level."""
        counts = nn.functional.one_hot(self.rows, self.levels).sum(0) + 0.5
        return (counts / counts.sum(1, keepdim=True)).log()

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield random rows (BATCH, D) without end."""
        while True:
            yield self.rows[torch.randint(len(self.rows), (BATCH,), generator=generator)]


class Model(Protocol):
    """A trained model."""

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples (count, D) in [-1, 1]."""
        ...

    def bits(self, rows: Tensor) -> float | None:
        """Return bits an entry of levels (N, D), or a bound from above; None for neither."""
        ...


@dataclass(frozen=True)
class Family:
    """How to train a model on data for so many CPU seconds.

    sign: what stands before its bits: "=" for the likelihood, "<" for a bound, "~" for an estimate
    """

    train: Callable[[Data, float, int], Model]
    sign: str = ""


class Body(nn.Module):
    """A perceptron of three layers; `time` (B,), if there is one, is added as waves."""

    def __init__(self, inputs: int, outputs: int, *, timed: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, WIDTH)
        self.when = nn.Linear(32, WIDTH) if timed else None
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU()
        )
        self.last = nn.Linear(WIDTH, outputs)
        self.register_buffer("speeds", 2 ** torch.linspace(0, 8, 16), persistent=False)

    def forward(self, x: Tensor, time: Tensor | None = None, cond: object = None) -> Tensor:
        hidden = self.first(x)
        if self.when is not None and time is not None:
            angles = time.reshape(-1, 1).to(x) * self.speeds
            hidden = hidden + self.when(torch.cat([angles.sin(), angles.cos()], 1))
        return self.last(self.rest(hidden))


def fit(
    module: nn.Module,
    seconds: float,
    loss: Callable[[], Tensor],
    rate: float = RATE,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    rival: torch.optim.Optimizer | None = None,
) -> None:
    """Train for CPU seconds by Adam, the rate falling to 0, and leave the averaged weights.

    The rate of `rival`, an optimiser that `loss` itself uses, falls alike.
    """
    average = copy.deepcopy(module)
    optimiser = torch.optim.Adam(module.parameters(), rate, betas, fused=True)
    groups = [*optimiser.param_groups, *(rival.param_groups if rival else ())]
    begin, update = time.process_time(), 0
    while (share := (time.process_time() - begin) / seconds) < 1:
        for group in groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * share))
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        keep, update = min(KEEP, (1 + update) / (10 + update)), update + 1
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - keep)
    module.load_state_dict(average.state_dict())


def in_bits(data: Data, log_density: Tensor, entries: int) -> float:
    """Return bits an entry from log-densities of spread rows: a bound on those of the levels."""
    nats = -log_density.double().mean().item() / entries
    return nats / math.log(2) - math.log2(2 / data.levels)


def seeded(seed: int) -> torch.Generator:
    """Return a generator; the global one, which starts networks, has the same seed."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
