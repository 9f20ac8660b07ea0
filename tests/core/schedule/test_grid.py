"""Time grids: spacing, ends, errors."""

from __future__ import annotations

import pytest
import torch

from diff_core import (
    Cosine,
    RectifiedFlow,
    Schedule,
    VariancePreserving,
    karras,
    log_snr,
    uniform,
    uniform_flow,
    uniform_log_snr,
)
from diff_core.grid import check_times, quadratic, trailing


def test_uniform() -> None:
    times = uniform(4)
    assert times.dtype == torch.float64
    assert times.tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert uniform(1, start=0.5, stop=0.25).tolist() == [0.5, 0.25]


def test_quadratic() -> None:
    assert quadratic(4).tolist() == [1, 0.5625, 0.25, 0.0625, 0]
    assert quadratic(2, start=0.64, stop=0.04).tolist() == pytest.approx([0.64, 0.25, 0.04])


def test_trailing_visits_entries() -> None:
    assert trailing(1000, 4).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert trailing(10, 3).tolist() == pytest.approx([1, 0.7, 0.3, 0])
    assert trailing(7, 7).tolist() == pytest.approx([i / 7 for i in range(7, -1, -1)])
    with pytest.raises(ValueError, match="steps is 8"):
        trailing(7, 8)


def test_uniform_log_snr_has_equal_steps(schedule: Schedule) -> None:
    times = uniform_log_snr(schedule, 20, start=0.9, stop=0.01)
    assert times[0] == 0.9 and times[-1] == 0.01
    steps = log_snr(schedule, times).diff()
    torch.testing.assert_close(steps, steps.mean().expand(20), rtol=1e-7, atol=0)


def test_karras_levels(path: Schedule) -> None:
    times = karras(path, 9, sigma_min=0.01, sigma_max=20, rho=7)
    assert times.shape == (10,) and times[-1] == 0
    levels = (-log_snr(path, times[:-1])).exp()
    top = min(20.0, (-log_snr(path, torch.ones(1, dtype=torch.float64))).exp().item())
    expected = torch.linspace(top ** (1 / 7), 0.01 ** (1 / 7), 9, dtype=torch.float64) ** 7
    torch.testing.assert_close(levels, expected, rtol=1e-8, atol=0)


def test_uniform_flow_has_equal_steps_of_a_rectified_flow(schedule: Schedule) -> None:
    times = uniform_flow(schedule, 8, middle=0.3)
    assert times[0] == 1 and times[-1] == 0
    rho = (-log_snr(schedule, times)).exp()
    share = torch.where(rho.isfinite(), rho / (rho + 0.3), 1.0)
    torch.testing.assert_close(share.diff(), (-share[0] / 8).expand(8), rtol=1e-7, atol=0)


def test_uniform_flow_is_uniform_on_its_own_schedule() -> None:
    torch.testing.assert_close(uniform_flow(RectifiedFlow(), 7, middle=1.0), uniform(7))
    middle = uniform_flow(Cosine(), 2, middle=0.2)[1]
    assert (-log_snr(Cosine(), middle)).exp().item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1.0], r"shape \(1,\)"),
        ([[1.0, 0.0]], r"shape \(1, 2\)"),
        ([1.1, 0.0], r"\[0, 1\]"),
        ([1.0, -0.1], r"\[0, 1\]"),
        ([1.0, 0.5, 0.5, 0.0], r"times\[2\] = 0.5"),
        ([0.0, 1.0], r"times\[1\]"),
        ([1.0, float("nan"), 0.0], r"times\[1\]"),
        ([float("nan"), 0.0], r"\[0, 1\]"),
    ],
)
def test_bad_grid(times: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_times(torch.tensor(times))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="steps is 0"):
        uniform(0)
    with pytest.raises(ValueError, match="middle is 0"):
        uniform_flow(Cosine(), 5, middle=0)
    with pytest.raises(ValueError, match="sigma_min"):
        karras(VariancePreserving(), 5, sigma_min=3, sigma_max=2)
    with pytest.raises(ValueError, match="finite"):
        uniform_log_snr(Cosine(), 5, stop=0)
