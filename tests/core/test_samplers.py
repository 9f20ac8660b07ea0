"""Samplers: their order against exact flows, their algebra, and their agreement with diffusers."""

from __future__ import annotations

import math
from collections.abc import Callable

import diffusers
import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Denoiser,
    Edm,
    FromEps,
    FromFlow,
    FromV,
    FromX0,
    Keyed,
    Preconditioned,
    RectifiedFlow,
    Schedule,
    Tabulated,
    VarianceExploding,
    VariancePreserving,
    log_snr,
    uniform,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Gaussian, Mixture
from diff_core.sample import (
    Ancestral,
    Consistency,
    Ddim,
    Deis,
    Dpm2,
    DpmSolverPP2M,
    DpmSolverPP2S,
    DpmSolverPP3M,
    DpmSolverPP3S,
    Euler,
    Heun,
    HeunChurn,
    Lms,
    PredictorCorrector,
    Sampler,
    UniPC,
    sample,
)

ODE: list[Sampler] = [
    Ddim(),
    Euler(),
    Heun(),
    Dpm2(),
    DpmSolverPP2S(),
    DpmSolverPP3S(),
    DpmSolverPP2M(),
    DpmSolverPP2M(correction="heun"),
    DpmSolverPP3M(),
    Deis(order=2),
    Deis(order=3),
    Lms(order=2),
    Lms(order=3),
    Lms(order=4),
    UniPC(p=2),
    UniPC(p=3),
]
SDE: list[Sampler] = [
    Ancestral(),
    Ddim(eta=1.0),
    Ddim(eta=0.6),
    DpmSolverPP2M(eta=1.0),
    DpmSolverPP2M(correction="heun", eta=0.5),
    DpmSolverPP3M(eta=1.0),
    HeunChurn(s_churn=5.0),
    PredictorCorrector(),
    PredictorCorrector(predictor=Ancestral(), corrections=2),
]
ALL: list[Sampler] = [*ODE, *SDE, Ancestral(temperature=0.7), HeunChurn(), Consistency()]
each_ode = pytest.mark.parametrize("sampler", ODE, ids=repr)
each = pytest.mark.parametrize("sampler", ALL, ids=repr)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


MIXTURE = Mixture(tensor([0.3, 0.7]), tensor([-1.0, 0.8]), tensor([0.3, 0.4]))


class Function(Denoiser):
    """A denoiser from a plain function of x and t."""

    def __init__(self, schedule: Schedule, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(schedule)
        self.function = function

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.function(x_t, t)


class Wave(nn.Module):
    """A smooth network that mixes x and time."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return torch.tanh(x) * 0.9 + torch.sin(3 * time).reshape(-1, *(1,) * (x.ndim - 1)) * 0.1


def slopes(errors: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]


@each_ode
@pytest.mark.parametrize(
    "schedule",
    [VariancePreserving(), Cosine(), VarianceExploding(), RectifiedFlow()],
    ids=lambda s: type(s).__name__,
)
def test_order_against_the_exact_flow(sampler: Sampler, schedule: Schedule) -> None:
    start, stop = (schedule.time(tensor(level)) for level in (-2.5, 3.0))
    base = schedule.sigma(start) * torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    exact = MIXTURE.flow(schedule, base, start, stop)
    denoiser = ExactDenoiser(MIXTURE, schedule)
    errors: list[float] = []
    for steps in (64, 128, 256, 512):
        times = uniform_log_snr(schedule, steps, start.item(), stop.item())
        got = sample(denoiser, sampler, base, times)
        errors.append((got - exact).square().mean().sqrt().item())
    assert errors[-1] > 1e-11
    assert all(abs(slope - sampler.order) < 0.2 for slope in slopes(errors)), (
        errors,
        slopes(errors),
    )


@pytest.mark.parametrize("sampler", SDE, ids=repr)
@pytest.mark.parametrize("schedule", [VariancePreserving(), Edm(sigma_max=10)], ids=repr)
def test_weak_order_on_a_gaussian_without_sampling(sampler: Sampler, schedule: Schedule) -> None:
    # every sampler is affine on a Gaussian: with unit vectors as noise, row 0 carries the start
    # and each other row one of the noises, so that the variance of the output is a sum of squares
    gaussian = Gaussian(tensor([0.0]), tensor([0.25]))
    denoiser = ExactDenoiser(gaussian, schedule)
    start, stop = (schedule.time(tensor(level)) for level in (-2.0, 2.0))

    def variance_at(t: Tensor) -> float:
        return (schedule.alpha(t) ** 2 * 0.25 + schedule.sigma(t) ** 2).item()

    errors: list[float] = []
    for steps in (128, 256, 512, 1024):
        x = torch.zeros(3 * steps + 1, 1, dtype=torch.float64)
        x[0] = math.sqrt(variance_at(start))
        rows: dict[int, int] = {}

        def unit(k: int, like: Tensor, rows: dict[int, int] = rows) -> Tensor:
            noise = torch.zeros_like(like)
            noise[rows.setdefault(k, len(rows) + 1)] = 1
            return noise

        times = uniform_log_snr(schedule, steps, start.item(), stop.item())
        got = sample(denoiser, sampler, x, times, noise=unit).square().sum().item()
        errors.append(abs(got - variance_at(stop)))
    assert all(abs(slope - sampler.order) < 0.2 for slope in slopes(errors)), (
        errors,
        slopes(errors),
    )


def test_ancestral_equals_ddim_of_eta_one(schedule: Schedule) -> None:
    times = uniform(7)
    assert Ancestral().plan(schedule, times) == Ddim(eta=1.0).plan(schedule, times)
    assert Ancestral(temperature=0).plan(schedule, times) != Ddim().plan(schedule, times)


def test_ancestral_step_is_the_conditional_of_the_joint_gaussian(schedule: Schedule) -> None:
    # x_s and x_t given x_0 are jointly Gaussian: Cov(x_s, x_t) = (alpha_t / alpha_s) sigma_s^2
    times = tensor([0.8, 0.3])
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    plan = Ancestral(temperature=0.5).plan(schedule, times)
    covariance = alpha[0] / alpha[1] * sigma[1] ** 2
    gain = covariance / sigma[0] ** 2
    variance = sigma[1] ** 2 - gain * covariance
    expected = [gain, alpha[1] - gain * alpha[0], 0.5 * variance.sqrt()]
    assert plan.coefficients[0] == pytest.approx([value.item() for value in expected], rel=1e-9)


def test_euler_is_ddim(schedule: Schedule) -> None:
    x = torch.randn(2, 1, 8, dtype=torch.float64)
    denoiser = FromX0(Wave(), schedule)
    torch.testing.assert_close(
        sample(denoiser, Euler(), x, uniform(9)), sample(denoiser, Ddim(), x, uniform(9))
    )


def test_heun_is_the_trapezoidal_rule_of_the_paper(path: Schedule) -> None:
    # Karras et al., algorithm 1, in y = x / alpha and rho = sigma / alpha
    s, e = tensor([0.7, 0.4])
    denoiser = FromX0(Wave(), path)
    x = torch.randn(2, 1, 8, dtype=torch.float64)

    def slope(y: Tensor, t: Tensor) -> Tensor:
        estimate = denoiser(y * path.alpha(t), t)
        return (y - estimate) * path.alpha(t) / path.sigma(t)

    rho = path.sigma(torch.stack([s, e])) / path.alpha(torch.stack([s, e]))
    y, step = x / path.alpha(s), rho[1] - rho[0]
    first = slope(y, s)
    second = slope(y + step * first, e)
    expected = path.alpha(e) * (y + step * (first + second) / 2)
    got = sample(denoiser, Heun(), x, torch.stack([s, e]))
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("correction", ["midpoint", "heun"])
def test_multistep_on_polynomials_of_the_log_snr(path: Schedule, correction: str) -> None:
    # D a polynomial of lambda, whatever x: x_s = sigma_s/sigma_t x + sigma_s int e^l D(l) dl has a
    # closed form. The exact line ("heun") leaves nothing of degree 1; the paper's ("midpoint")
    # leaves alpha_s (h - (1 - e^-h) - h (1 - e^-h) / 2) in every step but the first.
    start, stop = (path.time(tensor(level)).item() for level in (-1.0, 2.0))
    times = uniform_log_snr(path, 6, start, stop)
    x = torch.randn(1, 1, dtype=torch.float64)
    sampler = DpmSolverPP2M(correction=correction)
    level = sampler.plan(path, times).log_snr
    h = (level[-1] - level[0]) / 6
    alpha, sigma = path.alpha(times), path.sigma(times)
    for degree in (0, 1):

        def polynomial(x: Tensor, t: Tensor, degree: int = degree) -> Tensor:
            return (2.0 + 0.7 * degree * log_snr(path, t)).expand(x.shape)

        def antiderivative(lam: float, degree: int = degree) -> float:
            return math.exp(lam) * (2.0 + 0.7 * degree * (lam - 1))

        expected = sigma[-1] / sigma[0] * x + sigma[-1] * (
            antiderivative(level[-1]) - antiderivative(level[0])
        )
        missing = 0.0
        if degree == 1:
            # the first step takes D as constant: h - (1 - e^-h) is lost
            exact_line, line = h + math.expm1(-h), -0.5 * h * math.expm1(-h)
            lost = [exact_line] + [exact_line - line if correction == "midpoint" else 0.0] * 5
            missing = 0.7 * sum(
                alpha[k + 1].item() * sigma[-1].item() / sigma[k + 1].item() * part
                for k, part in enumerate(lost)
            )
        got = sample(Function(path, polynomial), sampler, x, times)
        torch.testing.assert_close(got + missing, expected, rtol=1e-11, atol=1e-11)


@each
def test_last_step_to_clean_is_the_estimate(sampler: Sampler, schedule: Schedule) -> None:
    x, estimate = torch.randn(2, 3, 1, 5, dtype=torch.float64).unbind()
    denoiser = Function(schedule, lambda x, t: estimate)
    got = sample(denoiser, sampler, x, uniform(5), noise=Keyed(range(3)))
    assert torch.equal(got, estimate)


@each
@pytest.mark.parametrize("kind", [FromX0, FromV, FromFlow, Preconditioned])
@pytest.mark.parametrize(
    "schedule", [Cosine(), RectifiedFlow(), Tabulated((0.9, 0.5, 0.0))], ids=repr
)
def test_finite_from_zero_terminal_snr(
    sampler: Sampler, kind: type[Denoiser], schedule: Schedule
) -> None:
    noise = Keyed([1, 2])
    x = noise(-1, torch.empty(2, 1, 6))
    seen: list[Tensor] = []
    got = sample(
        kind(Wave(), schedule),
        sampler,
        x,
        uniform(6),
        noise=noise,
        on_step=lambda k, x, x_0: seen.extend([x, x_0]),
    )
    assert all(torch.isfinite(value).all() for value in [got, *seen])
    assert got.abs().max() < 50


def test_noise_prediction_at_zero_terminal_snr_is_refused_before_the_first_call() -> None:
    with pytest.raises(ValueError, match="t = 1 has alpha = 0"):
        sample(FromEps(nn.Identity(), Cosine()), Ddim(), torch.zeros(1, 1, 4), uniform(4))


@each
def test_rows_do_not_depend_on_the_batch(sampler: Sampler) -> None:
    denoiser = FromV(Wave(), Cosine())
    seeds = list(range(10, 18))

    def run(seeds: list[int]) -> Tensor:
        noise = Keyed(seeds)
        x = noise(-1, torch.empty(len(seeds), 2, 16))
        return sample(denoiser, sampler, x, uniform(6), noise=noise)

    together = run(seeds)
    for b, seed in enumerate(seeds):
        torch.testing.assert_close(run([seed]), together[b : b + 1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(run(seeds[::-1]).flip(0), together, rtol=1e-5, atol=1e-6)


@each_ode
def test_same_result_on_any_schedule_with_the_same_noise_levels(sampler: Sampler) -> None:
    # in the variable x / alpha the ODE knows log-SNR only, and so does a preconditioned network
    results: list[Tensor] = []
    y = torch.randn(2, 1, 8, dtype=torch.float64)
    levels = torch.linspace(-2, 3, 9, dtype=torch.float64)
    for schedule in (VariancePreserving(), Cosine(), VarianceExploding(), RectifiedFlow()):
        times = schedule.time(levels)
        denoiser = Preconditioned(Wave(), schedule)
        x = sample(denoiser, sampler, y * schedule.alpha(times[0]), times)
        results.append(x / schedule.alpha(times[-1]))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-10, atol=1e-10)


@each
def test_progress_reports_states_and_estimates(sampler: Sampler) -> None:
    denoiser = FromV(Wave(), Cosine())
    noise = Keyed([3])
    x = noise(-1, torch.empty(1, 1, 8, dtype=torch.float64))
    report: list[tuple[int, Tensor, Tensor]] = []
    got = sample(
        denoiser, sampler, x, uniform(4), noise=noise, on_step=lambda *a: report.append(a)
    )
    assert [k for k, _, _ in report] == [0, 1, 2, 3]
    assert torch.equal(report[-1][1], got)
    assert torch.equal(report[-1][2], got)
    # the states reported are those of a walk that stops there
    middle = sample(denoiser, sampler, x, uniform(4)[:3], noise=noise)
    assert torch.equal(middle, report[1][1])


def test_number_of_network_calls() -> None:
    expected: dict[Sampler, int] = {Ddim(): 5, Euler(): 5, Heun(): 9, DpmSolverPP2M(): 5}
    expected |= {Dpm2(): 9, DpmSolverPP2S(): 9, DpmSolverPP3S(): 13, DpmSolverPP3M(): 6}
    expected |= {Deis(2): 5, Deis(3): 6, Lms(2): 5, Lms(3): 6, Lms(4): 9, UniPC(2): 5, UniPC(3): 7}
    for sampler, count in expected.items():
        calls: list[float] = []

        def count_calls(x: Tensor, t: Tensor, calls: list[float] = calls) -> Tensor:
            calls.append(t.item())
            return 0.5 * x

        denoiser = Function(VariancePreserving(), count_calls)
        sample(denoiser, sampler, torch.zeros(1, 1), uniform(5))
        assert len(calls) == count


def test_gradients_may_be_turned_on_inside() -> None:
    def guided(x: Tensor, t: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(x.square().sum(), x)
        return gradient

    x = torch.randn(1, 1, 4, requires_grad=True)
    got = sample(Function(Cosine(), guided), Ddim(), x, uniform(3))
    assert not got.requires_grad and torch.isfinite(got).all()


def test_errors() -> None:
    denoiser, x = FromX0(Wave(), Cosine()), torch.zeros(1, 1, 4)
    with pytest.raises(ValueError, match="noise is None"):
        sample(denoiser, Ancestral(), x, uniform(3))
    with pytest.raises(ValueError, match="decreasing"):
        sample(denoiser, Ddim(), x, uniform(3).flip(0))
    with pytest.raises(ValueError, match="eta is 1.5"):
        Ddim(eta=1.5)
    with pytest.raises(ValueError, match="temperature is -1"):
        Ancestral(temperature=-1)
    with pytest.raises(ValueError, match="correction is 'other'"):
        DpmSolverPP2M(correction="other")


def ddpm_table() -> tuple[Tensor, Tabulated]:
    """DDPM's linear table as diffusers makes it (float32), in float64."""
    table = diffusers.DDIMScheduler(beta_schedule="linear").alphas_cumprod.double()
    return table, Tabulated(tuple(table.tolist()))


def eps_network(index: Tensor | float, x: Tensor) -> Tensor:
    return 0.8 * torch.sin(x) + 0.0003 * index


class Indexed(nn.Module):
    """The same noise prediction, told t where a table of 1000 steps would tell 1000 t - 1."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return eps_network(1000 * time.reshape(-1, 1, 1) - 1, x)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("steps", [5, 50])
def test_ddim_equals_diffusers(eta: float, steps: int) -> None:
    # "trailing" timesteps are the times k / steps where steps divides the table
    table, schedule = ddpm_table()
    theirs = diffusers.DDIMScheduler(
        beta_schedule="linear", clip_sample=False, timestep_spacing="trailing"
    )
    theirs.alphas_cumprod = table
    theirs.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    theirs.set_timesteps(steps)
    noise = Keyed([4, 5])
    x = start = noise(-1, torch.empty(2, 1, 8, dtype=torch.float64))
    for k, index in enumerate(theirs.timesteps):
        x = theirs.step(
            eps_network(float(index), x), index, x, eta=eta, variance_noise=noise(k, x)
        ).prev_sample
    ours = sample(FromEps(Indexed(), schedule), Ddim(eta), start, uniform(steps), noise=noise)
    torch.testing.assert_close(ours, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("ours", "solver_type"), [("midpoint", "midpoint"), ("heun", "heun")])
@pytest.mark.parametrize("steps", [10, 40])
def test_dpm_solver_equals_diffusers(ours: str, solver_type: str, steps: int) -> None:
    # their noise levels are rounded to float32
    _, schedule = ddpm_table()
    theirs = diffusers.DPMSolverMultistepScheduler(
        beta_schedule="linear",
        timestep_spacing="trailing",
        solver_type=solver_type,
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(steps)
    x = start = Keyed([4, 5])(-1, torch.empty(2, 1, 8, dtype=torch.float64))
    for index in theirs.timesteps:
        x = theirs.step(eps_network(float(index), x), index, x).prev_sample
    got = sample(
        FromEps(Indexed(), schedule), DpmSolverPP2M(correction=ours), start, uniform(steps)
    )
    torch.testing.assert_close(got, x.double(), rtol=1e-4, atol=1e-4)
