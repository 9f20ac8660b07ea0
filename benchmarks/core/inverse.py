"""Methods for inverse problems beside the exact posterior of a prior with several modes.

    python benchmarks/core/inverse.py [--seeds 5] [--rows 100]

The denoiser is exact, so that all the error is the method's. For every problem of
inverse_problems.py and seed, a signal is drawn and measured, and each method makes `--rows`
samples of its posterior. Printed: the energy distance to exact draws, mean and half of the 95 %
interval over the seeds (0 on average for exact draws), and in per cent the total variation between
the shares of the modes among the samples and among exact draws. 50 steps of `Ancestral`, or of
the method itself; DAPS makes 25, each of 5 calls, and its Langevin steps without the denoiser.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from inverse_problems import LINEAR, NONLINEAR, Problem, posterior_draws
from torch import Tensor

from diff_core import Ancestral, Denoiser, Sampler, VariancePreserving, uniform_log_snr
from diff_core.evaluate import energy_distance, mean_interval
from diff_core.exact import ExactDenoiser
from diff_core.guidance import Daps, Ddrm, DiffPir, Dps, Mmps, PiGdm, RePaint
from diff_core.operator import Mask, Measurement, NonlinearMeasurement
from diff_core.sample import sample

SCHEDULE = VariancePreserving()
Given = Measurement | NonlinearMeasurement
Pair = tuple[Denoiser, Sampler]
Method = tuple[int, Callable[[Denoiser, Given, Problem], Pair | None]]


def _linear(make: Callable[[Denoiser, Measurement, Problem], Pair | None]) -> Method:
    """A method of 50 steps that only takes linear measurements."""

    def guarded(denoiser: Denoiser, given: Given, problem: Problem) -> Pair | None:
        return make(denoiser, given, problem) if isinstance(given, Measurement) else None

    return 50, guarded


METHODS: dict[str, Method] = {
    "Mmps": _linear(lambda d, m, p: (Mmps(d, m), Ancestral())),
    "Mmps, max_steps 1": _linear(lambda d, m, p: (Mmps(d, m, max_steps=1), Ancestral())),
    "PiGdm": _linear(lambda d, m, p: (PiGdm(d, m, sigma_data=p.deviation), Ancestral())),
    "DiffPir": _linear(lambda d, m, p: (DiffPir(d, m, sigma_data=p.deviation), Ancestral())),
    "Ddrm": _linear(
        lambda d, m, p: (d, Ddrm(m)) if hasattr(m.operator, "singular_values") else None
    ),
    "RePaint, 10 resamplings": _linear(
        lambda d, m, p: (
            (d, RePaint(m.operator.mask, m.y)) if isinstance(m.operator, Mask) else None
        )
    ),
    "Dps, scale 3": (50, lambda d, m, p: (Dps(d, m, scale=3.0), Ancestral())),
    "Dps, scale 10": (50, lambda d, m, p: (Dps(d, m, scale=10.0), Ancestral())),
    "Daps": (25, lambda d, m, p: (d, Daps(m))),
    "Daps, sigma_data": (25, lambda d, m, p: (d, Daps(m, sigma_data=p.deviation))),
}


def run(pair: Pair, given: Given, steps: int) -> Tensor:
    """Return one sample for each row of the measurement."""
    denoiser, sampler = pair

    def noise(k: int, like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(k + 1)
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    times = torch.cat([uniform_log_snr(SCHEDULE, steps - 1, 0.999, 0.01), torch.zeros(1)])
    z = noise(-1, torch.empty(given.shape, dtype=torch.float64))
    x = sampler.start(SCHEDULE, times[0], z) if isinstance(sampler, Ddrm) else z
    return sample(denoiser, sampler, x, times, noise=noise)


def shares(problem: Problem, x: Tensor) -> Tensor:
    """Shares of the modes of the prior whose means are nearest to the rows of x."""
    nearest = torch.cdist(x.flatten(1), problem.prior.means.flatten(1)).argmin(1)
    return torch.bincount(nearest, minlength=len(problem.prior.weights)) / len(x)


def compare(problem: Problem, rows: int, seeds: int) -> dict[str, list[tuple[float, float]]]:
    """Energy distance and error of the shares for every method and seed."""
    denoiser, given = ExactDenoiser(problem.prior, SCHEDULE), problem.measure(seeds, rows)
    made: dict[str, Tensor] = {"prior": problem.prior.sample(seeds * rows)}
    for name, (steps, make) in METHODS.items():
        if (pair := make(denoiser, given, problem)) is not None:
            made[name] = run(pair, given, steps)
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        part = slice(seed * rows, (seed + 1) * rows)
        exact, right = posterior_draws(problem, given, part.start, [rows, 5 * rows])
        for name, x in {"exact draws": exact, **{n: x[part] for n, x in made.items()}}.items():
            off = 0.5 * (shares(problem, x) - shares(problem, right)).abs().sum()
            found.setdefault(name, []).append((energy_distance(x, right), float(off)))
    return found


def main() -> None:
    """Parse the options and print one table for each kind of problem."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100, help="samples for each seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.process_time()
    for problems in (LINEAR, NONLINEAR):
        columns = {n: compare(p(), options.rows, options.seeds) for n, p in problems.items()}
        print(f"| method | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}")
        for name in ("exact draws", "prior", *METHODS):
            if any(name in column for column in columns.values()):
                print(f"| {name} | {' | '.join(_cell(c.get(name)) for c in columns.values())} |")
        print(flush=True)
    print(f"{options.seeds} seeds, {time.process_time() - begin:.0f} s of CPU time")


def _cell(values: list[tuple[float, float]] | None) -> str:
    if values is None:
        return ""
    distance = mean_interval([value for value, _ in values])
    off = mean_interval([value for _, value in values])
    return f"{distance.mean:.3f} ± {distance.half:.3f}, {100 * off.mean:.0f} %"


if __name__ == "__main__":
    main()
