"""RePaint against its algorithm in matrices, and by how much it is off the posterior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core import Ancestral, VariancePreserving, uniform
from diff_core.exact import ExactDenoiser
from diff_core.guidance import RePaint
from diff_core.operator import Mask, Measurement
from diff_core.sample import sample
from linear_gaussian import (
    CORRELATED,
    F64,
    MEAN,
    SIZE,
    Impulses,
    levels,
    moments,
    posterior,
    propagate,
    tensor,
    wiener,
)

OBSERVED = tensor([1.0, 0.0, 0.0, 1.0])
EYE, SEEN = torch.eye(SIZE, dtype=F64), torch.diag(OBSERVED)
UNSEEN = EYE - SEEN
Y = tensor([1.0, math.nan, math.nan, 1.5])

Step = tuple[Tensor, Tensor, Tensor]
"""x -> weight x + shift + noise of this covariance."""


def then(first: Step, second: Step) -> Step:
    weight = second[0]
    return (
        weight @ first[0],
        weight @ first[1] + second[1],
        weight @ first[2] @ weight.mT + second[2],
    )


def repaint_by_hand(times: Tensor, resamplings: int, jump: int) -> tuple[Tensor, Tensor]:
    """Algorithm 1 on mean and covariance, with DDPM steps q(x_s | x_t, x_0 = D)."""
    grid, steps = levels(times), len(times) - 1
    y, none = torch.where(OBSERVED > 0, Y, 0), torch.zeros(SIZE, dtype=F64)

    def down(k: int) -> Step:
        (a, s), (b, r) = grid[k], grid[k + 1]
        gain, offset = wiener(a, s)
        forward = s * s - (a / b * r) ** 2
        kept, level = a / b * r * r / s**2, b * forward / s**2
        step = (kept * EYE + level * gain, level * offset, forward * r**2 / s**2 * EYE)
        return then(step, (UNSEEN, b * y, r * r * SEEN))

    state = (0 * EYE, none, grid[0][1] ** 2 * EYE)
    for k in range(steps):
        stop = min(k + jump, steps - 1)
        if k % jump == 0 and stop > k:
            (a, s), (b, r) = grid[k], grid[stop]
            there_and_back = (EYE, none, 0 * EYE)
            for i in range(k, stop):
                there_and_back = then(there_and_back, down(i))
            up = (a / b * EYE, none, (s * s - (a / b * r) ** 2) * EYE)
            there_and_back = then(there_and_back, up)
            for _ in range(resamplings - 1):
                state = then(state, there_and_back)
        state = then(state, down(k))
    return state[1:]


@pytest.mark.parametrize(("steps", "resamplings", "jump"), [(10, 1, 1), (8, 4, 1), (9, 3, 4)])
def test_repaint_is_its_algorithm(steps: int, resamplings: int, jump: int) -> None:
    schedule, times = VariancePreserving(), uniform(steps)

    def solve(rows: int, x: Tensor, noise: Impulses) -> Tensor:
        y = Y.expand(rows, 1, SIZE)
        sampler = RePaint(OBSERVED, y, Ancestral(), resamplings=resamplings, jump=jump)
        return sample(ExactDenoiser(CORRELATED, schedule), sampler, x, times, noise=noise)

    root = schedule.sigma(times[0]) * EYE
    mean, spread = propagate(solve, torch.zeros(1, SIZE, dtype=F64), root)
    expected = repaint_by_hand(times, resamplings, jump)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(spread, expected[1])
    assert torch.equal(mean[[0, 3]], Y[[0, 3]])


@pytest.mark.parametrize(
    ("steps", "resamplings", "mean_bias", "spread_bias"),
    [
        (400, 1, 0.422, 0.340),
        (100, 10, 0.084, 0.166),
        (400, 10, 0.074, 0.039),
        (100, 100, 0.0161, 0.312),
        (400, 100, 0.0089, 0.174),
    ],
)
def test_bias_of_repaint(
    steps: int, resamplings: int, mean_bias: float, spread_bias: float
) -> None:
    mean, spread = repaint_by_hand(uniform(steps), resamplings, 1)
    y = torch.where(OBSERVED > 0, Y, 0)[None, None]
    mean_0, spread_0 = moments(posterior(CORRELATED, Measurement(Mask(OBSERVED), y)))
    off = (mean - mean_0)[1:3].norm() / (mean_0 - MEAN[0])[1:3].norm()
    assert off.item() == pytest.approx(mean_bias, rel=0.05)
    part = (slice(1, 3), slice(1, 3))
    off = (spread - spread_0)[part].norm() / spread_0[part].norm()
    assert off.item() == pytest.approx(spread_bias, rel=0.05)
