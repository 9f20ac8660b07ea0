"""Adaptive steps: their error follows the tolerance, row by row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diff_core import (
    Cosine,
    Keyed,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreserving,
)
from diff_core.exact import ExactDenoiser
from diff_core.sample import (
    sample_adaptive,
)
from sampler_cases import (
    MIXTURE,
    Function,
    smooth,
    tensor,
)


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
