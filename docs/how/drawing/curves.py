"""Schedules as curves, and the errors of samplers against the exact flow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from diff_core import (
    Condition,
    Ddim,
    DpmSolverPP2M,
    Euler,
    Heun,
    Sampler,
    TrigAdams,
    UniPC,
    VariancePreserving,
    log_snr,
    uniform_flow,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import sample

from .look import COLOURS, chart
from .scan import SCHEDULES

__all__ = ["errors", "schedules"]

PATH = VariancePreserving()
TWO = Mixture(*torch.tensor([[0.3, 0.7], [-1.0, 1.0], [0.3, 0.5]], dtype=torch.float64))
DEVIATION = 1.02  # of TWO, rounded
COUNTS = (4, 8, 16, 32, 64, 128)


def schedules(out: Path) -> None:
    """alpha, sigma and log-SNR over t."""
    t = torch.linspace(0.002, 1, 160, dtype=torch.float64)

    def draw(axes: Sequence[Axes]) -> None:
        first, second, third = axes
        for name, schedule in SCHEDULES.items():
            first.plot(t, schedule.alpha(t), label=name)
            second.plot(t, schedule.sigma(t))
            third.plot(t, log_snr(schedule, t))
        first.set(title="α, how much signal", xlabel="t", ylim=(-0.02, 1.05))
        second.set(title="σ, how much noise", xlabel="t", yscale="log", ylim=(0.01, 120))
        third.set(title="log-SNR λ = ln(α / σ)", xlabel="t", ylim=(-7, 7))
        first.legend(loc="lower left", handlelength=1.2, labelspacing=0.25)

    chart(out / "schedules", draw, count=3, height=2.7)


class Counted(ExactDenoiser):
    """An exact denoiser that counts its calls."""

    calls = 0

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        self.calls += 1
        return super().forward(x_t, t, cond)


@dataclass(frozen=True)
class Method:
    """A sampler with its grid from noise to data and the style of its line."""

    name: str
    sampler: Sampler
    line: str = "-"


METHODS = (
    Method("DDIM", Ddim()),
    Method("Euler", Euler(), ":"),
    Method("Heun", Heun()),
    Method("DPM-Solver++ 2M", DpmSolverPP2M()),
    Method("UniPC", UniPC()),
    Method("TrigAdams", TrigAdams(sigma_data=DEVIATION)),
)
DRAWN = (COLOURS[0], "#ffffff", *COLOURS[1 : len(METHODS) - 1])


def walk(sampler: Sampler, x: Tensor, times: Tensor) -> tuple[int, float]:
    """Calls of the denoiser, and root mean square distance to the exact flow."""
    denoiser = Counted(TWO, PATH)
    found = sample(denoiser, sampler, x, times)
    exact = TWO.flow(PATH, x, times[0], times[-1])
    return denoiser.calls, (found - exact).square().mean().sqrt().item()


def errors(out: Path) -> None:
    """Error over calls: on a smooth stretch, where the order shows, and from noise to data."""
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]

    def between(steps: int) -> Tensor:
        return uniform_log_snr(PATH, steps, start=0.8, stop=0.05)

    def whole(steps: int) -> Tensor:
        return uniform_flow(PATH, steps, DEVIATION / 2)

    grids: tuple[Callable[[int], Tensor], ...] = (between, whole)
    found = [
        [[walk(method.sampler, x, grid(steps)) for steps in COUNTS] for method in METHODS]
        for grid in grids
    ]

    def draw(axes: Sequence[Axes]) -> None:
        for axis, lines in zip(axes, found, strict=True):
            for method, colour, line in zip(METHODS, DRAWN, lines, strict=True):
                calls, error = zip(*line, strict=True)
                slope = math.log(error[-2] / error[-1]) / math.log(calls[-1] / calls[-2])
                axis.loglog(
                    calls, error, method.line, color=colour, label=f"{slope:.1f}  {method.name}",
                    marker="o" if method.line == "-" else "", markersize=3.5,
                )  # fmt: skip
            axis.set(xlabel="calls of the denoiser", ylim=(1e-7, 20))
            axis.set_xticks([4, 8, 16, 32, 64, 128], ["4", "8", "16", "32", "64", "128"])
            axis.minorticks_off()
            axis.legend(loc="lower left", handlelength=1.3, labelspacing=0.2, fontsize=8.5)
        axes[0].set(title="between t = 0.8 and 0.05", ylabel="distance to the exact flow")
        axes[1].set(title="from pure noise to data")

    chart(out / "samplers", draw, count=2, height=3.9)
    for title, lines in zip(("t = 0.8 to 0.05", "t = 1 to 0"), found, strict=True):
        print(f"distance to the exact flow (calls), {title}")
        for method, line in zip(METHODS, lines, strict=True):
            print(f"  {method.name:<16}" + "".join(f"{e:9.1e} ({n:3d})" for n, e in line))
