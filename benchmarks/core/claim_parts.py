"""The data, the networks, the training and the scores of claims.py."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import Tensor, nn

from diff_core import (
    Denoiser,
    FromV,
    Keyed,
    Sampler,
    Schedule,
    UniPC,
    VariancePreserving,
    marginal,
)
from diff_core.evaluate import energy_distance
from diff_core.sample import sample

UPDATES, BATCH, RATE, DRAWN = 800, 64, 2e-3, 400


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits, 8 by 8, scaled to [-1, 1]: to learn from, and to judge by."""

    known: Tensor
    unseen: Tensor

    @staticmethod
    def split(seed: int) -> Digits:
        """Return 1,297 digits to learn from and 500 to judge by."""
        found = load_digits()
        order = torch.randperm(len(found.data), generator=torch.Generator().manual_seed(seed))
        rows = torch.tensor(found.data, dtype=torch.float32)[order] / 8 - 1
        return Digits(rows[500:], rows[:500])

    def score(self, made: Tensor) -> float:
        """Return the energy distance to the digits that were not learned from."""
        return energy_distance(made, self.unseen)

    def missed(self, made: Tensor) -> float:
        """Return how many of 20 groups of digits have less than a quarter of their share."""
        groups = KMeans(20, n_init=2, random_state=0).fit(self.known.numpy())
        share = torch.tensor(groups.labels_).bincount(minlength=20) / len(self.known)
        drawn = torch.tensor(groups.predict(made.numpy())).bincount(minlength=20) / len(made)
        return float((drawn < share / 4).sum())


class Perceptron(nn.Module):
    """`depth` hidden layers of `width`; the time enters at the first, as waves."""

    def __init__(self, depth: int = 3, width: int = 192, size: int = 64) -> None:
        super().__init__()
        self.first = nn.Linear(size + 32, width)
        self.rest = nn.ModuleList([nn.Linear(width, width) for _ in range(depth - 1)])
        self.last = nn.Linear(width, size)
        self.register_buffer("speeds", 2 ** torch.linspace(0, 8, 16), persistent=False)

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        angles = time.reshape(-1, 1).to(x) * self.speeds
        x = self.first(torch.cat([x, angles.sin(), angles.cos()], 1))
        for layer in self.rest:
            x = x + layer(nn.functional.silu(x))
        return self.last(nn.functional.silu(x))


class Shaped(nn.Module):
    """A network of images (B, 1, 8, 8), on rows of 64."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        return self.network(x.reshape(-1, 1, 8, 8), time).flatten(1)


@dataclass(frozen=True)
class Settings:
    """How a network is trained; the defaults are those of every claim that does not vary them."""

    updates: int = UPDATES
    seconds: float = math.inf
    batch: int = BATCH
    rate: float = RATE
    clip: float = 1.0
    schedule: Schedule = VariancePreserving()
    network: Callable[[], nn.Module] = Perceptron

    def but(self, **changes: object) -> Settings:
        """Return the same with other values."""
        return replace(self, **changes)  # type: ignore[arg-type]


def learn(rows: Tensor, seed: int, settings: Settings = Settings()) -> Denoiser:
    """Train on rows (N, 64) and return the averaged weights; the rate falls to 0.

    One step: a random t, the squared error of v. It ends after `updates`, or `seconds` of CPU.
    """
    torch.manual_seed(seed)
    denoiser = FromV(settings.network(), settings.schedule)
    average = copy.deepcopy(denoiser)
    optimiser = torch.optim.Adam(denoiser.parameters(), lr=settings.rate)
    begin = time.process_time()
    for update in range(settings.updates):
        share = max(update / settings.updates, (time.process_time() - begin) / settings.seconds)
        if share >= 1:
            break
        optimiser.param_groups[0]["lr"] = settings.rate * 0.5 * (1 + math.cos(math.pi * share))
        x_0 = rows[torch.randint(len(rows), (settings.batch,))]
        t = torch.rand(settings.batch) * 0.998 + 0.001
        z = torch.randn_like(x_0)
        alpha, sigma = (p(t)[:, None] for p in (settings.schedule.alpha, settings.schedule.sigma))
        x_t = marginal(settings.schedule, x_0, t, z)
        error = denoiser.network(x_t, t) - (alpha * z - sigma * x_0)
        optimiser.zero_grad()
        error.square().mean().backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), settings.clip)
        optimiser.step()
        keep = min(0.998, (1 + update) / (10 + update))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), denoiser.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
    return average.eval()


LEVELS = (-4.0, 4.0)
"""log(alpha / sigma) at the two ends of the grid that all samplings share."""


def times(schedule: Schedule, steps: int) -> Tensor:
    """Equal steps of the log-SNR between the same noise levels on every schedule, then 0."""
    inner = schedule.time(torch.linspace(*LEVELS, steps, dtype=torch.float64))
    return torch.cat([inner, torch.zeros(1, dtype=torch.float64)])


def draw(
    denoiser: Denoiser,
    seed: int,
    *,
    steps: int = 20,
    sampler: Sampler | None = None,
    grid: Tensor | None = None,
    count: int = DRAWN,
) -> Tensor:
    """Return samples (count, 64)."""
    noise = Keyed(range(seed * 1000, seed * 1000 + count))
    grid = times(denoiser.schedule, steps) if grid is None else grid
    z = noise(-1, torch.empty(count, 64))
    return sample(
        denoiser,
        sampler or UniPC(),
        denoiser.schedule.sigma(grid[0]).float() * z,
        grid,
        noise=noise,
    )


def broken(denoiser: Denoiser, seed: int) -> Tensor | None:
    """Return samples, or None where a training or sampling did not stay finite."""
    if not all(bool(p.isfinite().all()) for p in denoiser.parameters()):
        return None
    try:
        return draw(denoiser, seed)
    except ValueError:
        return None
