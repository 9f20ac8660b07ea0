"""Flows that are known, of mixtures of Gaussians and a network, and the grids to try on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import solve_ivp
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from diff_core import (
    Condition,
    Denoiser,
    DpmSolverPP3S,
    Keyed,
    Preconditioned,
    karras,
    log_snr,
    marginal,
    uniform,
    uniform_flow,
    uniform_log_snr,
)
from diff_core.coefficients import broadcast
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import sample
from diff_core.tables import linear

__all__ = ["ONE", "PROBLEMS", "SCHEDULE", "Contender", "Problem", "digits"]

SCHEDULE = linear()
F64 = torch.float64
ONE, ZERO = torch.ones((), dtype=F64), torch.zeros((), dtype=F64)
LINE = torch.linspace(-2.5, 2.5, 100, dtype=F64)[:, None]


@dataclass(frozen=True)
class Problem:
    """A denoiser, states at t = 1, where the flow takes them, and the data's deviation."""

    denoiser: Denoiser
    start: Tensor
    exact: Tensor
    deviation: float

    def grid(self, name: str, steps: int) -> Tensor:
        """Times by the letter of the spacing."""
        if name == "u":
            return uniform(steps)
        if name == "l":
            return torch.cat([uniform_log_snr(SCHEDULE, steps - 1, 1.0, 1e-3), ZERO[None]])
        if name == "k":
            return karras(SCHEDULE, steps, sigma_min=0.02)
        return uniform_flow(SCHEDULE, steps, self.deviation / 2)

    def distance(self, got: Tensor) -> float:
        """Root mean square over the starting points; infinite where a sampler fails."""
        error = (got - self.exact).square().mean().sqrt().item()
        return error if math.isfinite(error) else math.inf


def mixture(weights: list[float], means: list[float], deviations: list[float]) -> Problem:
    """Of 1-D Gaussians; the flow is the map of quantiles."""
    w, m, d = (torch.tensor(p, dtype=F64) for p in (weights, means, deviations))
    data = Mixture(w, m, d)
    variance = (w * (m * m + d * d)).sum() - (w * m).sum() ** 2
    exact = data.flow(SCHEDULE, LINE, ONE, ZERO)
    return Problem(ExactDenoiser(data, SCHEDULE), LINE, exact, variance.sqrt().item())


def uneven() -> Problem:
    """Four entries of deviations from 1 to 0.03: signals have a spectrum."""
    scale = torch.tensor([1.0, 0.3, 0.1, 0.03], dtype=F64)[:, None]
    w, m, d = (torch.tensor(p, dtype=F64) for p in ([0.4, 0.6], [-1.2, 0.8], [0.3, 0.2]))
    data = Mixture(w.expand(4, 2), scale * m, scale * d)
    start = LINE.expand(-1, 4)
    variance = (w * (m * m + d * d)).sum() * scale.square().mean()
    exact = data.flow(SCHEDULE, start, ONE, ZERO)
    return Problem(ExactDenoiser(data, SCHEDULE), start, exact, variance.sqrt().item())


class Ring(Denoiser):
    """Six round Gaussians of deviation 0.15 on the unit circle: entries that depend on another."""

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        angle = torch.arange(6, dtype=F64) * (math.pi / 3)
        means = torch.stack([angle.cos(), angle.sin()], -1)
        alpha = broadcast(self.schedule.alpha(t), x_t)
        spread = (0.15 * alpha) ** 2 + broadcast(self.schedule.sigma(t), x_t) ** 2
        away = x_t[:, None] - alpha * means
        share = (-away.square().sum(-1) / (2 * spread)).softmax(-1)
        filtered = means + (alpha * 0.15**2 / spread) * away
        return (share[..., None] * filtered).sum(1)


def ring() -> Problem:
    """The flow to 1e-9 by scipy's Runge-Kutta method of order 8, in log(sigma / alpha)."""
    denoiser = Ring(SCHEDULE)
    start = Keyed(range(100))(-1, torch.empty(100, 2, dtype=F64))

    def slope(level: float, flat: np.ndarray) -> np.ndarray:
        y = torch.from_numpy(flat).reshape(100, 2)
        t = SCHEDULE.time(torch.tensor(-level, dtype=F64))
        return (y - denoiser(SCHEDULE.alpha(t) * y, t)).flatten().numpy()

    top = -log_snr(SCHEDULE, ONE).item()
    first = (start / SCHEDULE.alpha(ONE)).flatten().numpy()
    walk = solve_ivp(slope, (top, math.log(1e-6)), first, method="DOP853", rtol=1e-10, atol=1e-10)
    return Problem(
        denoiser, start, torch.from_numpy(walk.y[:, -1]).reshape(100, 2), math.sqrt(0.5 + 0.15**2)
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "two": lambda: mixture([0.3, 0.7], [-1, 0.8], [0.3, 0.4]),
    "even": lambda: mixture([0.5, 0.5], [-1, 1], [0.2, 0.2]),
    "three": lambda: mixture([0.3, 0.4, 0.3], [-1.5, 0, 1], [0.1, 0.2, 0.3]),
    "narrow": lambda: mixture([0.5, 0.5], [-1, 1], [0.05, 0.05]),
    "spike": lambda: mixture([0.5, 0.5], [0, 0], [1, 0.1]),
    "skew": lambda: mixture([0.8, 0.2], [0, 2], [0.3, 0.6]),
    "off centre": lambda: mixture([0.4, 0.6], [2, 3.5], [0.3, 0.4]),
    "close": lambda: mixture([0.5, 0.5], [-0.5, 0.5], [0.4, 0.4]),
    "uneven, 4-D": uneven,
    "ring, 2-D": ring,
}

Run = Callable[[Problem, int, str], Tensor]


class Perceptron(nn.Module):
    """A small network on flat signals, told the time by sines."""

    def __init__(self, size: int, width: int = 192) -> None:
        super().__init__()
        self.first = nn.Linear(size + 32, width)
        self.blocks = nn.ModuleList(nn.Linear(width + 32, width) for _ in range(3))
        self.last = nn.Linear(width, size)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        phase = time[:, None] * torch.linspace(0.5, 4, 16, dtype=time.dtype)
        told = torch.cat([phase.sin(), phase.cos()], 1).to(x.dtype)
        hidden = functional.silu(self.first(torch.cat([x, told], 1)))
        for block in self.blocks:
            hidden = hidden + functional.silu(block(torch.cat([hidden, told], 1)))
        return self.last(hidden)


def digits(steps: int = 2000) -> Problem:
    """A network trained for about a minute on scikit-learn's 8 x 8 digits, and its own flow.

    At times uniform in [0, 1], as DDPM trains. The flow is that of 900 steps of order 3.
    """
    torch.manual_seed(0)
    data = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
    deviation = data.std().item()
    denoiser = Preconditioned(Perceptron(64), SCHEDULE, deviation)
    optimizer = torch.optim.Adam(denoiser.parameters(), 2e-3)
    for step in range(steps):
        x_0 = data[torch.randint(len(data), (128,))]
        t = torch.rand(128).clamp(min=1e-4)
        alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
        estimate = denoiser(marginal(SCHEDULE, x_0, t, torch.randn_like(x_0)), t)
        unit = 1 / deviation**2 + (alpha / sigma) ** 2
        loss = (unit * (estimate - x_0).square().mean(1)).mean()
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1.0, 2 * (1 - step / steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    denoiser = denoiser.double().requires_grad_(False)
    start = Keyed(range(64))(-1, torch.empty(64, 64, dtype=F64))
    times = torch.cat([uniform_log_snr(SCHEDULE, 300, 1.0, 1e-6), ZERO[None]])
    exact = sample(denoiser, DpmSolverPP3S(), start, times)
    return Problem(denoiser, start, exact, deviation)


@dataclass(frozen=True)
class Contender:
    """A sampler, as run(problem, calls, letter), with the letters of the grids that it may use."""

    run: Run
    grids: str = "ulk"
