"""The forward process: Markov steps compose to the marginal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diff_core import Schedule, VariancePreserving, marginal, transition
from diff_core.schedule import log_snr


def f64(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def moments(schedule: Schedule, times: list[float]) -> tuple[float, float]:
    """Mean and variance of the chain through `times` from x_0 = 1, without sampling.

    The chain is affine in x_0 and the noises, so that unit vectors in their place give the
    weights: row 0 carries x_0, row k the noise of step k.
    """
    x = torch.zeros(len(times) + 1, 1, dtype=torch.float64)
    x[0] = 1
    before = 0.0
    for k, t in enumerate(times):
        noise = torch.zeros_like(x)
        noise[k + 1] = 1
        x = transition(schedule, x, f64(before), f64(t), noise)
        before = t
    return x[0].item(), (x[1:] ** 2).sum().item()


@given(
    times=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6, unique=True).filter(
        lambda ts: all(b - a > 1e-6 for a, b in zip(sorted(ts), sorted(ts)[1:], strict=False))
    )
)
def test_markov_steps_compose_to_the_marginal(schedule: Schedule, times: list[float]) -> None:
    times = sorted(times)
    mean, variance = moments(schedule, times)
    t = f64(times[-1])
    assert mean == pytest.approx(schedule.alpha(t).item(), rel=1e-9)
    assert variance == pytest.approx(schedule.sigma(t).item() ** 2, rel=1e-9)


def test_marginal_is_alpha_x_0_plus_sigma_z(schedule: Schedule) -> None:
    generator = torch.Generator().manual_seed(0)
    x_0, z = torch.randn(2, 4, 3, 5, generator=generator).unbind()
    t = torch.tensor([0.0, 0.2, 0.7, 1.0])
    x_t = marginal(schedule, x_0, t, z)
    for b in range(4):
        expected = schedule.alpha(t[b]) * x_0[b] + schedule.sigma(t[b]) * z[b]
        torch.testing.assert_close(x_t[b], expected)
        alone = marginal(schedule, x_0[b : b + 1], t[b], z[b : b + 1])
        torch.testing.assert_close(alone[0], x_t[b])
    assert torch.equal(x_t[0], x_0[0])


def test_transition_variance_is_the_difference_of_the_marginals(schedule: Schedule) -> None:
    s, t = f64(0.4), f64(0.6)
    x = transition(schedule, torch.zeros(1, 1).double(), s, t, torch.ones(1, 1).double())
    ratio = schedule.alpha(t) / schedule.alpha(s)
    expected = schedule.sigma(t) ** 2 - ratio**2 * schedule.sigma(s) ** 2
    assert x.item() ** 2 == pytest.approx(expected.item(), rel=1e-9)
    assert log_snr(schedule, t) < log_snr(schedule, s)


def test_errors_name_the_argument() -> None:
    schedule, x = VariancePreserving(), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"noise .*\(2, 4\).*\(2, 3\)"):
        marginal(schedule, x, torch.tensor(0.5), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"t is outside \[0, 1\].*1.5"):
        marginal(schedule, x, torch.tensor(1.5), x)
    with pytest.raises(ValueError, match=r"t is outside"):
        marginal(schedule, x, torch.tensor([0.1, float("nan")]), x)
    with pytest.raises(ValueError, match=r"expected s < t"):
        transition(schedule, x, torch.tensor(0.5), torch.tensor(0.5), x)
    with pytest.raises(ValueError, match=r"t has shape \(3,\); expected \(\) or \(2,\)"):
        marginal(schedule, x, torch.rand(3), x)
    with pytest.raises(ValueError, match=r"t is torch.int64"):
        marginal(schedule, x, torch.tensor(1), x)
    with pytest.raises(ValueError, match=r"t is on meta; expected cpu"):
        marginal(schedule, x, torch.rand(2, device="meta"), x)
    with pytest.raises(ValueError, match=r"x is torch.int64; expected real floating-point"):
        marginal(schedule, x.long(), torch.tensor(0.5), x.long())
    with pytest.raises(ValueError, match=r"s has shape \(3,\)"):
        transition(schedule, x, torch.rand(3), torch.tensor(1.0), x)
