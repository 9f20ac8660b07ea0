"""Error of the samplers for a number of network calls, beside the other libraries.

    python benchmarks/core/sampler_errors.py [--all | --digits | --same]

Root mean square distance to the exact probability-flow map from t = 1 to 0 of several mixtures of
Gaussians, on DDPM's linear table, calls counted. Every number is the best over the grids: uniform
in t (u), uniform in log-SNR (l), Karras (k); and for ours the times of a rectified flow (f), with
the middle at half of the data's standard deviation. A table for the first mixture (--all: for
each), then for every mixture the best peer, our best, and `TrigAdams` on its grid alone. With
--digits, in place of the mixtures, a small network trained on scikit-learn's digits on the spot,
and the distance to its own flow. With --same, for each grid, the multistep methods of both sides
on that very grid with 8 and 16 calls, as the geometric mean over the mixtures.

Peers "on f" are their formulas on our grid: what the method does, without the grid; they are not
counted as peers. How the peers are run is in sampler_peers.py.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from statistics import geometric_mean

import azula.sample
import torch
from sampler_peers import diffusers_peers, from_azula, peers
from sampler_problems import PROBLEMS, SCHEDULE, Contender, Problem, digits
from torch import Tensor

from diff_core import Ddim, DpmSolverPP2M, Heun, Sampler, TrigAdams, uniform_flow
from diff_core.sample import (
    Deis,
    Dpm2,
    DpmSolverPP2S,
    DpmSolverPP3M,
    DpmSolverPP3S,
    Kutta3,
    Lms,
    Midpoint,
    UniPC,
    sample,
)

COUNTS = (8, 16, 32)


def mine(sampler: Sampler, stages: int = 1, extra: int = 0) -> Contender:
    """Ours, on the finest grid for which the calls suffice: a last step to 0 is one call."""

    def run(problem: Problem, calls: int, grid: str) -> Tensor:
        times = problem.grid(grid, (calls - extra - 1) // stages + 1)
        return sample(problem.denoiser, sampler, problem.start, times)

    return Contender(run, "ulkf")


def trig(order: int, wrong: float = 1.0, grids: str = "ulkf") -> Contender:
    """`TrigAdams`, told `wrong` times the data's deviation."""

    def run(problem: Problem, calls: int, grid: str) -> Tensor:
        deviation = problem.deviation * wrong
        middle = deviation / 2
        times = uniform_flow(SCHEDULE, calls, middle) if grid == "f" else problem.grid(grid, calls)
        return sample(problem.denoiser, TrigAdams(order, deviation), problem.start, times)

    return Contender(run, grids)


def ours() -> dict[str, Contender]:
    """All deterministic samplers of this package."""
    return {
        "ours Ddim": mine(Ddim()),
        "ours Heun": mine(Heun(), stages=2),
        "ours Dpm2": mine(Dpm2(), stages=2),
        "ours Midpoint": mine(Midpoint(), stages=2, extra=1),
        "ours Kutta3": mine(Kutta3(), stages=3, extra=1),
        "ours DpmSolverPP2S": mine(DpmSolverPP2S(), stages=2),
        "ours DpmSolverPP3S": mine(DpmSolverPP3S(), stages=3),
        "ours DpmSolverPP2M": mine(DpmSolverPP2M()),
        "ours DpmSolverPP2M heun": mine(DpmSolverPP2M(correction="heun")),
        "ours DpmSolverPP3M": mine(DpmSolverPP3M(), extra=1),
        "ours Deis 2": mine(Deis(order=2)),
        "ours Deis 3": mine(Deis(order=3), extra=1),
        "ours Lms 4": mine(Lms(order=4), extra=4),
        "ours UniPC 2": mine(UniPC(p=2)),
        "ours UniPC 2 midpoint": mine(UniPC(p=2, correction="midpoint")),
        "ours UniPC 3": mine(UniPC(p=3), extra=2),
        "ours UniPC 3 midpoint": mine(UniPC(p=3, correction="midpoint")),
        "ours TrigAdams 2": trig(2),
        "ours TrigAdams 3": trig(3),
    }


def others() -> dict[str, Contender]:
    """Shown, and counted for nobody."""
    return {
        "azula zEAB 3 on f": from_azula(azula.sample.zEABSampler, grids="f", order=3),
        "azula vAB 3 on f": from_azula(azula.sample.vABSampler, grids="f", order=3),
        "TrigAdams 3 on l": trig(3, grids="l"),
        "TrigAdams 3 on k": trig(3, grids="k"),
        "TrigAdams 3, told twice s_d": trig(3, wrong=2.0, grids="f"),
        "TrigAdams 3, told half of s_d": trig(3, wrong=0.5, grids="f"),
    }


Found = list[tuple[float, str]]


def measure(problem: Problem, contender: Contender) -> Found:
    """The least error and its grid for each number of calls."""
    return [
        min((problem.distance(contender.run(problem, n, g)), g) for g in contender.grids)
        for n in COUNTS
    ]


def cells(found: Found) -> str:
    """One row of a table."""
    return "".join(f"{error:10.1e} {grid}" for error, grid in found)


def best(table: dict[str, Found]) -> Found:
    """The least of each column, with its name and grid."""
    columns = range(len(COUNTS))
    return [
        min((row[i][0], f"{name} {row[i][1]}") for name, row in table.items()) for i in columns
    ]


def main(problems: dict[str, Callable[[], Problem]], every: bool) -> None:
    """Print the tables and the ratios."""
    summary: list[tuple[str, Found, Found, Found]] = []
    for name, make in problems.items():
        problem = make()
        groups = [
            {label: measure(problem, who) for label, who in group().items()}
            for group in (peers, ours, others)
        ]
        if every or not summary:
            header = f"{name}: RMS error, calls"
            print(f"{header:34}" + "".join(f"{n:>12}" for n in COUNTS))
            for group in groups:
                for label, found in group.items():
                    print(f"{label:34}{cells(found)}")
            print(flush=True)
        alone = [(error, "f") for error, _ in measure(problem, trig(3, grids="f"))]
        summary.append((name, best(groups[0]), best(groups[1]), alone))
    print(f"{'calls':14}{'':22}" + "".join(f"{n:>35}" for n in COUNTS))
    for name, theirs, mine, alone in summary:
        for label, row in (("best peer", theirs), ("our best", mine)):
            print(f"{name:14}{label:22}" + "".join(f"{e:10.1e} {w:>24}" for e, w in row))
        for label, row in (("our best / peer", mine), ("TrigAdams 3 f / peer", alone)):
            ratios = (a / b for (a, _), (b, _) in zip(row, theirs, strict=True))
            print(f"{name:14}{label:22}" + "".join(f"{r:10.2f}{'':25}" for r in ratios))


def same() -> None:
    """Print a table of all multistep methods on one grid each, calls alike."""
    rivals = diffusers_peers(own=False) | {
        "azula zEAB 3": from_azula(azula.sample.zEABSampler, grids="ulkf", order=3),
        "azula vAB 3": from_azula(azula.sample.vABSampler, grids="ulkf", order=3),
    }
    many = ("DpmSolverPP2M", "DpmSolverPP3M", "Deis 3", "UniPC", "TrigAdams 3")
    mine = {name: who for name, who in ours().items() if name[5:].startswith(many)}
    problems = [make() for make in PROBLEMS.values()]
    cases = [(grid, calls) for grid in "ulkf" for calls in COUNTS[:2]]
    print("| | " + " | ".join(f"{grid}, {calls}" for grid, calls in cases) + " |")
    print("|---|" + "--:|" * len(cases))
    for label, who in (rivals | mine).items():
        row = [
            geometric_mean([p.distance(who.run(p, calls, grid)) for p in problems])
            for grid, calls in cases
        ]
        print(f"| {label} | " + " | ".join(f"{error:.1e}" for error in row) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="the whole table of every mixture")
    parser.add_argument("--digits", action="store_true", help="a network in place of mixtures")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    parser.add_argument("--same", action="store_true", help="the same grid for both sides")
    given = parser.parse_args()
    if given.same:
        same()
    else:
        main({"digits": digits} if given.digits else PROBLEMS, given.all)
