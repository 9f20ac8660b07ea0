"""Progressive distillation: two steps of the teacher in one, and its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diff_core import Cosine, Ddim, FromV, Schedule, karras, uniform
from diff_core.distil import ProgressiveDistillation, flow_weight, truncated_snr_weight
from diff_core.exact import ExactDenoiser, Gaussian, Mixture
from diff_core.sample import sample
from diff_core.schedule import log_snr
from students import BATCH, GAUSSIAN, MIXTURE, SCHEDULES, Linear, Rows, seeded


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("exact", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
def test_progressive_student_does_two_steps_in_one(
    schedule: Schedule, exact: Gaussian | Mixture
) -> None:
    teacher, times = ExactDenoiser(exact, schedule), karras(schedule, 6, sigma_min=0.1)
    halved = times[::2]

    def answer(x: Tensor, t: Tensor) -> Tensor:
        # algorithm 2 of the paper as it is written
        k = int((halved - t).abs().argmin())
        end = sample(teacher, Ddim(), x, times[2 * k : 2 * k + 3])
        ratio = schedule.sigma(halved[k + 1]) / schedule.sigma(halved[k])
        alpha, alpha_end = schedule.alpha(halved[k]), schedule.alpha(halved[k + 1])
        return (end - ratio * x) / (alpha_end - ratio * alpha)

    student, objective = Rows(schedule, answer), ProgressiveDistillation(teacher, times)
    assert objective(student, BATCH, seeded()).max() < 1e-18
    assert objective(teacher, BATCH, seeded()).mean() > 1e-4
    x = torch.randn(3, 2, 1, dtype=torch.float64) * schedule.sigma(times[0])
    torch.testing.assert_close(
        sample(student, Ddim(), x, halved), sample(teacher, Ddim(), x, times)
    )


def test_progressive_gradient_is_the_students_alone() -> None:
    model = FromV(Linear(), Cosine())
    objective = ProgressiveDistillation(model, uniform(4))
    before = objective(model, BATCH, seeded()).detach()
    with torch.no_grad():
        model.get_parameter("network.gain").add_(1.0)  # the objective holds a copy
    fresh = FromV(Linear(), Cosine())
    torch.testing.assert_close(objective(fresh, BATCH, seeded()).detach(), before)
    objective(fresh, BATCH, seeded()).mean().backward()
    assert all(p.grad is not None for p in fresh.parameters())
    assert all(p.grad is None for p in objective.teacher.parameters())


def test_weights() -> None:
    level = torch.linspace(-3, 3, 7, dtype=torch.float64)
    expected = torch.maximum(torch.exp(2 * level), torch.ones_like(level))
    torch.testing.assert_close(truncated_snr_weight(level), expected)
    # the flow's own error: u = eps - x_0
    schedule, t = Cosine(), torch.tensor([0.2, 0.7], dtype=torch.float64)
    guess, x_t = torch.randn(2, 2, dtype=torch.float64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    flow = (x_t - alpha * guess) / sigma - guess
    truth = x_t / sigma  # of x_0 = 0
    torch.testing.assert_close(
        flow_weight(log_snr(schedule, t)) * guess**2, (flow - truth).square()
    )
