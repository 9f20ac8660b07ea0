"""Variants of guidance for large weights: their equations, and where they are plain guidance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core import (
    Condition,
    Ddim,
    Denoiser,
    FromFlow,
    Keyed,
    RectifiedFlow,
    Schedule,
    VariancePreserving,
    uniform,
)
from diff_core.guidance import Apg, Cfg, CfgZero, Threshold
from diff_core.sample import sample

T = torch.tensor(0.6, dtype=torch.float64)
SHAPE = (4, 2, 5)


class Network(torch.nn.Module):
    """A prediction that depends on the state and on the condition."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        shift = 0.0 if cond is None or cond.vector is None else cond.vector[:, :1, None]
        return (x + shift).sin() + 0.5 * x


class Given(Denoiser):
    """The same estimates, whatever it is asked."""

    def __init__(self, estimate: Tensor, null: Tensor | None = None) -> None:
        super().__init__(VariancePreserving())
        self.estimate, self.unconditional = estimate, null

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        if cond is None and self.unconditional is not None:
            return self.unconditional
        return self.estimate


def draw(seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(SHAPE))


COND = Condition(vector=torch.tensor([[1.0], [-2.0], [0.5], [3.0]], dtype=torch.float64))


@pytest.mark.parametrize("schedule", [VariancePreserving(), RectifiedFlow()])
@pytest.mark.parametrize("weight", [0.0, 1.0, 6.0])
def test_apg_without_projection_and_bound_is_cfg(schedule: Schedule, weight: float) -> None:
    denoiser = FromFlow(Network(), schedule)
    x = draw(0)
    torch.testing.assert_close(
        Apg(denoiser, null=None, weight=weight, eta=1.0)(x, T, COND),
        Cfg(denoiser, null=None, weight=weight)(x, T, COND),
    )


def test_apg_adds_nothing_along_the_conditional_estimate() -> None:
    estimate, null = draw(1), draw(2)
    guided = Apg(Given(estimate, null), null=None, weight=7.0)(draw(3), T, COND)
    added, along = (guided - estimate).flatten(1), estimate.flatten(1)
    torch.testing.assert_close((added * along).sum(1), torch.zeros(4, dtype=torch.float64))
    # what is left is the update's own part across: Pythagoras
    update = (estimate - null).flatten(1)
    parallel = (update * along).sum(1).square() / along.square().sum(1)
    across = update.square().sum(1) - parallel
    torch.testing.assert_close(added.square().sum(1), 36 * across)


def test_apg_bounds_the_update_of_each_row() -> None:
    estimate, null = draw(1), draw(2)
    null[0] = estimate[0] + 1e-3
    null[1] = estimate[1]
    apg = Apg(Given(estimate, null), null=None, weight=3.0, eta=1.0, radius=0.5)
    length = (apg(draw(3), T, COND) - estimate).flatten(1).norm(dim=1)
    assert length[0] == pytest.approx(2 * 1e-3 * math.sqrt(10))
    assert length[1] == 0
    torch.testing.assert_close(length[2:], torch.ones(2, dtype=torch.float64))


def test_cfg_zero_is_its_algorithm_on_rectified_flow() -> None:
    network, x, weight = Network(), draw(4), 4.0
    time = T.expand(4)
    cond, null = network(x, time, COND), network(x, time)
    scale = torch.stack([(c * n).sum() / (n * n).sum() for c, n in zip(cond, null, strict=True)])
    null = scale[:, None, None] * null
    flow = null + weight * (cond - null)
    guided = CfgZero(FromFlow(network, RectifiedFlow()), null=None, weight=weight)
    torch.testing.assert_close(guided(x, T, COND), x - T * flow)


def test_cfg_zero_has_weight_one_and_parallel_flows_as_cfg() -> None:
    denoiser = FromFlow(Network(), VariancePreserving())
    x = draw(5)
    torch.testing.assert_close(
        CfgZero(denoiser, null=None, weight=1.0)(x, T, COND), denoiser(x, T, COND)
    )
    # with u_cond = 3 u_null, the best scale is 3 and guidance has nothing to add
    schedule = VariancePreserving()
    total = schedule.alpha(T) + schedule.sigma(T)
    null = draw(6)
    cond = (x - 3 * (x - total * null)) / total
    got = CfgZero(Given(cond, null), null=None, weight=9.0)(x, T, COND)
    torch.testing.assert_close(got, cond)


def test_cfg_zero_stands_still_at_first() -> None:
    denoiser = FromFlow(Network(), RectifiedFlow())
    x, times = draw(7), uniform(5)
    guided = CfgZero(denoiser, null=None, weight=2.0, still=4.1)  # at t = 1, not at 0.8
    moving = sample(CfgZero(denoiser, null=None, weight=2.0), Ddim(), x, times[1:], cond=COND)
    assert torch.equal(sample(guided, Ddim(), x, times[:2], cond=COND), x)
    torch.testing.assert_close(sample(guided, Ddim(), x, times, cond=COND), moving)


def test_static_threshold_clips() -> None:
    estimate = draw(8)
    got = Threshold(Given(estimate), limit=0.7)(draw(9), T)
    np.testing.assert_array_equal(got.numpy(), np.clip(estimate.numpy(), -0.7, 0.7))


@pytest.mark.parametrize("quantile", [0.5, 0.9, 1.0])
def test_dynamic_threshold_is_imagens(quantile: float) -> None:
    estimate = torch.cat([draw(10)[:2] * 5, draw(11)[2:] * 0.1])
    got = Threshold(Given(estimate), limit=0.8, quantile=quantile)(draw(9), T).numpy()
    for row, expected in zip(got, estimate.numpy(), strict=True):
        bound = max(0.8, np.quantile(np.abs(expected), quantile, method="nearest"))
        np.testing.assert_allclose(row, np.clip(expected, -bound, bound) * 0.8 / bound)
    assert np.abs(got).max() <= 0.8 + 1e-12


def test_a_threshold_keeps_samples_in_range() -> None:
    denoiser = Cfg(FromFlow(Network(), RectifiedFlow()), null=None, weight=8.0)
    noise = Keyed([1, 2, 3, 4])
    x = noise(-1, torch.empty(SHAPE, dtype=torch.float64))
    assert sample(denoiser, Ddim(), x, uniform(8), cond=COND).abs().max() > 1
    inside = sample(Threshold(denoiser), Ddim(), x, uniform(8), cond=COND)
    assert inside.abs().max() <= 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda d: Apg(d, null=None, weight=math.nan), "weight is nan"),
        (lambda d: Apg(d, null=None, weight=2.0, eta=-0.1), "eta is -0.1"),
        (lambda d: Apg(d, null=None, weight=2.0, radius=0.0), "radius is 0.0"),
        (lambda d: CfgZero(d, null=None, weight=math.inf), "weight is inf"),
        (lambda d: CfgZero(d, null=None, weight=2.0, still=0.0), "still is 0.0"),
        (lambda d: Threshold(d, limit=0.0), "limit is 0.0"),
        (lambda d: Threshold(d, quantile=1.5), "quantile is 1.5"),
    ],
)
def test_wrong_numbers_are_refused(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(Given(draw(0)))


def test_guidance_needs_a_condition() -> None:
    for kind in (Apg, CfgZero):
        with pytest.raises(ValueError, match="cond is None"):
            kind(Given(draw(0)), null=None, weight=2.0)(draw(1), T)
