"""Teachers with known answers, and students that know them, for the few-step objectives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Denoiser,
    Edm,
    RectifiedFlow,
    Sampler,
    Schedule,
    VariancePreserving,
)
from diff_core.exact import Gaussian, Mixture
from diff_core.sample import sample

__all__ = ["BATCH", "GAUSSIAN", "MIXTURE", "SCHEDULES", "Linear", "Rows", "seeded", "walk"]

SCHEDULES = [VariancePreserving(), Cosine(), RectifiedFlow(), Edm(sigma_max=20.0)]
GAUSSIAN = Gaussian(
    torch.tensor([[0.3], [-1.0]], dtype=torch.float64),
    torch.tensor([[0.5], [2.0]], dtype=torch.float64),
)
MIXTURE = Mixture(
    *(torch.tensor(p, dtype=torch.float64) for p in ([0.3, 0.7], [-1.0, 0.8], [0.3, 0.4]))
)
BATCH = {"x_0": GAUSSIAN.sample(64, torch.Generator().manual_seed(5))}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


class Rows(Denoiser):
    """A student that answers every row by a function of (x_t, t), with t of shape ()."""

    def __init__(self, schedule: Schedule, answer: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(schedule)
        self.answer = answer

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        rows = zip(x_t, t.expand(len(x_t)), strict=True)
        return torch.cat([self.answer(x[None], time) for x, time in rows])


class Linear(nn.Module):
    """A network of two numbers, for gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, object] = {}
        self.gain = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
        self.shift = nn.Parameter(torch.tensor(-0.2, dtype=torch.float64))

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return self.gain * x + self.shift * time.reshape(-1, *(1,) * (x.ndim - 1))


def walk(teacher: Denoiser, sampler: Sampler, times: Tensor) -> Rows:
    """The student that knows where `sampler` takes x_t on the rest of the grid."""

    def answer(x: Tensor, t: Tensor) -> Tensor:
        k = int((times - t).abs().argmin())
        return x if k == len(times) - 1 else sample(teacher, sampler, x, times[k:])

    return Rows(teacher.schedule, answer)
