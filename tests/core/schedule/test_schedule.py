"""Schedules: their closed forms, ends, inverses and errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diff_core import (
    Cosine,
    Edm,
    RectifiedFlow,
    Schedule,
    SchroedingerBridge,
    Tabulated,
    VarianceExploding,
    VariancePreserving,
    broadcast,
    karras,
    log_snr,
    uniform_flow,
    uniform_log_snr,
)
from diff_core.schedule import ShiftedSnr, Sigmoid

LINEAR = tuple(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)).tolist())


def f64(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


@given(t=st.floats(1e-3, 1 - 1e-3))
def test_time_is_the_inverse_of_log_snr(schedule: Schedule, t: float) -> None:
    assert schedule.time(log_snr(schedule, f64(t))).item() == pytest.approx(t, abs=1e-9)


@given(level=st.floats(-8, 30))
def test_time_of_any_level_is_in_range_and_nearest(schedule: Schedule, level: float) -> None:
    t = schedule.time(f64(level))
    assert 0 <= t <= 1
    reached = log_snr(schedule, t).item()
    lowest = log_snr(schedule, f64(1.0)).item()
    assert reached == pytest.approx(max(level, lowest), abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clean_at_zero_and_falling(schedule: Schedule, dtype: torch.dtype) -> None:
    t = torch.linspace(0, 1, 101, dtype=dtype)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    assert alpha.dtype == dtype and alpha.shape == t.shape
    assert alpha[0] == 1 and sigma[0] == 0
    assert torch.isfinite(alpha).all() and torch.isfinite(sigma).all()
    assert (alpha >= 0).all() and (sigma >= 0).all()
    levels = log_snr(schedule, t)
    assert levels[0] == math.inf
    assert (levels[1:] < levels[:-1]).all()


@pytest.mark.parametrize(
    "schedule",
    [
        VariancePreserving(),
        Cosine(),
        Sigmoid(tau=0.7),
        ShiftedSnr(Cosine(), 4.0),
        Tabulated(LINEAR),
        Tabulated((0.9, 0.4, 0.0)),
    ],
    ids=repr,
)
def test_variance_preserved(schedule: Schedule) -> None:
    t = torch.rand(64, dtype=torch.float64)
    torch.testing.assert_close(
        schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, torch.ones_like(t), rtol=0, atol=1e-14
    )


def test_closed_forms() -> None:
    t = f64(0.3)
    # the integral of beta(t) = beta_min + t (beta_max - beta_min), by quadrature
    grid = np.linspace(0, 0.3, 100_001)
    integral = np.trapezoid(0.1 + grid * 19.9, grid)
    assert VariancePreserving().alpha(t).item() == pytest.approx(math.exp(-integral / 2), rel=1e-8)
    assert Cosine().alpha(t).item() == pytest.approx(math.cos(0.15 * math.pi))
    assert Cosine().sigma(t).item() == pytest.approx(math.sin(0.15 * math.pi))
    expected = 0.01 * math.sqrt((50 / 0.01) ** 0.6 - 1)
    assert VarianceExploding().sigma(t).item() == pytest.approx(expected)
    assert Edm(sigma_max=10).sigma(t).item() == pytest.approx(3.0)
    assert RectifiedFlow().alpha(t).item() == pytest.approx(0.7)
    # Jabri et al.'s own lines, with start = -3, end = 3, tau = 0.9
    low, high, here = (1 / (1 + math.exp(-u / 0.9)) for u in (-3, 3, 0.3 * 6 - 3))
    expected = (high - here) / (high - low)
    assert Sigmoid(tau=0.9).alpha(t).item() ** 2 == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("base", [Cosine(), RectifiedFlow(), Sigmoid()], ids=repr)
@given(t=st.floats(1e-6, 1), factor=st.floats(0.1, 10))
def test_shift_multiplies_the_noise_level(base: Schedule, t: float, factor: float) -> None:
    shifted, time = ShiftedSnr(base, factor), f64(t)
    # cross-multiplied, so that alpha = 0 at t = 1 is met too
    left = shifted.sigma(time) * base.alpha(time)
    right = factor * base.sigma(time) * shifted.alpha(time)
    assert left.item() == pytest.approx(right.item(), rel=1e-7, abs=1e-7)


def test_shift_of_the_straight_path_is_the_papers() -> None:
    # Esser et al., equation 23; the path stays alpha + sigma = 1
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    schedule = ShiftedSnr(RectifiedFlow(), 3.0)
    torch.testing.assert_close(schedule.sigma(t), 3 * t / (1 + 2 * t))
    torch.testing.assert_close(schedule.alpha(t) + schedule.sigma(t), torch.ones_like(t))


def test_less_noise_on_a_schedule_that_does_not_end_in_noise() -> None:
    shifted = ShiftedSnr(VariancePreserving(), 0.5)
    expected = log_snr(VariancePreserving(), f64(1.0)) + math.log(2)
    assert log_snr(shifted, f64(1.0)).item() == pytest.approx(expected.item())


def test_variance_preserving_is_the_limit_of_the_table() -> None:
    # beta_i = beta(t_i) / N: the discrete chain of DDPM approaches the continuous one
    errors = []
    for steps in (1000, 2000):
        table = np.cumprod(1 - np.linspace(0.1, 20, steps) / steps)
        t = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
        difference = Tabulated(tuple(table)).alpha(t) - VariancePreserving().alpha(t)
        errors.append(difference.abs().max().item())
    assert errors[0] < 0.01
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.1)


def test_table_is_met_at_its_points() -> None:
    schedule = Tabulated(LINEAR)
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    torch.testing.assert_close(
        schedule.alpha(t) ** 2, torch.tensor(LINEAR, dtype=torch.float64), rtol=1e-11, atol=0
    )


def test_table_with_zero_terminal_snr() -> None:
    schedule = Tabulated((0.9, 0.5, 0.0))
    t = torch.tensor([2 / 3, 5 / 6, 1.0], dtype=torch.float64)
    # alpha/sigma falls linearly from 1 at the entry of 0.5 to 0
    torch.testing.assert_close(
        schedule.alpha(t) / schedule.sigma(t), torch.tensor([1, 0.5, 0], dtype=torch.float64)
    )
    assert schedule.alpha(f64(1.0)) == 0 and schedule.sigma(f64(1.0)) == 1
    assert log_snr(schedule, f64(1.0)) == -math.inf
    assert schedule.time(f64(-math.inf)) == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ((0.5,), "at least 2"),
        ((1.0, 0.5), r"\(0, 1\)"),
        ((0.9, -0.1), r"\(0, 1\)"),
        ((0.9, 0.9), r"alphas_cumprod\[1\]"),
        ((0.9, float("nan"), 0.1), "alphas_cumprod"),
    ],
)
def test_bad_table(table: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tabulated(table)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VariancePreserving(beta_min=2, beta_max=1),
        lambda: VarianceExploding(sigma_min=0),
        lambda: Edm(sigma_max=-1),
        lambda: Sigmoid(start=3, end=-3),
        lambda: Sigmoid(tau=0),
        lambda: ShiftedSnr(Cosine(), 0),
        lambda: ShiftedSnr(VariancePreserving(), 2),
        lambda: SchroedingerBridge(k=1),
        lambda: SchroedingerBridge(c=0),
    ],
)
def test_bad_parameters(make: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_broadcast() -> None:
    x = torch.zeros(3, 2, 5)
    assert broadcast(f64(2.0), x).shape == ()
    assert broadcast(torch.ones(3, dtype=torch.float64), x).shape == (3, 1, 1)
    assert broadcast(torch.ones(3, dtype=torch.float64), x).dtype == x.dtype
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        broadcast(torch.ones(2), x)


@dataclass(frozen=True)
class Own(Schedule):
    """A schedule of two formulas."""

    def alpha(self, t: torch.Tensor) -> torch.Tensor:
        return torch.cos(math.pi / 2 * t**1.3)

    def sigma(self, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(math.pi / 2 * t**1.3)


@dataclass(frozen=True)
class WithoutInverse(Schedule):
    """One of ours without its own `time`."""

    inner: Schedule

    def alpha(self, t: torch.Tensor) -> torch.Tensor:
        return self.inner.alpha(t)

    def sigma(self, t: torch.Tensor) -> torch.Tensor:
        return self.inner.sigma(t)


def test_a_schedule_without_time_gets_one(schedule: Schedule) -> None:
    levels = torch.linspace(-8, 30, 77, dtype=torch.float64)
    found = WithoutInverse(schedule).time(levels)
    torch.testing.assert_close(found, schedule.time(levels), rtol=1e-9, atol=1e-12)
    reached = log_snr(schedule, found)
    lowest = log_snr(schedule, f64(1.0))
    torch.testing.assert_close(reached, levels.clamp(min=lowest.item()), rtol=0, atol=1e-8)


def test_a_schedule_of_ones_own_has_all_that_ours_have() -> None:
    own = Own()
    t = torch.tensor([[1e-12, 1e-3, 0.2], [0.7, 0.999, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(own.time(log_snr(own, t)), t, rtol=1e-9, atol=0)
    single = own.time(log_snr(own, t).float())
    assert single.dtype == torch.float32 and single.shape == t.shape
    ends = own.time(torch.tensor([math.inf, -math.inf, math.nan]))
    assert ends[0] == 0 and ends[1] == 1 and ends[2].isnan()
    for grid in (karras(own, 10), uniform_flow(own, 10, 0.5), uniform_log_snr(own, 10)):
        assert len(grid) == 11
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Schedule,), {"alpha": Own.alpha})()
