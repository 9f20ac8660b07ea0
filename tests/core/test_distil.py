"""Few-step objectives: zero at the exact answer, positive elsewhere, gradients where due."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Ddim,
    Denoiser,
    Edm,
    FromV,
    FromX0,
    Heun,
    RectifiedFlow,
    Sampler,
    Schedule,
    VariancePreserving,
    karras,
    uniform,
)
from diff_core.distil import (
    AdversarialDistillation,
    ConsistencyDistillation,
    ProgressiveDistillation,
    Reflow,
    WithDiscriminator,
    WithTarget,
    couple,
    flow_weight,
    pseudo_huber,
    squared,
    straightness,
    truncated_snr_weight,
)
from diff_core.evaluate import energy_distance
from diff_core.exact import ExactDenoiser, Gaussian, Mixture
from diff_core.sample import UniPC, sample
from diff_core.schedule import log_snr

SCHEDULES = [VariancePreserving(), Cosine(), RectifiedFlow(), Edm(sigma_max=20.0)]
GAUSSIAN = Gaussian(
    torch.tensor([[0.3], [-1.0]], dtype=torch.float64),
    torch.tensor([[0.5], [2.0]], dtype=torch.float64),
)
MIXTURE = Mixture(
    *(torch.tensor(p, dtype=torch.float64) for p in ([0.3, 0.7], [-1.0, 0.8], [0.3, 0.4]))
)
BATCH = {"x_0": GAUSSIAN.sample(64, torch.Generator().manual_seed(5))}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


class Rows(Denoiser):
    """A student that answers every row by a function of (x_t, t), with t of shape ()."""

    def __init__(self, schedule: Schedule, answer: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(schedule)
        self.answer = answer

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        rows = zip(x_t, t.expand(len(x_t)), strict=True)
        return torch.cat([self.answer(x[None], time) for x, time in rows])


class Linear(nn.Module):
    """A network of two numbers, for gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, object] = {}
        self.gain = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
        self.shift = nn.Parameter(torch.tensor(-0.2, dtype=torch.float64))

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return self.gain * x + self.shift * time.reshape(-1, *(1,) * (x.ndim - 1))


def walk(teacher: Denoiser, sampler: Sampler, times: Tensor) -> Rows:
    """The student that knows where `sampler` takes x_t on the rest of the grid."""

    def answer(x: Tensor, t: Tensor) -> Tensor:
        k = int((times - t).abs().argmin())
        return x if k == len(times) - 1 else sample(teacher, sampler, x, times[k:])

    return Rows(teacher.schedule, answer)


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


def player() -> WithDiscriminator:
    return WithDiscriminator(FromX0(Linear(), Cosine()), Linear())


def gradients(model: WithDiscriminator, objective: AdversarialDistillation) -> list[Tensor]:
    model.zero_grad()
    objective(model, BATCH, seeded()).mean().backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def test_each_player_has_gradients_of_its_own_loss_alone() -> None:
    times, teacher = uniform(2), FromX0(Linear(), Cosine())
    plain = gradients(player(), AdversarialDistillation(times, penalty=0.0))
    assert len(plain) == 4
    punished = gradients(player(), AdversarialDistillation(times, penalty=3.0))
    taught = gradients(player(), AdversarialDistillation(times, teacher, penalty=0.0))
    # the penalty is the discriminator's affair, the teacher the student's
    for a, b, c in zip(plain[:2], punished[:2], taught[:2], strict=True):
        torch.testing.assert_close(a, b)
        assert (a - c).abs() > 1e-4
    for a, b in zip(plain[2:], taught[2:], strict=True):
        torch.testing.assert_close(a, b)
    assert (plain[2] - punished[2]).abs() > 1e-4
    assert all(p.grad is None for p in teacher.parameters())


def test_a_judge_of_the_opposite_opinion_turns_the_student_round() -> None:
    # student f = x_s, judge Phi = a x_t
    model, objective = player(), AdversarialDistillation(uniform(1), penalty=0.0)
    for name, value in (("gain", 1.0), ("shift", 0.0)):
        model.denoiser.get_parameter(f"network.{name}").data.fill_(value)
    pushes, losses = [], []
    for a in (0.5, -0.5):
        model.discriminator.get_parameter("gain").data.fill_(a)
        student, _, _, offset = gradients(model, objective)
        pushes.append(student)
        losses.append(objective(model, BATCH, seeded()))
        assert abs(offset) < 1e-15  # real and fake are judged at one time
    assert pushes[0] * pushes[1] < 0
    # h(u) + h(-u), of both players, is even in u and so in a
    torch.testing.assert_close(*losses)


def test_penalty_is_the_squared_slope_at_real_and_fake() -> None:
    # Phi is the mean of gain x + shift t over D = 2 entries: its slope is gain / 2 at each
    times, model = uniform(1), player()
    free, held = (
        AdversarialDistillation(times, penalty=penalty)(model, BATCH, seeded())
        for penalty in (0.0, 3.0)
    )
    slope = model.discriminator.get_parameter("gain") / 2
    torch.testing.assert_close(held - free, (3.0 * 2 * slope**2).expand(64))
    with torch.no_grad():
        AdversarialDistillation(times)(model, BATCH, seeded())


def test_losses_of_a_constant_judge_and_of_a_perfect_student() -> None:
    # Phi = 0 everywhere: h(0) twice, no slope; what is left is the teacher's share
    model = player()
    for parameter in model.discriminator.parameters():
        parameter.data.zero_()
    times = uniform(1)
    loss = AdversarialDistillation(times)(model, BATCH, seeded())
    torch.testing.assert_close(loss, torch.full_like(loss, 2 * math.log(2)))
    # a certain x_0: student and teacher both know it
    exact = Gaussian(GAUSSIAN.mean, torch.zeros_like(GAUSSIAN.mean))
    teacher = ExactDenoiser(exact, Cosine())
    sure = WithDiscriminator(teacher, model.discriminator)
    loss = AdversarialDistillation(times, teacher)(sure, BATCH, seeded())
    torch.testing.assert_close(loss, torch.full_like(loss, 2 * math.log(2)))
    off = WithDiscriminator(Rows(Cosine(), lambda x, t: exact.mean[None] + 1), model.discriminator)
    assert (AdversarialDistillation(times, teacher)(off, BATCH, seeded()) > loss).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: ConsistencyDistillation(uniform(4, 1.0, 0.1), m), "times ends at 0.1"),
        (lambda m: ConsistencyDistillation(uniform(4).flip(0), m), "decreasing|expected it in"),
        (lambda m: ConsistencyDistillation(uniform(4), m, order=3), "order is 3"),
        (lambda m: ProgressiveDistillation(m, uniform(3)), "3 steps; expected an even"),
        (lambda m: Reflow(t_min=1.0), "t_min is 1.0"),
        (lambda m: AdversarialDistillation(uniform(1), penalty=-1.0), "penalty is -1.0"),
        (lambda m: AdversarialDistillation(uniform(1), teaching=math.nan), "teaching is nan"),
        (lambda m: AdversarialDistillation(uniform(1), t_min=1.0), "t_min is 1.0"),
        (lambda m: WithTarget(m, decay=1.0), "decay is 1.0"),
        (lambda m: straightness(m, BATCH["x_0"], uniform(2, 1.0, 0.5)), "times ends at 0.5"),
        (lambda m: Reflow()(m, BATCH, seeded()), "expected noise"),
        (lambda m: AdversarialDistillation(uniform(1))(m, BATCH, seeded()), "is a FromV"),
        (
            lambda m: ProgressiveDistillation(FromV(Linear(), RectifiedFlow()), uniform(2))(
                m, BATCH, seeded()
            ),
            "expected the teacher's",
        ),
    ],
)
def test_misuse_is_named(make: Callable[[Denoiser], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(FromV(Linear(), Cosine()))


def test_a_coupling_needs_a_deterministic_sampler() -> None:
    with pytest.raises(ValueError, match="deterministic"):
        couple(FromV(Linear(), Cosine()), Ddim(1.0), uniform(2), BATCH["x_0"][0], range(2))


def test_energy_distance() -> None:
    # across: 0, 3, 1, 2; within: 1 and 3
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [3.0]])
    assert energy_distance(x, y) == pytest.approx(2 * 1.5 - 1 - 3)
    # N(0, 1) and N(m, 1): E|N(m, 2)| is that of a folded normal
    m, draws = 1.5, torch.randn(2, 4000, 1, dtype=torch.float64)
    across = 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * math.erf(m / 2)
    expected = 2 * across - 4 / math.sqrt(math.pi)
    assert energy_distance(draws[0], draws[1] + m) == pytest.approx(expected, rel=0.1)
    with pytest.raises(ValueError, match="1 rows of 1 entries"):
        energy_distance(x[:1], y)
