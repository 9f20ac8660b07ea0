"""Times fitted to one denoiser (`fit_times`) beside the usual spacings.

    python benchmarks/core/sampler_grids.py [--digits]

The problems are those of sampler_errors.py: mixtures whose exact flow is known, or, with --digits,
a small network and its own flow. Times are fitted from those of a rectified flow on 256 states (64
of the digits), without the exact flow, and judged on other states by the root mean square distance
to it. The table has the ratio of the error on the fitted times to that on the spacing `f`, and to
the least on any of the spacings u, l, k and f.
"""

from __future__ import annotations

import argparse
import math
import statistics

import torch
from sampler_problems import F64, PROBLEMS, Problem, digits

from diff_core import DpmSolverPP2M, Keyed, Sampler, TrigAdams
from diff_core.sample import UniPC, fit_times, sample

COUNTS = (5, 10)


def samplers(problem: Problem) -> dict[str, Sampler]:
    """Return the samplers of the table."""
    return {
        "TrigAdams 3": TrigAdams(3, problem.deviation),
        "UniPC": UniPC(),
        "DpmSolverPP2M": DpmSolverPP2M(),
    }


def ratios(problem: Problem, sampler: Sampler, steps: int) -> tuple[float, float]:
    """Return the error on the fitted times over that on `f`, and over the least of all."""
    size = problem.start.shape[1:]
    seeds = range(10_000, 10_000 + (64 if size.numel() == 64 else 256))
    known = Keyed(seeds)(-1, torch.empty(len(seeds), *size, dtype=F64))
    times = fit_times(problem.denoiser, sampler, known, problem.grid("f", steps))

    def error(grid: torch.Tensor) -> float:
        return problem.distance(sample(problem.denoiser, sampler, problem.start, grid))

    usual = {letter: error(problem.grid(letter, steps)) for letter in "ulkf"}
    fitted = error(times)
    return fitted / usual["f"], fitted / min(usual.values())


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--digits", action="store_true", help="a network in place of mixtures")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = list(samplers(PROBLEMS["two"]()))
    heads = [f"{name}, {steps}" for name in names for steps in COUNTS]
    print(f"| | {' | '.join(heads)} |")
    print("|---" * (1 + len(heads)) + "|")
    table: list[list[tuple[float, float]]] = []
    for name, make in ({"digits": digits} if given.digits else PROBLEMS).items():
        problem = make()
        row = [
            ratios(problem, sampler, steps)
            for sampler in samplers(problem).values()
            for steps in COUNTS
        ]
        table.append(row)
        print(f"| {name} | {' | '.join(f'{f:.2f}, {best:.2f}' for f, best in row)} |", flush=True)
    if len(table) > 1:
        means = [
            tuple(
                math.exp(statistics.fmean(map(math.log, pair)))
                for pair in zip(*column, strict=True)
            )
            for column in zip(*table, strict=True)
        ]
        print(f"| geometric mean | {' | '.join(f'{f:.2f}, {best:.2f}' for f, best in means)} |")


if __name__ == "__main__":
    main()
