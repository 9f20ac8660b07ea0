"""The Schroedinger bridge: its path, and the paper's samplers through the ordinary ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Ancestral,
    Condition,
    Cosine,
    Ddim,
    DpmSolverPP2M,
    Euler,
    FromX0,
    Heun,
    Keyed,
    Sampler,
    SchroedingerBridge,
    bridge_marginal,
    sample_bridge,
    uniform,
)

BRIDGE = SchroedingerBridge(k=2.6, c=0.4)
TIMES = torch.tensor([1, 0.6, 0.3, 0.1, 0], dtype=torch.float64)
ODE: list[Sampler] = [Ddim(), Euler(), Heun(), DpmSolverPP2M()]


def s(t: float) -> float:
    """The paper's sigma_t."""
    return math.sqrt(0.4 * (2.6 ** (2 * t) - 1) / (2 * math.log(2.6)))


def sb(t: float) -> float:
    """The paper's sigma-bar_t."""
    return math.sqrt(s(1) ** 2 - s(t) ** 2)


class Knows(nn.Module):
    """A perfect network."""

    def __init__(self, x_0: Tensor) -> None:
        super().__init__()
        self.x_0 = x_0

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return self.x_0


class Net(nn.Module):
    """A network that looks at everything it is given, and keeps what it was given first."""

    def __init__(self) -> None:
        super().__init__()
        self.first: tuple[Tensor, Tensor, Condition] | None = None

    def forward(self, x: Tensor, time: Tensor, cond: Condition) -> Tensor:
        self.first = self.first or (x, time, cond)
        return 0.5 * torch.tanh(x) + 0.3 * cond.channels + 0.1 * time.reshape(-1, 1, 1)


def pair(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    x_0, y = torch.randn(2, 3, 2, 8, dtype=dtype).unbind()
    return x_0, y


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_marginal_is_the_papers(t: float) -> None:
    x_0, y = pair()
    z = torch.randn_like(y)
    expected = sb(t) ** 2 / s(1) ** 2 * x_0 + s(t) ** 2 / s(1) ** 2 * y + s(t) * sb(t) / s(1) * z
    got = bridge_marginal(BRIDGE, x_0, y, torch.tensor(t, dtype=torch.float64), z)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    rows = bridge_marginal(BRIDGE, x_0, y, torch.full((3,), t, dtype=torch.float64), z)
    torch.testing.assert_close(rows, got)


def test_ends_are_exact_in_float32() -> None:
    x_0, y = pair(torch.float32)
    z = torch.randn_like(y)
    assert torch.equal(bridge_marginal(BRIDGE, x_0, y, torch.tensor(0.0), z), x_0)
    assert torch.equal(bridge_marginal(BRIDGE, x_0, y, torch.tensor(1.0), z), y)


def test_greatest_variance() -> None:
    t = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    assert BRIDGE.sigma(t).max().item() == pytest.approx(s(1) / 2, rel=1e-6)


@pytest.mark.parametrize("sampler", ODE, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ode_with_the_perfect_network_stays_on_the_mean(
    sampler: Sampler, dtype: torch.dtype
) -> None:
    x_0, y = pair(dtype)

    def compare(k: int, x: Tensor, estimate: Tensor) -> None:
        t = TIMES[k + 1].item()
        mean = sb(t) ** 2 / s(1) ** 2 * x_0 + s(t) ** 2 / s(1) ** 2 * y
        torch.testing.assert_close(x, mean, rtol=0, atol=1e-6)
        assert estimate is x_0

    got = sample_bridge(FromX0(Knows(x_0), BRIDGE), sampler, y, TIMES, on_step=compare)
    assert torch.equal(got, x_0)


def test_sde_with_the_perfect_network_has_the_marginals_variance() -> None:
    # unit vectors as noise: the weights of all the steps' noises, squared and summed
    times, zero = uniform(8), torch.zeros(9, 1, 1, dtype=torch.float64)

    def unit(k: int, like: Tensor) -> Tensor:
        noise = torch.zeros_like(like)
        noise[k + 1] = 1
        return noise

    def compare(k: int, x: Tensor, estimate: Tensor) -> None:
        t = times[k + 1].item()
        variance = x.square().sum().item()
        assert variance == pytest.approx((s(t) * sb(t) / s(1)) ** 2, rel=1e-9, abs=1e-15)

    denoiser = FromX0(Knows(zero), BRIDGE)
    sample_bridge(denoiser, Ancestral(), zero, times, noise=unit, on_step=compare)


def states(sampler: Sampler, y: Tensor, noise: Keyed | None = None) -> list[Tensor]:
    found = [y]
    sample_bridge(
        FromX0(Net(), BRIDGE),
        sampler,
        y,
        TIMES,
        noise=noise,
        on_step=lambda k, x, x_0: found.append(x),
    )
    return found


def denoise(x: Tensor, y: Tensor, t: float) -> Tensor:
    return Net()(x, torch.full((3,), t, dtype=x.dtype), Condition(channels=y))


@pytest.mark.parametrize("sampler", [Ddim(), Euler()], ids=repr)
def test_ode_steps_are_the_papers(sampler: Sampler) -> None:
    _, y = pair()
    walk = states(sampler, y)
    for k in range(1, 4):
        a, b = TIMES[k].item(), TIMES[k + 1].item()
        w1 = s(b) * sb(b) / (s(a) * sb(a))
        w2 = (sb(b) ** 2 - sb(a) * s(b) * sb(b) / s(a)) / s(1) ** 2
        w3 = (s(b) ** 2 - s(a) * s(b) * sb(b) / sb(a)) / s(1) ** 2
        expected = w1 * walk[k] + w2 * denoise(walk[k], y, a) + w3 * y
        torch.testing.assert_close(walk[k + 1], expected, rtol=1e-10, atol=1e-10)


def test_sde_steps_are_the_papers() -> None:
    _, y = pair()
    noise = Keyed([1, 2, 3])
    walk = states(Ancestral(), y, noise)
    for k in range(4):
        a, b = TIMES[k].item(), TIMES[k + 1].item()
        kept = s(b) ** 2 / s(a) ** 2
        estimate = denoise(walk[k], y, a)
        spread = s(b) * math.sqrt(1 - kept)
        expected = kept * walk[k] + (1 - kept) * estimate + spread * noise(k, y)
        torch.testing.assert_close(walk[k + 1], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sampler", [*ODE, Ancestral()], ids=repr)
def test_one_step_is_one_call_at_y(sampler: Sampler) -> None:
    _, y = pair()
    network = Net()
    got = sample_bridge(FromX0(network, BRIDGE), sampler, y, uniform(1), noise=Keyed(range(3)))
    assert torch.equal(got, denoise(y, y, 1.0))
    assert network.first is not None
    x, time, cond = network.first
    assert torch.equal(x, y) and torch.equal(cond.channels, y) and time.tolist() == [1, 1, 1]


def test_condition_is_completed_not_replaced() -> None:
    _, y = pair()
    network, vector = Net(), torch.ones(3, 5)
    sample_bridge(FromX0(network, BRIDGE), Ddim(), y, uniform(2), cond=Condition(vector=vector))
    assert network.first is not None and network.first[2].vector is vector
    own = Condition(channels=2 * y)
    network = Net()
    sample_bridge(FromX0(network, BRIDGE), Ddim(), y, uniform(2), cond=own)
    assert network.first is not None and network.first[2] is own


def test_errors() -> None:
    x_0, y = pair()
    denoiser = FromX0(Net(), BRIDGE)
    with pytest.raises(ValueError, match="start at 1"):
        sample_bridge(denoiser, Ddim(), y, uniform(3, start=0.9))
    with pytest.raises(ValueError, match="Cosine; expected a bridge"):
        sample_bridge(FromX0(Net(), Cosine()), Ddim(), y, uniform(3))
    with pytest.raises(ValueError, match=r"y has shape \(3, 2, 4\)"):
        bridge_marginal(BRIDGE, x_0, y[..., :4], torch.tensor(0.5), x_0)
    with pytest.raises(ValueError, match="noise has shape"):
        bridge_marginal(BRIDGE, x_0, y, torch.tensor(0.5), x_0[:1])
    with pytest.raises(ValueError, match=r"t has shape \(2, 1\)"):
        bridge_marginal(BRIDGE, x_0, y, torch.rand(2, 1), x_0)
    with pytest.raises(ValueError, match=r"x is torch.int64"):
        sample_bridge(denoiser, Ddim(), y.long(), uniform(3))
