"""Consistency: zero where the teacher's solver ends, positive elsewhere, gradients where due."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core import Condition, Cosine, Ddim, FromV, FromX0, Heun, Schedule, karras, uniform
from diff_core.distil import ConsistencyDistillation, WithTarget, pseudo_huber, squared
from diff_core.exact import ExactDenoiser, Gaussian, Mixture
from students import BATCH, GAUSSIAN, MIXTURE, SCHEDULES, Linear, Rows, seeded, walk


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("exact", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
def test_consistency_loss_vanishes_where_the_teachers_solver_ends(
    schedule: Schedule, order: int, exact: Gaussian | Mixture
) -> None:
    teacher, times = ExactDenoiser(exact, schedule), karras(schedule, 6, sigma_min=0.1)
    objective = ConsistencyDistillation(times, teacher, order=order)
    student = walk(teacher, Heun() if order == 2 else Ddim(), times)
    assert objective(student, BATCH, seeded()).max() < 1e-20
    other = walk(teacher, Ddim() if order == 2 else Heun(), times)
    assert objective(other, BATCH, seeded()).mean() > 1e-6


@pytest.mark.parametrize(("order", "slope"), [(1, 4), (2, 6)])
def test_consistency_loss_of_the_exact_function_falls_with_the_solvers_order(
    order: int, slope: int
) -> None:
    schedule, zero = Cosine(), torch.zeros((), dtype=torch.float64)
    student = Rows(schedule, lambda x, t: GAUSSIAN.flow(schedule, x, t, zero))
    teacher = ExactDenoiser(GAUSSIAN, schedule)

    def loss(steps: int) -> float:
        # away from both ends, where Heun's method falls back to DDIM
        times = torch.cat([uniform(steps, 0.8, 0.3), zero[None]])
        objective = ConsistencyDistillation(times, teacher, order=order)
        values = objective(student, BATCH | {"x_0": BATCH["x_0"].repeat(20, 1, 1)}, seeded())
        k = torch.randint(len(times) - 1, (len(values),), generator=seeded())
        return values[k < steps].mean().item()

    # a step's error is of one order more, and the loss is its square
    assert math.log2(loss(10) / loss(20)) == pytest.approx(slope, abs=0.35)


def test_consistency_training_takes_the_data_for_the_teacher() -> None:
    asked: list[tuple[Tensor, Tensor]] = []

    class Recorder(FromV):
        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            asked.append((x_t, t))
            return super().forward(x_t, t, cond)

    schedule, x_0 = Cosine(), BATCH["x_0"]
    ConsistencyDistillation(uniform(5))(Recorder(Linear(), schedule), BATCH, seeded())
    (x_s, s), (x_t, t) = asked
    torch.testing.assert_close(t - s, torch.full_like(t, 0.2))

    def noise(x: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = (f(time)[:, None, None] for f in (schedule.alpha, schedule.sigma))
        return (x - alpha * x_0) / sigma

    inner = s > 0
    torch.testing.assert_close(noise(x_t, t)[inner], noise(x_s, s)[inner])
    torch.testing.assert_close(x_s[~inner], x_0[~inner])


def test_consistency_gradient_is_the_students_alone() -> None:
    student = FromV(Linear(), Cosine())
    teacher = FromV(Linear(), Cosine())
    objective = ConsistencyDistillation(uniform(4), teacher)
    objective(student, BATCH, seeded()).mean().backward()
    once = [p.grad.clone() for p in student.parameters() if p.grad is not None]
    assert all(p.grad is None for p in teacher.parameters())
    # the same target held by a separate network gives the same gradient
    pair = WithTarget(FromV(Linear(), Cosine()), decay=0.0)
    objective(pair, BATCH, seeded()).mean().backward()
    assert all(p.grad is None for p in pair.target.parameters())
    for mine, other in zip(once, pair.denoiser.parameters(), strict=True):
        torch.testing.assert_close(mine, other.grad)


def test_target_follows_the_student_in_training_only() -> None:
    pair = WithTarget(FromX0(Linear(), Cosine()), decay=0.9)
    first, second = (n.get_parameter("network.gain") for n in (pair.target, pair.denoiser))
    second.data.fill_(1.7)
    objective = ConsistencyDistillation(uniform(4), pair.denoiser)
    pair.eval()
    objective(pair, BATCH, seeded())
    assert first.item() == pytest.approx(0.7)
    pair.train()
    objective(pair, BATCH, seeded())
    assert first.item() == pytest.approx(0.8)
    x, t = BATCH["x_0"], torch.tensor(0.5, dtype=torch.float64)
    torch.testing.assert_close(pair(x, t), pair.denoiser(x, t))
    grid = torch.tensor([0.5], dtype=torch.float64)
    torch.testing.assert_close(pair.on_grid(grid, x)(x, 0), pair(x, t))


def test_distances() -> None:
    x, y = torch.randn(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(squared(x, y), (x - y).square().mean(1))
    torch.testing.assert_close(
        pseudo_huber(0.5)(x, y), ((x - y).square().mean(1) + 0.25).sqrt() - 0.5
    )
