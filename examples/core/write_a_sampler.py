"""Write a sampler of your own, and prove its order.

python examples/core/write_a_sampler.py

The probability-flow ODE of every schedule x_t = alpha x_0 + sigma z reads, with y = x / alpha and
the noise level rho = sigma / alpha,

    dy / d rho = (y - E[x_0 | x_t]) / rho ,

so that any method for ordinary differential equations is a sampler. This one is Ralston's: of all
methods of order 2 with two calls a step it has the smallest bound on its error (Runge-Kutta
Methods with Minimum Error Bounds, Ralston, 1962).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diff_core import Dpm2, Euler, Heun, VariancePreserving, uniform_log_snr
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import Denoise, Memory, Plan, Sampler, levels, sample
from diff_core.schedule import Schedule


# A sampler is a frozen dataclass with two methods and nothing to remember.
@dataclass(frozen=True)
class Ralston:
    """y_s = y + h (k_1 + 3 k_2) / 4, with k_2 the slope at 2/3 of the step h."""

    order = 2  # what the table below has to show
    stochastic = False  # True for a sampler that draws from `noise`

    # `plan` sees the schedule and the grid, once, before the first step. `levels` fills in alpha,
    # sigma and log_snr at every time of the grid as Python floats; a method that looks between two
    # times of the grid says where, row by row.
    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        plan = levels(schedule, times)
        rho = schedule.sigma(times) / schedule.alpha(times)
        between = schedule.time(-(rho[:-1] / 3 + rho[1:] * 2 / 3).log())
        alpha, rho = schedule.alpha(between), schedule.sigma(between) / schedule.alpha(between)
        return replace(
            plan,
            stages=tuple((t,) for t in between.tolist()),
            coefficients=tuple(zip(alpha.tolist(), rho.tolist(), strict=True)),
        )

    # `step` goes from times[k] to times[k + 1]. denoise(x, k) is E[x_0 | x] at times[k]; the
    # stages have numbers of their own. Multistep methods hand on earlier values as `memory`.
    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: object
    ) -> tuple[Tensor, Memory]:
        (stage,), (alpha_m, rho_m) = plan.stage[k], plan.coefficients[k]
        rho_t, rho_s = (plan.sigma[i] / plan.alpha[i] for i in (k, k + 1))
        y = x / plan.alpha[k]
        first = (y - denoise(x, k)) / rho_t
        middle = y + (rho_m - rho_t) * first
        second = (middle - denoise(alpha_m * middle, stage)) / rho_m
        y = y + (rho_s - rho_t) * (first + 3 * second) / 4
        return plan.alpha[k + 1] * y, ()


def main(arguments: Sequence[str] | None = None) -> None:
    """Errors against the exact flow, at steps that halve; order p divides them by 2^p."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halvings", type=int, default=4, help="how often the step is halved")
    given = parser.parse_args(arguments)

    # A mixture of Gaussians: its denoiser and its flow are known exactly, so that all the error is
    # the sampler's. In double precision, nothing else gets in the way.
    def numbers(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    mixture = Mixture(numbers(0.3, 0.7), numbers(-1.0, 1.0), numbers(0.3, 0.5))
    schedule = VariancePreserving()
    denoiser = ExactDenoiser(mixture, schedule)
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]

    samplers: dict[str, Sampler] = {
        "Euler": Euler(),
        "Heun": Heun(),
        "Dpm2": Dpm2(),
        "Ralston, yours": Ralston(),
    }
    counts = [32 * 2**i for i in range(given.halvings + 1)]
    print("steps           " + "".join(f"{n:>10}" for n in counts) + "   order")
    for name, sampler in samplers.items():
        errors = []
        for steps in counts:
            times = uniform_log_snr(schedule, steps, start=0.8, stop=0.05)
            exact = mixture.flow(schedule, x, times[0], times[-1])
            error = sample(denoiser, sampler, x, times) - exact
            errors.append(error.square().mean().sqrt().item())
        order = math.log2(errors[-2] / errors[-1])
        print(f"{name:<16}" + "".join(f"{e:10.1e}" for e in errors) + f"{order:8.2f}")


if __name__ == "__main__":
    main()
