"""The family of bridges: their papers' coefficients, their ends, and the ordinary samplers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Ancestral,
    Condition,
    Ddim,
    DpmSolverPP2M,
    FromX0,
    Heun,
    Keyed,
    Sampler,
    SchroedingerBridge,
    bridge_marginal,
    sample_bridge,
    uniform,
)
from diff_core.bridge import Bridge, I2sb, OrnsteinUhlenbeck, SchroedingerBridgeVP
from diff_core.sample import DpmSolverPP3M, UniPC

ARRIVING: list[Bridge] = [SchroedingerBridge(), SchroedingerBridgeVP(), I2sb()]
ALL: list[Bridge] = [*ARRIVING, OrnsteinUhlenbeck()]
SAMPLERS: list[Sampler] = [
    Ddim(),
    Heun(),
    DpmSolverPP2M(),
    DpmSolverPP3M(),
    UniPC(p=3),
    Ancestral(),
    DpmSolverPP2M(eta=1.0),
]
TIMES = torch.tensor([1, 0.6, 0.3, 0.1, 0], dtype=torch.float64)


class Net(nn.Module):
    """A network that looks at everything it is given."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition) -> Tensor:
        return 0.5 * torch.tanh(x) + 0.3 * cond.channels + 0.1 * time.reshape(-1, 1, 1)


class Knows(nn.Module):
    """A perfect network."""

    def __init__(self, x_0: Tensor) -> None:
        super().__init__()
        self.x_0 = x_0

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return self.x_0


def pair(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    x_0, y = torch.randn(2, 3, 2, 8, dtype=dtype).unbind()
    return x_0, y


# each process by its drift's scale a_t and the variance s_t^2 = int g^2 / a^2, by quadrature
def vp(t: float) -> tuple[float, float]:
    grid = np.linspace(0, t, 20_001)
    beta = 0.01 + grid * (20 - 0.01)
    integral = np.concatenate([[0], np.cumsum((beta[1:] + beta[:-1]) / 2 * np.diff(grid))])
    return math.exp(-integral[-1] / 2), float(np.trapezoid(0.3 * beta * np.exp(integral), grid))


def i2sb(t: float) -> tuple[float, float]:
    grid = np.linspace(0, t, 20_001)
    pace = np.minimum(grid, 1 - grid)
    beta = (math.sqrt(0.1) + pace * (math.sqrt(0.3) - math.sqrt(0.1))) ** 2
    return 1.0, float(np.trapezoid(beta, grid))


PROCESSES: list[tuple[Bridge, Callable[[float], tuple[float, float]]]] = [
    (SchroedingerBridgeVP(), vp),
    (I2sb(), i2sb),
]
each_process = pytest.mark.parametrize(("bridge", "process"), PROCESSES, ids=["vp", "i2sb"])


@each_process
@pytest.mark.parametrize("t", [0.05, 0.4, 0.5, 0.9])
def test_marginal_is_the_papers(
    bridge: Bridge, process: Callable[[float], tuple[float, float]], t: float
) -> None:
    (a, s), (a_1, s_1) = process(t), process(1.0)
    time = torch.tensor(t, dtype=torch.float64)
    expected = a * (s_1 - s) / s_1, a / a_1 * s / s_1, a * math.sqrt(s * (s_1 - s) / s_1)
    got = bridge.alpha(time).item(), bridge.shift(time).item(), bridge.sigma(time).item()
    assert got == pytest.approx(expected, rel=1e-6)


def test_i2sb_is_the_papers_code() -> None:
    # 1000 steps: sqrt(beta) in equal steps up to the middle, then mirrored; s_t^2 their sum
    betas = np.linspace(1e-4**0.5, (0.3 / 1000) ** 0.5, 1000) ** 2
    betas = np.concatenate([betas[:500], np.flip(betas[:500])])
    forward, back = np.cumsum(betas), np.flip(np.cumsum(np.flip(betas)))
    t = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    variance = torch.as_tensor(forward * back / (forward + back))
    torch.testing.assert_close(I2sb().sigma(t) ** 2, variance, rtol=5e-3, atol=5e-5)


def test_ouve_moments_solve_its_equation() -> None:
    # dm = stiffness (y - m) dt, dv = -2 stiffness v dt + g^2 dt, differentiated numerically
    bridge = OrnsteinUhlenbeck()
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    step = 1e-5

    def rate(f: Callable[[Tensor], Tensor]) -> Tensor:
        return (f(t + step) - f(t - step)) / (2 * step)

    torch.testing.assert_close(rate(bridge.alpha), -1.5 * bridge.alpha(t), rtol=1e-6, atol=0)
    torch.testing.assert_close(rate(bridge.shift), 1.5 * (1 - bridge.shift(t)), rtol=1e-6, atol=0)
    g = 0.05 * 10**t * math.sqrt(2 * math.log(10))
    expected = -3 * bridge.sigma(t) ** 2 + g**2
    got = rate(lambda t: bridge.sigma(t) ** 2)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9)


@each_process
def test_sde_steps_are_the_papers(
    bridge: Bridge, process: Callable[[float], tuple[float, float]]
) -> None:
    _, y = pair()
    noise = Keyed([1, 2, 3])
    walk = [y]
    sample_bridge(
        FromX0(Net(), bridge),
        Ancestral(),
        y,
        TIMES,
        noise=noise,
        on_step=lambda k, x, x_0: walk.append(x),
    )
    for k in range(3):
        t, s = TIMES[k].item(), TIMES[k + 1].item()
        (a_t, v_t), (a_s, v_s) = process(t), process(s)
        estimate = Net()(walk[k], torch.full((3,), t, dtype=y.dtype), Condition(channels=y))
        kept = v_s / v_t
        expected = a_s / a_t * kept * walk[k] + a_s * (1 - kept) * estimate
        expected += a_s * math.sqrt(v_s * (1 - kept)) * noise(k, y)
        torch.testing.assert_close(walk[k + 1], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bridge", ARRIVING, ids=repr)
def test_ends_are_exact_in_float32(bridge: Bridge) -> None:
    x_0, y = pair(torch.float32)
    z = torch.randn_like(y)
    assert torch.equal(bridge_marginal(bridge, x_0, y, torch.tensor(0.0), z), x_0)
    assert torch.equal(bridge_marginal(bridge, x_0, y, torch.tensor(1.0), z), y)


@pytest.mark.parametrize("bridge", ALL, ids=repr)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_perfect_network(bridge: Bridge, sampler: Sampler) -> None:
    x_0, y = pair()
    states: list[Tensor] = []
    got = sample_bridge(
        FromX0(Knows(x_0), bridge),
        sampler,
        y,
        uniform(6),
        noise=Keyed(range(3)),
        on_step=lambda k, x, _: states.append(x),
    )
    assert torch.equal(got, x_0) and all(torch.isfinite(x).all() for x in states)
    if not sampler.stochastic and bridge in ARRIVING:
        for k, x in enumerate(states):
            t = uniform(6)[k + 1]
            mean = bridge.alpha(t) * x_0 + bridge.shift(t) * y
            torch.testing.assert_close(x, mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bridge", ARRIVING, ids=repr)
def test_one_step_is_one_call_at_y(bridge: Bridge) -> None:
    _, y = pair()
    got = sample_bridge(FromX0(Net(), bridge), Ddim(), y, uniform(1))
    expected = Net()(y, torch.ones(3, dtype=y.dtype), Condition(channels=y))
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_ouve_starts_from_y_with_noise() -> None:
    _, y = pair()
    bridge, noise = OrnsteinUhlenbeck(), Keyed([1, 2, 3])
    seen: list[Tensor] = []

    class Spy(Net):
        def forward(self, x: Tensor, time: Tensor, cond: Condition) -> Tensor:
            seen.append(x)
            return super().forward(x, time, cond)

    sample_bridge(FromX0(Spy(), bridge), Ddim(), y, uniform(3), noise=noise)
    spread = bridge.sigma(torch.tensor(1.0, dtype=torch.float64)).item()
    torch.testing.assert_close(seen[0], y + spread * noise(-1, y))
    with pytest.raises(ValueError, match="noise is None"):
        sample_bridge(FromX0(Net(), bridge), Ddim(), y, uniform(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SchroedingerBridgeVP(beta_min=0),
        lambda: SchroedingerBridgeVP(c=-1),
        lambda: OrnsteinUhlenbeck(stiffness=0),
        lambda: OrnsteinUhlenbeck(sigma_min=1, sigma_max=0.5),
        lambda: I2sb(beta_min=1, beta_max=0.5),
    ],
)
def test_bad_parameters(make: Callable[[], Bridge]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()
