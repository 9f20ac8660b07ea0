"""Reflow: pairs of noise and data, straight flows, and how straight a flow is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Ddim,
    FromV,
    FromX0,
    RectifiedFlow,
    Schedule,
    karras,
    uniform,
)
from diff_core.distil import Reflow, couple, straightness
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.sample import UniPC, sample
from students import BATCH, GAUSSIAN, SCHEDULES, Linear, Rows, seeded


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_reflow_of_an_exact_flow_is_straight(schedule: Schedule) -> None:
    grid = karras(schedule, 40, sigma_min=0.01)
    teacher = ExactDenoiser(GAUSSIAN, schedule)
    pairs = couple(teacher, UniPC(p=3), grid, BATCH["x_0"][0], range(100))
    # by its ODE a Gaussian x_0 is a linear function of z: x_0 = mean + r z
    start = torch.stack([torch.zeros(2, 1), torch.ones(2, 1)]).double()
    ends = sample(teacher, UniPC(p=3), start * schedule.sigma(grid[0]), grid)
    alpha, sigma = schedule.alpha(grid[0]), schedule.sigma(grid[0])
    noises = (start * sigma - alpha * ends) / sigma
    gain = (ends[1] - ends[0]) / (noises[1] - noises[0])
    mean = ends[0] - gain * noises[0]
    torch.testing.assert_close(pairs.rows["x_0"], mean + gain * pairs.rows["noise"])
    # the flow scales by the ratio of the deviations at its ends
    scale = GAUSSIAN.variances.sqrt() / (alpha**2 * GAUSSIAN.variances + sigma**2).sqrt()
    torch.testing.assert_close(gain, sigma * scale / (1 - alpha * scale), rtol=1e-3, atol=0)

    def answer(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return mean + gain * (x - alpha * mean) / (alpha * gain + sigma)

    student = Rows(schedule, answer)
    batch = torch.utils.data.default_collate([pairs[i] for i in range(64)])
    assert Reflow(t_min=0.01)(student, batch, seeded()).max() < 1e-12
    assert Reflow(t_min=0.01)(teacher, batch, seeded()).mean() > 1e-3
    x = alpha * batch["x_0"] + sigma * batch["noise"]
    torch.testing.assert_close(sample(student, Ddim(), x, grid[[0, -1]]), batch["x_0"])
    assert straightness(student, x, grid).max() < 1e-12


def test_straightness_of_a_gaussian() -> None:
    # dx/dt = n'(t) x_1 with n(t)^2 = (1 - t)^2 c + t^2, and the line's is (1 - sqrt c) x_1
    schedule, c = RectifiedFlow(), 0.25
    exact = Gaussian(torch.zeros(1, dtype=torch.float64), torch.tensor([c]).double())
    t = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    slope = (t - (1 - t) * c) / ((1 - t) ** 2 * c + t**2).sqrt()
    expected = (slope - (1 - math.sqrt(c))).square().mean()
    x = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    found = straightness(ExactDenoiser(exact, schedule), x, uniform(2000))
    torch.testing.assert_close(found, expected * x[:, 0] ** 2, rtol=5e-3, atol=0)


def test_pairs_belong_to_their_seeds_and_conditions() -> None:
    class Labelled(FromX0):
        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            assert cond is not None and cond.vector is not None
            return 0.5 * x_t + cond.vector[..., None]

    like, labels = torch.zeros(2, 3), torch.arange(10.0)[:, None].expand(10, 2)
    model, given = Labelled(nn.Identity(), Cosine()), {"vector": labels.contiguous()}
    both = [
        couple(model, Ddim(), uniform(2), like, range(10), conditions=given, batch_size=size)
        for size in (3, 10)
    ]
    for name in ("x_0", "noise", "vector"):
        torch.testing.assert_close(both[0].rows[name], both[1].rows[name])
    assert len(both[0]) == 10 and both[0].rows["x_0"].shape == (10, 2, 3)
    torch.testing.assert_close(both[0][13]["vector"], labels[3])
    torch.testing.assert_close(both[0][13]["x_0"], both[1].rows["x_0"][3])


def test_a_coupling_needs_a_deterministic_sampler() -> None:
    with pytest.raises(ValueError, match="deterministic"):
        couple(FromV(Linear(), Cosine()), Ddim(1.0), uniform(2), BATCH["x_0"][0], range(2))
