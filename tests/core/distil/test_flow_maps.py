"""Flow maps: the exact one of a mixture is where each objective has nothing to teach."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Ddim,
    FlowMap,
    FromFlow,
    FromV,
    Midpoint,
    RectifiedFlow,
    Schedule,
    uniform,
)
from diff_core.distil import (
    ContinuousConsistency,
    MeanFlow,
    Shortcut,
    pseudo_huber,
)
from diff_core.distil.tangent import along, flow_time
from diff_core.exact import ExactDenoiser
from diff_core.io import Card, load, save
from diff_core.nn import DiT, UNet
from diff_core.sample import sample
from diff_core.train import Objective
from students import MIXTURE, SCHEDULES, seeded

DATA = {"x_0": MIXTURE.sample((256, 1), torch.Generator().manual_seed(5))}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)


class Flow(FlowMap):
    """The exact flow map of `MIXTURE`, with its derivatives; `wrong` is added to its estimates."""

    def __init__(self, schedule: Schedule, wrong: float = 0.0) -> None:
        super().__init__(ExactDenoiser(MIXTURE, schedule))
        self.wrong = nn.Parameter(torch.tensor(wrong, dtype=torch.float64))

    def towards(self, x_t: Tensor, t: Tensor, s: Tensor, cond: Condition | None = None) -> Tensor:
        t, s = (time.expand(len(x_t))[:, None] for time in (t, s))
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        end, noise = self.schedule.alpha(s), self.schedule.sigma(s)
        with torch.no_grad():
            x_s = MIXTURE.flow(self.schedule, x_t.detach(), t.detach(), s)
        # bisection has no derivative; a step of Newton's method from its end has the right one
        above = _below(x_s, end, noise) - _below(x_t, alpha, sigma)
        x_s = x_s - above / _log_density(x_s, end, noise).exp()
        ratio = noise / sigma
        whole = (x_s - ratio * x_t) / torch.where(s < t, end - ratio * alpha, 1.0)
        return torch.where(s < t, whole, self.denoiser(x_t, t[:, 0])) + self.wrong


class Ends(Flow):
    """The exact consistency function."""

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.towards(x_t, t, torch.zeros_like(t))


def _below(x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The probability below x."""
    deviation = torch.hypot(alpha * MIXTURE.deviations, sigma)
    score = (x - alpha * MIXTURE.means) / deviation
    return (MIXTURE.weights * 0.5 * torch.erfc(-score / math.sqrt(2))).sum(-1, keepdim=True)


def _log_density(x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    deviation = torch.hypot(alpha * MIXTURE.deviations, sigma)
    score = (x - alpha * MIXTURE.means) / deviation
    terms = MIXTURE.weights.log() - deviation.log() - 0.5 * score**2 - 0.5 * math.log(2 * math.pi)
    return terms.logsumexp(-1, keepdim=True)


@each_schedule
def test_ddim_with_the_exact_map_is_exact_on_every_grid(schedule: Schedule) -> None:
    x = schedule.sigma(torch.ones(())) * torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for times in (uniform(1), uniform(3), torch.tensor([1.0, 0.7, 0.2])):
        found = sample(Flow(schedule), Ddim(), x, times)
        exact = MIXTURE.flow(schedule, x, times[0].double(), times[-1].double())
        torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="calls between the times of its grid"):
        sample(Flow(schedule), Midpoint(), x, uniform(3))


def teacher(schedule: Schedule) -> ExactDenoiser:
    return ExactDenoiser(MIXTURE, schedule)


def distilled(schedule: Schedule) -> dict[str, Objective]:
    """Objectives whose loss with an exact teacher is 0 at the exact map, row by row."""
    exact = teacher(schedule)
    return {
        "mean flow": MeanFlow(exact, t_min=0.05),
        "mean flow, huber": MeanFlow(exact, distance=pseudo_huber(0.1), same=0.2, t_min=0.05),
        "consistency": ContinuousConsistency(exact, t_min=0.05),
        "consistency, plain": ContinuousConsistency(exact, limit=None, t_min=0.05),
    }


@each_schedule
@pytest.mark.parametrize("name", list(distilled(Cosine())))
def test_loss_with_an_exact_teacher_is_zero_at_the_exact_map(
    schedule: Schedule, name: str
) -> None:
    objective = distilled(schedule)[name]

    consistency = "consistency" in name
    student = Ends(schedule) if consistency else Flow(schedule)
    assert objective(student, DATA, seeded()).max() < 1e-7
    # a posterior mean is no consistency function
    wrong = teacher(schedule) if consistency else Flow(schedule, 0.1)
    assert objective(wrong, DATA, seeded()).mean() > 1e-3


@each_schedule
def test_doubling_the_steps_of_the_exact_map_teaches_nothing(schedule: Schedule) -> None:
    """But for the shortest, whose halves go along the velocity: wrong by the order of Euler's."""

    def loss(steps: int, wrong: float = 0.0) -> tuple[Tensor, Tensor]:
        objective = Shortcut(teacher(schedule), steps=steps, doubled=1.0)
        values = objective(Flow(schedule, wrong), DATA, seeded())
        generator = seeded()
        for _ in range(2):
            torch.rand(len(values), generator=generator)
        level = torch.randint(steps.bit_length() - 1, (len(values),), generator=generator)
        shortest = level == steps.bit_length() - 2
        return values[~shortest], values[shortest]

    longer, shortest = loss(16)
    assert longer.max() < 1e-7 < shortest.mean()
    assert loss(128)[1].mean() < 0.3 * shortest.mean()


@pytest.mark.parametrize(
    "objective",
    [
        MeanFlow(t_min=0.1),
        MeanFlow(same=0.0, t_min=0.1),
        Shortcut(steps=512, doubled=0.5, t_min=0.1),
        ContinuousConsistency(limit=None, t_min=0.1),
    ],
    ids=["mean flow", "mean flow, none alike", "shortcut", "consistency"],
)
@pytest.mark.parametrize("schedule", [Cosine(), RectifiedFlow()], ids=repr)
def test_gradient_on_data_vanishes_at_the_exact_map(
    objective: Objective, schedule: Schedule
) -> None:
    """In the mean over the data, for a change of the estimates that depends on x and t."""

    class Bent(Flow):
        def towards(
            self, x_t: Tensor, t: Tensor, s: Tensor, cond: Condition | None = None
        ) -> Tensor:
            exact = super().towards(x_t, t, s) - self.wrong
            return exact + self.wrong * (t * x_t[:, 0]).sin()[:, None] * t[:, None]

        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            ends = isinstance(objective, ContinuousConsistency)
            return self.towards(x_t, t, torch.zeros_like(t) if ends else t)

    def slopes(wrong: float) -> Tensor:
        batch = {"x_0": MIXTURE.sample((6000, 1), torch.Generator().manual_seed(7))}
        student = Bent(schedule, wrong)
        parts = [{"x_0": part} for part in batch["x_0"].split(500)]
        generator = seeded()
        return torch.stack(
            [
                torch.autograd.grad(objective(student, p, generator).mean(), student.wrong)[0]
                for p in parts
            ]
        )

    found = slopes(0.0)
    error = found.std() / len(found) ** 0.5
    assert found.mean().abs() < 4 * error
    assert slopes(0.3).mean() > 5 * error


@each_schedule
def test_derivative_along_the_path_is_a_difference_quotient(schedule: Schedule) -> None:
    torch.manual_seed(0)
    network = DiT(1, 1, 1, width=16, patch=2, depth=1, heads=2, vector_dim=6).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    student = FlowMap(FromV(network, schedule))
    t, s = torch.tensor([0.3, 0.7], dtype=torch.float64), torch.tensor([0.1, 0.0]).double()
    x, estimate = torch.randn(2, 2, 1, 8, dtype=torch.float64)
    value, change = along(lambda y, u: student.towards(y, u, s), schedule, x, t, estimate)
    torch.testing.assert_close(value, student.towards(x, t, s))
    tau = flow_time(schedule, t)

    def at(step: float) -> Tensor:
        moved = tau + step
        time = schedule.time(torch.log((1 - moved) / moved))
        scale = schedule.alpha(t) + schedule.sigma(t)
        z = x / scale[:, None, None]
        z = z + step * (z - estimate) / tau[:, None, None]
        scale = schedule.alpha(time) + schedule.sigma(time)
        return student.towards(scale[:, None, None] * z, time, s)

    with torch.no_grad():
        quotient = (at(1e-5) - at(-1e-5)) / 2e-5
    torch.testing.assert_close(change, quotient, rtol=1e-4, atol=1e-5)


def test_the_step_is_told_after_the_condition(tmp_path: Path) -> None:
    network = UNet(1, 1, 1, (8,), blocks=1, embedding=8, vector_dim=8)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    student = FlowMap(FromFlow(network, RectifiedFlow()))
    x, t, s = torch.randn(2, 1, 16), torch.tensor(0.7), torch.tensor(0.2)
    cond = Condition(vector=torch.randn(2, 2))
    angle = 0.5 * torch.tensor([0.5, 1.0, 2.0]) * math.pi
    told = torch.cat([angle.cos(), angle.sin()]).expand(2, -1)
    plain = FromFlow(network, RectifiedFlow())
    expected = plain(x, t, Condition(vector=torch.cat([cond.vector, told], 1)))
    torch.testing.assert_close(student.towards(x, t, s, cond), expected)
    torch.testing.assert_close(student(x, t, cond), student.towards(x, t, t, cond))
    save(tmp_path / "map.safetensors", student, Card("map"))
    again, _ = load(tmp_path / "map.safetensors")
    torch.testing.assert_close(again.towards(x, t, s, cond), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanFlow(same=1.5), "same is 1.5"),
        (lambda: MeanFlow(t_min=0.0), "t_min is 0.0"),
        (lambda: Shortcut(steps=12), "steps is 12; expected a power of 2"),
        (lambda: Shortcut(doubled=-0.1), "doubled is -0.1"),
        (lambda: Shortcut(t_min=1.0), "t_min is 1.0"),
        (lambda: ContinuousConsistency(limit=0.0), "limit is 0.0"),
        (lambda: ContinuousConsistency(t_min=0.0), "t_min is 0.0"),
        (
            lambda: MeanFlow()(teacher(Cosine()), DATA, seeded()),
            "is a ExactDenoiser; expected a FlowMap",
        ),
        (
            lambda: Shortcut()(teacher(Cosine()), DATA, seeded()),
            "is a ExactDenoiser; expected a FlowMap",
        ),
        (
            lambda: MeanFlow(teacher(Cosine()))(Flow(RectifiedFlow()), DATA, seeded()),
            "expected the teacher's",
        ),
    ],
)
def test_misuse_is_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
