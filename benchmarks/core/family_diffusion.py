"""Gaussian diffusion, its consistency model and masked diffusion, for `families.py`."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from family_parts import Body, Data, fit, in_bits, seeded
from torch import Tensor, nn

from diff_core import Cosine, Edm, Keyed, Preconditioned, UniPC, karras, uniform
from diff_core.denoiser import Denoiser
from diff_core.discrete import Absorbing, Ancestral, EvidenceBound, FromLogits, evidence_bound
from diff_core.discrete.sample import sample as sample_categories
from diff_core.distil import ConsistencyDistillation
from diff_core.evaluate import log_likelihood
from diff_core.sample import Consistency, sample
from diff_core.train import Denoising, edm_weight, times

__all__ = ["Categories", "Diffusion", "Jump"]


class Vector(nn.Module):
    """A body for signals (B, 1, D)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.body = Body(size, size, timed=True)

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        return self.body(x[:, 0], 4 * time)[:, None]


@dataclass
class Diffusion:
    """Gaussian diffusion with EDM's scaling and weights (Karras et al., 2022)."""

    data: Data
    denoiser: Denoiser
    calls: int

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int, calls: int = 50) -> Diffusion:
        """Train on the squared error of the estimate."""
        draw = seeded(seed)
        denoiser = Preconditioned(Vector(data.rows.shape[1]), Edm(sigma_max=20.0))
        objective = Denoising(edm_weight(), times=times.log_normal(-1.0, 1.4))
        batches = data.batches(draw)

        def loss() -> Tensor:
            x_0 = data.spread(next(batches), draw)[:, None]
            return objective(denoiser, {"x_0": x_0}, draw).mean()

        fit(denoiser, seconds, loss)
        return cls(data, denoiser, calls)

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples by UniPC; a single call is the estimate at t = 1."""
        schedule = self.denoiser.schedule
        noise = Keyed(range(seed * 10_000, seed * 10_000 + count))
        x = 20.0 * noise(-1, torch.empty(count, 1, self.data.rows.shape[1]))
        if self.calls == 1:
            grid = uniform(1)
        else:
            grid = karras(schedule, self.calls, sigma_min=0.02, sigma_max=20.0)
        return sample(self.denoiser, UniPC(), x, grid)[:, 0].clamp(-1, 1)

    def bits(self, rows: Tensor) -> float:
        """Return the likelihood of spread rows by the ODE, at a noise of 0.01."""
        draw, few = seeded(0), rows[:64]
        x = self.data.spread(few, draw)[:, None]
        schedule = self.denoiser.schedule
        grid = karras(schedule, 24, sigma_min=0.01, sigma_max=20.0)[:-1]
        x = x + 0.01 * torch.randn(x.shape, generator=draw)
        found = log_likelihood(self.denoiser, x, grid, probe=Keyed(range(len(few))), probes=4)
        return in_bits(self.data, found, rows.shape[1])


@dataclass
class Jump:
    """A consistency model (Song et al., 2023), distilled in the second half of the time."""

    data: Data
    student: Denoiser
    calls: int

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int, calls: int = 1) -> Jump:
        """Train a diffusion model, then a copy of it that jumps."""
        teacher = Diffusion.train(data, seconds / 2, seed).denoiser
        draw, student = seeded(seed + 1), copy.deepcopy(teacher)
        grid = karras(teacher.schedule, 24, sigma_min=0.02, sigma_max=20.0)
        objective = ConsistencyDistillation(grid, teacher)
        batches = data.batches(draw)

        def loss() -> Tensor:
            x_0 = data.spread(next(batches), draw)[:, None]
            return objective(student, {"x_0": x_0}, draw).mean()

        fit(student, seconds / 2, loss, 5e-4)
        return cls(data, student, calls)

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples by one or two jumps."""
        noise = Keyed(range(seed * 10_000, seed * 10_000 + count))
        x = 20.0 * noise(-1, torch.empty(count, 1, self.data.rows.shape[1]))
        grid = torch.tensor([1.0, 0.0] if self.calls == 1 else [1.0, 0.04, 0.0])
        return sample(self.student, Consistency(), x, grid.double(), noise=noise)[:, 0].clamp(
            -1, 1
        )

    def bits(self, rows: Tensor) -> None:
        """Return None: a jump has no likelihood."""


class Levels(nn.Module):
    """Logits (B, K, D) from states (B, D), K of which is the mask."""

    def __init__(self, size: int, levels: int) -> None:
        super().__init__()
        self.levels, self.body = levels, Body(2 * size, size * levels)

    def forward(self, x: Tensor, time: Tensor, cond: object = None) -> Tensor:
        hidden = x == self.levels
        seen = torch.where(hidden, 0.0, x.float() / self.levels * 2 - 1)
        logits = self.body(torch.cat([seen, hidden.float()], 1))
        return logits.reshape(len(x), x.shape[1], self.levels).mT


@dataclass
class Categories:
    """Masked diffusion of the levels (Sahoo et al., 2024)."""

    data: Data
    denoiser: FromLogits
    calls: int = 32

    @classmethod
    def train(cls, data: Data, seconds: float, seed: int) -> Categories:
        """Train on the evidence bound."""
        draw = seeded(seed)
        network = Levels(data.rows.shape[1], data.levels)
        network.body.last.bias.data.copy_(data.frequencies().flatten())
        denoiser = FromLogits(network, Absorbing(data.levels, Cosine()))
        objective, batches = EvidenceBound(), data.batches(draw)
        fit(denoiser, seconds, lambda: objective(denoiser, {"x_0": next(batches)}, draw).mean())
        return cls(data, denoiser)

    def draw(self, count: int, seed: int) -> Tensor:
        """Return samples by ancestral steps."""
        noise = Keyed(range(seed * 10_000, seed * 10_000 + count))
        x = self.denoiser.chain.start(noise(-1, torch.empty(count, self.data.rows.shape[1])))
        rows = sample_categories(self.denoiser, Ancestral(), x, uniform(self.calls), noise=noise)
        return self.data.spread(rows, seeded(seed))

    def bits(self, rows: Tensor) -> float:
        """Return the evidence bound."""
        nats = evidence_bound(self.denoiser, rows, generator=seeded(0))
        return nats.mean().item() / math.log(2)
