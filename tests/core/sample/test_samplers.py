"""What holds for every sampler: ends, rows, schedules, progress, calls, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Cosine,
    Denoiser,
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
    uniform,
)
from diff_core.sample import (
    Ancestral,
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
    Kutta3,
    Lms,
    Midpoint,
    PredictorCorrector,
    Sampler,
    TrigAdams,
    UniPC,
    sample,
)
from sampler_cases import (
    ALL,
    Function,
    Wave,
    each,
    each_ode,
)


@pytest.mark.parametrize("sampler", [s for s in ALL if not isinstance(s, TrigAdams)], ids=repr)
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
    if not isinstance(sampler, TrigAdams | Midpoint | Kutta3):
        assert torch.equal(report[-1][2], got)
    # the states reported are those of a walk that stops there
    middle = sample(denoiser, sampler, x, uniform(4)[:3], noise=noise)
    assert torch.equal(middle, report[1][1])


def test_number_of_network_calls() -> None:
    expected: dict[Sampler, int] = {Ddim(): 5, Euler(): 5, Heun(): 9, DpmSolverPP2M(): 5}
    expected |= {Dpm2(): 9, DpmSolverPP2S(): 9, DpmSolverPP3S(): 13, DpmSolverPP3M(): 6}
    expected |= {Deis(2): 5, Deis(3): 6, Lms(2): 5, Lms(3): 6, Lms(4): 9, UniPC(2): 5, UniPC(3): 7}
    expected |= {UniPC(2, "midpoint"): 5, UniPC(3, "midpoint"): 5}
    expected |= {TrigAdams(2): 5, TrigAdams(3): 5, Midpoint(): 10, Kutta3(): 14}
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
    with pytest.raises(
        ValueError, match=r"x is torch.int64 of shape \(1, 4\); expected real floating"
    ):
        sample(denoiser, Ddim(), torch.zeros(1, 4, dtype=torch.int64), uniform(3))
    with pytest.raises(ValueError, match=r"x is torch.float32 of shape \(\); expected"):
        sample(denoiser, Ddim(), torch.tensor(0.0), uniform(3))
    # it would be broadcast without a word
    wide = Function(Cosine(), lambda x, t: x.expand(-1, 2, -1))
    with pytest.raises(ValueError, match=r"returned shape \(1, 2, 4\); expected .* \(1, 1, 4\)"):
        sample(wide, Ddim(), x, uniform(3))


@dataclass(frozen=True)
class Bumpy:
    """A schedule that someone got wrong: sigma comes back down."""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return t * (1.2 - t)

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.ones_like(log_snr)


@each
def test_a_schedule_that_is_not_monotone_is_refused(sampler: Sampler) -> None:
    denoiser = FromX0(Wave(), Bumpy())
    with pytest.raises(ValueError, match=r"Bumpy\(\) has log-SNR .* at t = 1.0 and .* at t = 0.8"):
        sample(denoiser, sampler, torch.zeros(1, 1, 4), uniform(5), noise=Keyed([0]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DpmSolverPP2M(eta=-1), "eta is -1"),
        (lambda: DpmSolverPP3M(eta=math.inf), "eta is inf"),
        (lambda: Deis(order=4), "order is 4; expected 2 or 3"),
        (lambda: Lms(order=5), "order is 5"),
        (lambda: UniPC(p=1), "p is 1"),
        (lambda: UniPC(correction="paper"), "correction is 'paper'"),
        (lambda: TrigAdams(order=4), "order is 4; expected 2 or 3"),
        (lambda: TrigAdams(sigma_data=0), "sigma_data is 0"),
        (lambda: Ddim(eta=1.5), "eta is 1.5"),
        (lambda: Ancestral(temperature=-1), "temperature is -1"),
        (lambda: DpmSolverPP2M(correction="other"), "correction is 'other'"),
        (lambda: HeunChurn(s_churn=-1), "expected s_churn"),
        (lambda: PredictorCorrector(corrections=0), "corrections is 0"),
        (lambda: PredictorCorrector(strength=-1), "strength is -1"),
    ],
)
def test_errors_of_construction(make: Callable[[], Sampler], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
