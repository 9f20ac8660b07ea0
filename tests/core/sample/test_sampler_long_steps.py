"""Multistep samplers on grids whose last steps are long in log-SNR, and end above 0."""

from __future__ import annotations

import pytest
import torch

from diff_core import Cosine, RectifiedFlow, Schedule, VariancePreserving, uniform
from diff_core.evaluate import ExactDenoiser, Mixture
from diff_core.sample import (
    Ddim,
    Deis,
    DpmSolverPP2M,
    DpmSolverPP3M,
    Lms,
    Sampler,
    UniPC,
    sample,
)
from diff_core.sample.polynomial import falling_moments, rising_moments, steady, weights
from sampler_cases import tensor

TWO = Mixture(tensor([0.3, 0.7]), tensor([-1.0, 1.0]), tensor([0.1, 0.2]))
MULTISTEP: list[Sampler] = [
    *(DpmSolverPP2M(), DpmSolverPP2M(correction="heun"), DpmSolverPP3M()),
    *(UniPC(2), UniPC(2, "midpoint"), UniPC(3), UniPC(3, "midpoint")),
    *(Deis(2), Deis(3), Lms(2), Lms(3), Lms(4)),
]


def error(sampler: Sampler, schedule: Schedule, steps: int) -> float:
    """RMS distance to the exact flow on a grid uniform in t that ends at 0.001."""
    start = 1.0 if schedule.alpha(tensor(1.0)) > 0 else 0.999
    times = uniform(steps, start, 0.001)
    x = schedule.sigma(times[0]) * torch.linspace(-2.5, 2.5, 101, dtype=torch.float64)[:, None]
    exact = TWO.flow(schedule, x, times[0], times[-1])
    found = sample(ExactDenoiser(TWO, schedule), sampler, x, times)
    return (found - exact).square().mean().sqrt().item()


@pytest.mark.parametrize("steps", [8, 16, 32])
@pytest.mark.parametrize(
    "schedule", [VariancePreserving(), Cosine(), RectifiedFlow()], ids=lambda s: type(s).__name__
)
@pytest.mark.parametrize("sampler", MULTISTEP, ids=repr)
def test_never_worse_than_ddim(sampler: Sampler, schedule: Schedule, steps: int) -> None:
    assert error(sampler, schedule, steps) <= error(Ddim(), schedule, steps)


@pytest.mark.parametrize("length", [0.01, 0.7, 3.0, 30.0])
@pytest.mark.parametrize("most", [2, 3, 4])
def test_equal_steps_are_extrapolated_in_full(length: float, most: int) -> None:
    nodes = [-float(i) for i in range(most)]
    for moments in (rising_moments(length, most), falling_moments(length, most)):
        assert steady(most, length, lambda p, m=moments: weights(nodes[:p], m)) == most


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 3), (1.1, 1), (4.0, 1), (100.0, 1)])
def test_a_long_step_is_extrapolated_from_fewer_values(ratio: float, expected: int) -> None:
    """At the end of a very long step its weights are those of the polynomial at 1.

    With steps 1 / r before it these are (1 + r, -r) through two values, with sizes of 1 + 2 r in
    all, and (1 + r) (2 + r) / 2, -r (2 + r), r (1 + r) / 2 through three: 3 and 7 at r = 1.
    """
    nodes, moments = [-i / ratio for i in range(3)], [1.0] * 3
    sizes = [(1 + ratio) * (2 + ratio) / 2, ratio * (2 + ratio), ratio * (1 + ratio) / 2]
    assert [abs(w) for w in weights(nodes, moments)] == pytest.approx(sizes)
    assert steady(3, 50.0, lambda p: weights(nodes[:p], moments)) == expected
    # a short step may be extrapolated further
    assert steady(3, 0.1, lambda p: weights(nodes[:p], moments)) == 3
