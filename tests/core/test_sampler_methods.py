"""Samplers one by one: polynomial exactness, limits, the papers' formulas, and diffusers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core import (
    Condition,
    Cosine,
    Denoiser,
    Edm,
    Keyed,
    RectifiedFlow,
    Schedule,
    SchroedingerBridge,
    Tabulated,
    VarianceExploding,
    VariancePreserving,
    log_snr,
    uniform,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import (
    Ancestral,
    Consistency,
    Ddim,
    Deis,
    DpmSolverPP2M,
    DpmSolverPP3M,
    Heun,
    HeunChurn,
    Lms,
    Memory,
    PredictorCorrector,
    Sampler,
    UniPC,
    sample,
    sample_adaptive,
)
from diff_core.sample.polynomial import falling_moments, rising_moments, weights


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


MIXTURE = Mixture(tensor([0.3, 0.7]), tensor([-1.0, 0.8]), tensor([0.3, 0.4]))
ONE, ZERO = tensor(1.0), tensor(0.0)


class Function(Denoiser):
    """A denoiser from a plain function of x and t."""

    def __init__(self, schedule: Schedule, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(schedule)
        self.function = function

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.function(x_t, t)


def smooth(schedule: Schedule) -> Function:
    """A denoiser that mixes x and the log-SNR and is bounded."""
    return Function(
        schedule,
        lambda x, t: torch.tanh(x + torch.tanh(log_snr(schedule, t)).reshape(-1, *(1,) * 2)),
    )


@pytest.mark.parametrize("z", [1e-6, 0.03, 0.999, 1.0, 7.0, 60.0])
def test_moments_are_the_integrals(z: float) -> None:
    # Gauss-Legendre on pieces short enough for the exponential
    node, weight = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0, 1, 65)
    half = np.diff(edges)[:, None] / 2
    v = (edges[:-1, None] + half + half * node).ravel()
    w = (half * weight).ravel()
    for j, (up, down) in enumerate(zip(rising_moments(z, 4), falling_moments(z, 4), strict=True)):
        rising, falling = z * np.exp(-z * (1 - v)) * v**j, z * np.exp(-z * v) * v**j
        assert up == pytest.approx(np.sum(w * rising), rel=1e-12)
        assert down == pytest.approx(np.sum(w * falling), rel=1e-10)


def test_weights_integrate_polynomials() -> None:
    # Simpson's rule, and Adams-Bashforth of order 3
    simpson = weights([0, 0.5, 1], [1, 1 / 2, 1 / 3])
    assert simpson == pytest.approx([1 / 6, 4 / 6, 1 / 6])
    assert weights([0, -1, -2], [1, 1 / 2, 1 / 3]) == pytest.approx([23 / 12, -16 / 12, 5 / 12])


def history(
    sampler: Sampler, state: Callable[[Tensor], Tensor], value: Callable[[Tensor], Tensor]
) -> Callable[[Sequence[Tensor]], Memory]:
    """Exact memory before step k from the times up to times[k], newest last."""

    def seeded(times: Sequence[Tensor]) -> Memory:
        before = [value(t) for t in reversed(times[:-1])]
        if isinstance(sampler, UniPC):
            return (state(times[-2]), *before[: sampler.p])
        return tuple(before[: sampler.order - 1])

    return seeded


def from_history(
    sampler: Sampler,
    denoiser: Denoiser,
    state: Callable[[Tensor], Tensor],
    value: Callable[[Tensor], Tensor],
    times: Tensor,
) -> Tensor:
    """Error at times[-1] of a walk that starts at times[4] with exact state and memory."""
    plan = sampler.plan(denoiser.schedule, times)
    denoise = denoiser.on_grid(tensor(plan.grid), state(times[4]))
    x, memory = state(times[4]), history(sampler, state, value)(list(times[:5]))
    for k in range(4, plan.steps):
        x, memory = sampler.step(denoise, x, k, plan, memory, None)
    return (x - state(times[-1])).abs().max()


def exponential_integral(coefficients: Sequence[float], level: float, sign: int) -> float:
    """Antiderivative of e^(sign l) p(l) at `level`, by repeated parts."""
    total, polynomial, factor = 0.0, np.polynomial.Polynomial(coefficients), 1.0 / sign
    while True:
        total += factor * float(polynomial(level))
        if polynomial.degree() == 0:
            return math.exp(sign * level) * total
        polynomial, factor = polynomial.deriv(), -factor / sign


@pytest.mark.parametrize(
    ("sampler", "degree"),
    [
        (DpmSolverPP2M(correction="heun"), 1),
        (DpmSolverPP3M(), 2),
        (UniPC(p=2), 2),
        (UniPC(p=3), 3),
    ],
    ids=repr,
)
def test_exact_on_polynomial_data_of_the_log_snr(
    path: Schedule, sampler: Sampler, degree: int
) -> None:
    # D = P(lambda): x_s = sigma_s int e^l P(l) dl in closed form. UniPC's last step is predicted
    # by a polynomial of degree p - 1 only; the state before it, corrected, is exact
    levels = torch.tensor([-1.3, -1.1, -0.7, -0.4, 0.0, 0.5, 0.8, 1.4], dtype=torch.float64)
    times = path.time(levels)

    def error(power: int) -> float:
        coefficients = [0.4, -0.6, 0.5, 0.3, -0.2][: power + 1]

        def value(t: Tensor) -> Tensor:
            level = log_snr(path, t)
            return sum(c * level**j for j, c in enumerate(coefficients)).reshape(1, 1)

        def state(t: Tensor) -> Tensor:
            level = log_snr(path, t).item()
            return path.sigma(t) * tensor([[exponential_integral(coefficients, level, 1)]])

        denoiser = Function(path, lambda x, t: value(t))
        if not isinstance(sampler, UniPC):
            return from_history(sampler, denoiser, state, value, times).item()
        corrected: list[Tensor] = []
        plan = sampler.plan(path, times)
        x, memory = state(times[4]), history(sampler, state, value)(list(times[:5]))
        for k in range(4, plan.steps):
            denoise = denoiser.on_grid(tensor(plan.grid), x)
            x, memory = sampler.step(denoise, x, k, plan, memory, None)
            corrected.append(memory[0] - state(times[k]))
        return torch.stack(corrected).abs().max().item()

    for power in range(degree + 1):
        assert error(power) < 1e-12
    assert error(degree + 1) > 1e-6


@pytest.mark.parametrize("order", [2, 3])
def test_deis_is_exact_on_polynomial_noise_of_the_log_snr(path: Schedule, order: int) -> None:
    times = path.time(torch.tensor([-1.3, -1.1, -0.7, -0.4, 0.0, 0.5, 0.8], dtype=torch.float64))
    for power in range(order + 1):
        coefficients = [0.4, -0.6, 0.5, 0.3][: power + 1]

        def value(t: Tensor, coefficients: list[float] = coefficients) -> Tensor:
            level = log_snr(path, t)
            return sum(c * level**j for j, c in enumerate(coefficients)).reshape(1, 1)

        def state(t: Tensor, coefficients: list[float] = coefficients) -> Tensor:
            # dy = eps drho = -eps e^-l dl
            level = log_snr(path, t).item()
            return -path.alpha(t) * tensor([[exponential_integral(coefficients, level, -1)]])

        denoiser = Function(path, lambda x, t: (x - path.sigma(t) * value(t)) / path.alpha(t))
        error = from_history(Deis(order), denoiser, state, value, times).item()
        assert error < 1e-12 if power < order else error > 1e-6


@pytest.mark.parametrize("order", [2, 3, 4])
def test_lms_is_exact_on_polynomial_noise_of_the_noise_level(path: Schedule, order: int) -> None:
    times = path.time(torch.tensor([-1.3, -1.1, -0.7, -0.4, 0.0, 0.5, 0.8], dtype=torch.float64))
    for power in range(order + 1):
        noise = np.polynomial.Polynomial([0.4, -0.6, 0.5, 0.3, -0.2][: power + 1])

        def value(t: Tensor, noise: np.polynomial.Polynomial = noise) -> Tensor:
            return tensor([[noise((path.sigma(t) / path.alpha(t)).item())]])

        def state(t: Tensor, noise: np.polynomial.Polynomial = noise) -> Tensor:
            rho = (path.sigma(t) / path.alpha(t)).item()
            return path.alpha(t) * tensor([[noise.integ()(rho)]])

        denoiser = Function(path, lambda x, t: (x - path.sigma(t) * value(t)) / path.alpha(t))
        error = from_history(Lms(order), denoiser, state, value, times).item()
        assert error < 1e-11 if power < order else error > 1e-5


@pytest.mark.parametrize(
    ("limit", "plain"),
    [
        (HeunChurn(s_churn=0), Heun()),
        (HeunChurn(s_min=1e6), Heun()),
        (PredictorCorrector(predictor=DpmSolverPP3M(), strength=0), DpmSolverPP3M()),
        (PredictorCorrector(predictor=Ancestral(), strength=0), Ancestral()),
        (DpmSolverPP2M(eta=1e-20), DpmSolverPP2M()),
        (DpmSolverPP3M(eta=1e-20), DpmSolverPP3M()),
        (Ddim(eta=1e-10), Ddim()),
        (Ancestral(temperature=1e-18), Ancestral(temperature=0)),
    ],
    ids=repr,
)
def test_limits_without_noise(limit: Sampler, plain: Sampler, path: Schedule) -> None:
    x = torch.randn(2, 1, 8, dtype=torch.float64)
    noise = Keyed([1, 2])
    times = uniform(8, start=0.95)
    got = sample(smooth(path), limit, x, times, noise=noise)
    expected = sample(smooth(path), plain, x, times, noise=noise)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


def test_two_m_sde_of_one_step_is_ancestral(schedule: Schedule) -> None:
    # with D constant over the step, eta = 1 is the reverse SDE exactly: q(x_s | x_t, x_0 = D)
    times = tensor([0.8, 0.3])
    spread, *row = DpmSolverPP3M(eta=1.0).plan(schedule, tensor([0.8, 0.3, 0.0])).coefficients[1]
    assert spread == 0 and row == [0, 1]
    weight, level, _, spread = DpmSolverPP2M(eta=1.0).plan(schedule, times).coefficients[0]
    expected = Ancestral().plan(schedule, times).coefficients[0]
    assert [weight, level, spread] == pytest.approx(expected, rel=1e-9)


def test_churn_is_algorithm_2(path: Schedule) -> None:
    # Karras et al. in y = x / alpha and rho, with S_noise and the window of levels
    times = uniform(6, start=0.9)
    denoiser, noise = smooth(path), Keyed([7])
    sampler = HeunChurn(s_churn=1.5, s_min=0.2, s_max=30.0, s_noise=1.1)
    x = torch.randn(1, 1, 8, dtype=torch.float64)
    rho = path.sigma(times) / path.alpha(times)
    greatest = (path.sigma(ONE) / path.alpha(ONE)).item()
    y = x / path.alpha(times[0])
    raised = 0
    for k in range(6):
        here, after = rho[k], rho[k + 1]
        if 0.2 <= here <= 30.0 and here * 1.25 < greatest:
            raised += 1
            higher = here * 1.25
            y = y + (higher**2 - here**2).sqrt() * 1.1 * noise(k, y)
            here = higher
        t = path.time(-here.log())
        slope = (y - denoiser(path.alpha(t) * y, t)) / here
        end = y + (after - here) * slope
        if after > 0:
            t = times[k + 1]
            other = (end - denoiser(path.alpha(t) * end, t)) / after
            end = y + (after - here) * (slope + other) / 2
        y = end
    assert raised >= 2
    got = sample(denoiser, sampler, x, times, noise=noise)
    torch.testing.assert_close(got, y, rtol=1e-7, atol=1e-7)


def test_churn_does_not_leave_the_schedule() -> None:
    schedule = Edm(sigma_max=10)
    plan = HeunChurn().plan(schedule, uniform(4))
    assert plan.stages[0] == (1.0,) and plan.coefficients[0][:2] == (1.0, 0.0)
    assert all(t <= 1 for t in plan.grid)


def test_langevin_keeps_a_certain_signals_marginal(path: Schedule) -> None:
    # for a known x_0 the corrector's linear part is all of it: x_s stays N(alpha x_0, sigma^2)
    x_0, times = tensor([[0.7]]), uniform(4, start=0.9)[:-1]
    sampler = PredictorCorrector(corrections=2, strength=0.4)
    rows: dict[int, int] = {}

    def unit(k: int, like: Tensor) -> Tensor:
        noise = torch.zeros_like(like)
        noise[rows.setdefault(k, len(rows) + 1)] = 1
        return noise

    x = torch.zeros(8, 1, dtype=torch.float64)
    x[0] = path.sigma(times[0])
    denoiser = Function(path, lambda x, t: torch.zeros_like(x))
    got = sample(denoiser, sampler, x, times, noise=unit)
    assert len(rows) == 6
    torch.testing.assert_close(got.square().sum().sqrt(), path.sigma(times[-1]))
    mean = path.alpha(times[0]) * x_0
    got = sample(
        Function(path, lambda x, t: x_0),
        sampler,
        mean,
        times,
        noise=lambda k, like: torch.zeros_like(like),
    )
    torch.testing.assert_close(got, path.alpha(times[-1]) * x_0)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_consistency_sampling_is_exact_with_the_consistency_function(steps: int) -> None:
    # the function maps quantile to quantile: at every stop the state is the flow of its own noise
    path = RectifiedFlow()
    denoiser = Function(path, lambda x, t: MIXTURE.flow(path, x, t.double(), ZERO))
    times, noise = uniform(steps), Keyed(range(5))
    x = noise(-1, torch.empty(5, 1, dtype=torch.float64))
    states: list[Tensor] = []
    got = sample(
        denoiser, Consistency(), x, times, noise=noise, on_step=lambda k, x, _: states.append(x)
    )
    expected = MIXTURE.flow(path, x, ONE, ZERO)
    for k in range(steps - 1):
        noisy = path.alpha(times[k + 1]) * expected + path.sigma(times[k + 1]) * noise(k, x)
        torch.testing.assert_close(states[k], noisy)
        expected = MIXTURE.flow(path, noisy, times[k + 1], ZERO)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("schedule", [Cosine(), SchroedingerBridge()], ids=repr)
def test_order_is_kept_after_an_infinite_first_step(schedule: Schedule, order: int) -> None:
    # the first step, from alpha = 0, is always to the same time; then the start-up begins
    sampler = DpmSolverPP3M() if order == 3 else UniPC(p=3)
    denoiser = smooth(schedule)
    bridge = isinstance(schedule, SchroedingerBridge)
    x = (
        torch.zeros(1, 1, 5, dtype=torch.float64)
        if bridge
        else torch.linspace(-2, 2, 5, dtype=torch.float64).reshape(1, 1, 5)
    )
    walks: list[Tensor] = []
    for steps in (16, 32, 64, 128):
        times = torch.cat([tensor([1.0]), uniform_log_snr(schedule, steps, 0.9, 0.1)])
        walks.append(sample(denoiser, sampler, x, times))
    gaps = [(a - b).abs().max().item() for a, b in zip(walks, walks[1:], strict=False)]
    slopes = [math.log2(a / b) for a, b in zip(gaps, gaps[1:], strict=False)]
    assert all(abs(slope - order) < 0.35 for slope in slopes), slopes


@pytest.mark.parametrize(
    "schedule", [VariancePreserving(), VarianceExploding(), RectifiedFlow()], ids=repr
)
def test_adaptive_error_follows_the_tolerance(schedule: Schedule) -> None:
    start, stop = (schedule.time(tensor(level)) for level in (-2.5, 3.0))
    base = schedule.sigma(start) * torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None]
    exact = MIXTURE.flow(schedule, base, start, stop)
    denoiser = ExactDenoiser(MIXTURE, schedule)
    calls: list[int] = []
    for tolerance in (1e-3, 1e-4, 1e-5):
        got, count = sample_adaptive(
            denoiser, base, start.item(), stop.item(), rtol=tolerance, atol=tolerance
        )
        calls.append(count)
        error = (got - exact).abs().max().item()
        assert 0.1 * tolerance < error < 30 * tolerance
    # a local error of order 3: ten times the accuracy for 10^(1/3) times the calls
    assert calls[0] < calls[1] < calls[2] < 3.5 * calls[1]


def test_adaptive_rows_do_not_depend_on_the_batch() -> None:
    schedule = Cosine()
    seen: list[float] = []

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == (x.shape[0],) and t.dtype == torch.float32
        seen.extend(t.tolist())
        return torch.tanh(x * torch.arange(1.0, 1 + x.shape[-1]))

    denoiser = Function(schedule, denoise)
    x = Keyed(range(8))(-1, torch.empty(8, 1, 16))
    together, calls = sample_adaptive(denoiser, x, 0.99, 0.01, rtol=1e-3, atol=1e-3)
    assert min(seen) >= 0.0099 and max(seen) <= 0.9901 and together.dtype == torch.float32
    most = 0
    for b in range(8):
        alone, count = sample_adaptive(denoiser, x[b : b + 1], 0.99, 0.01, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(alone, together[b : b + 1], rtol=1e-4, atol=1e-5)
        most = max(most, count)
    assert calls == most


def test_adaptive_errors() -> None:
    denoiser, x = smooth(Cosine()), torch.zeros(1, 1, 4)
    with pytest.raises(ValueError, match="rtol is 0"):
        sample_adaptive(denoiser, x, 0.9, 0.1, rtol=0)
    with pytest.raises(ValueError, match="decreasing"):
        sample_adaptive(denoiser, x, 0.1, 0.9)
    for start, stop in ((1.0, 0.1), (0.9, 0.0)):
        with pytest.raises(ValueError, match="finite"):
            sample_adaptive(denoiser, x, start, stop)
    with pytest.raises(ValueError, match="max_calls is 5"):
        sample_adaptive(denoiser, x, 0.9, 0.1, max_calls=5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DpmSolverPP2M(eta=-1), "eta is -1"),
        (lambda: DpmSolverPP3M(eta=math.inf), "eta is inf"),
        (lambda: Deis(order=4), "order is 4; expected 2 or 3"),
        (lambda: Lms(order=5), "order is 5"),
        (lambda: UniPC(p=1), "p is 1"),
        (lambda: HeunChurn(s_churn=-1), "expected s_churn"),
        (lambda: PredictorCorrector(corrections=0), "corrections is 0"),
        (lambda: PredictorCorrector(strength=-1), "strength is -1"),
    ],
)
def test_errors(make: Callable[[], Sampler], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


TABLE = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def data_network(x: Tensor) -> Tensor:
    return torch.tanh(x) * 0.9


@pytest.mark.parametrize("steps", [10, 40])
def test_euler_ancestral_is_ddim_with_eta_one(steps: int) -> None:
    # theirs is in y = x / alpha, float32 levels, and draws from torch's generator
    theirs = diffusers.EulerAncestralDiscreteScheduler(
        beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing", prediction_type="sample"
    )
    theirs.config.prediction_type = "epsilon"
    theirs.set_timesteps(steps)
    path = Tabulated(tuple(TABLE))
    times = uniform(steps)
    x = torch.randn(2, 1, 8)
    drawn: list[Tensor] = []
    generator, again = (torch.Generator().manual_seed(3) for _ in range(2))
    y = x / path.alpha(times[0]).float()
    for k, index in enumerate(theirs.timesteps):
        alpha, sigma = path.alpha(times[k]).float(), path.sigma(times[k]).float()
        theirs.is_scale_input_called = True
        estimate = data_network(alpha * y)
        noise = (y - estimate) * alpha / sigma
        y = theirs.step(noise, index, y, generator=generator).prev_sample
        drawn.append(torch.randn(x.shape, generator=again))
    got = sample(
        Function(path, lambda x, t: data_network(x)),
        Ddim(eta=1.0),
        x,
        times,
        noise=lambda k, like: drawn[k],
    )
    torch.testing.assert_close(got, y, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("correction", ["midpoint", "heun"])
@pytest.mark.parametrize("steps", [10, 40])
def test_two_m_sde_equals_diffusers(correction: str, steps: int) -> None:
    theirs = diffusers.DPMSolverMultistepScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        timestep_spacing="trailing",
        prediction_type="sample",
        algorithm_type="sde-dpmsolver++",
        solver_type=correction,
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(steps)
    path, noise = Tabulated(tuple(TABLE)), Keyed([4, 5])
    x = start = noise(-1, torch.empty(2, 1, 8, dtype=torch.float64))
    for k, index in enumerate(theirs.timesteps):
        x = theirs.step(data_network(x), index, x, variance_noise=noise(k, x)).prev_sample
    got = sample(
        Function(path, lambda x, t: data_network(x)),
        DpmSolverPP2M(correction=correction, eta=1.0),
        start,
        uniform(steps),
        noise=noise,
    )
    torch.testing.assert_close(got, x.double(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [10, 40])
def test_deis_equals_diffusers(steps: int) -> None:
    theirs = diffusers.DEISMultistepScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        timestep_spacing="trailing",
        prediction_type="sample",
        solver_order=2,
    )
    theirs.set_timesteps(steps)
    path = Tabulated(tuple(TABLE))
    x = start = torch.randn(2, 1, 8, dtype=torch.float64)
    # their last step, to the table's first entry or to zero, is of another kind: stop before it
    for index in theirs.timesteps[:-1]:
        x = theirs.step(data_network(x), index, x).prev_sample
    denoiser = Function(path, lambda x, t: data_network(x))
    got = sample(denoiser, Deis(order=2), start, uniform(steps)[:-1])
    torch.testing.assert_close(got, x.double(), rtol=1e-3, atol=1e-3)
