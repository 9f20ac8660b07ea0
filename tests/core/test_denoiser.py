"""Denoisers: every parametrisation gives the same x_0, everywhere it is defined."""

from __future__ import annotations

import math
from collections.abc import Callable

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
    FromScore,
    FromV,
    FromX0,
    Preconditioned,
    RectifiedFlow,
    Schedule,
    SchroedingerBridge,
    Tabulated,
    VarianceExploding,
    VariancePreserving,
)

SIGMA_DATA = 0.7
ZERO_TERMINAL = [Cosine(), RectifiedFlow(), Tabulated((0.9, 0.5, 0.0))]


class Oracle(nn.Module):
    """A network that returns what `target(x_0, z, x_t)` says, and remembers its arguments."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer
        self.seen: tuple[Tensor, Tensor, Condition | None] | None = None

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        self.seen = (x, time, cond)
        return self.answer


def edm_target(alpha: Tensor, sigma: Tensor, x_0: Tensor, z: Tensor) -> Tensor:
    # Karras et al., table 1, in their own variables y = x / alpha and s = sigma / alpha
    y, s = x_0 + sigma / alpha * z, sigma / alpha
    skip = SIGMA_DATA**2 / (s**2 + SIGMA_DATA**2)
    out = s * SIGMA_DATA / (s**2 + SIGMA_DATA**2).sqrt()
    return (x_0 - skip * y) / out


TARGETS: dict[type[Denoiser], Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    FromX0: lambda alpha, sigma, x_0, z: x_0,
    FromEps: lambda alpha, sigma, x_0, z: z,
    FromV: lambda alpha, sigma, x_0, z: alpha * z - sigma * x_0,
    FromFlow: lambda alpha, sigma, x_0, z: z - x_0,
    FromScore: lambda alpha, sigma, x_0, z: -z / sigma,
    Preconditioned: edm_target,
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    ("dtype", "last", "tolerance"), [(torch.float64, 0.95, 1e-10), (torch.float32, 0.4, 1e-6)]
)
def test_same_x_0(
    kind: type[Denoiser], schedule: Schedule, dtype: torch.dtype, last: float, tolerance: float
) -> None:
    # float32 divides the rounding of x_t (up to 1e-6 where sigma is 20) by alpha in some kinds
    generator = torch.Generator().manual_seed(1)
    x_0, z = torch.randn(2, 8, 1, 6, dtype=dtype, generator=generator).clamp(-2, 2).unbind()
    t = torch.linspace(0.05, last, 8, dtype=dtype)
    alpha, sigma = (c.reshape(8, 1, 1) for c in (schedule.alpha(t), schedule.sigma(t)))
    network = Oracle(TARGETS[kind](alpha, sigma, x_0, z))
    keywords = {"sigma_data": SIGMA_DATA} if kind is Preconditioned else {}
    denoiser = kind(network, schedule, **keywords)
    x_t = alpha * x_0 + sigma * z
    scale = max(1.0, sigma.max().item())
    torch.testing.assert_close(denoiser(x_t, t), x_0, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("kind", TARGETS)
def test_scalar_time_equals_one_time_per_row(kind: type[Denoiser]) -> None:
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    network = Oracle(torch.randn_like(x))
    denoiser = kind(network, VariancePreserving())
    one = denoiser(x, torch.tensor(0.3, dtype=torch.float64))
    assert network.seen is not None and network.seen[1].shape == (3,)
    torch.testing.assert_close(one, denoiser(x, torch.full((3,), 0.3, dtype=torch.float64)))


@pytest.mark.parametrize("kind", [FromX0, FromEps, FromV, FromFlow, FromScore])
def test_network_is_given_t_and_the_condition(kind: type[Denoiser]) -> None:
    x, cond = torch.randn(2, 1, 4), Condition(vector=torch.ones(2, 3))
    network = Oracle(x)
    kind(network, Cosine())(x, torch.tensor([0.25, 0.5], dtype=torch.float64), cond)
    assert network.seen is not None
    seen, time, given = network.seen
    assert torch.equal(seen, x) and given is cond
    assert time.dtype == torch.float32 and time.tolist() == [0.25, 0.5]


def test_preconditioned_network_sees_unit_variance_and_log_noise(schedule: Schedule) -> None:
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    # x_t is one standard deviation of alpha x_0 + sigma z, for data of deviation sigma_data
    x_t = (alpha**2 * SIGMA_DATA**2 + sigma**2).sqrt().reshape(3, 1, 1)
    network = Oracle(x_t)
    Preconditioned(network, schedule, SIGMA_DATA)(x_t, t)
    assert network.seen is not None
    seen, time, _ = network.seen
    torch.testing.assert_close(seen, torch.ones_like(seen))
    torch.testing.assert_close(time, (sigma / alpha).log() / 4)


@pytest.mark.parametrize("schedule", [*ZERO_TERMINAL, VarianceExploding(), Edm()], ids=repr)
@pytest.mark.parametrize("kind", [FromX0, FromV, FromFlow, Preconditioned])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_both_ends(kind: type[Denoiser], schedule: Schedule, dtype: torch.dtype) -> None:
    x = torch.randn(2, 1, 4, dtype=dtype)
    t = torch.tensor([0.0, 1.0], dtype=dtype)
    network = Oracle(torch.randn_like(x))
    answer = kind(network, schedule)(x, t)
    assert torch.isfinite(answer).all()
    assert network.seen is not None and torch.isfinite(network.seen[1]).all()
    if kind is not FromX0:
        torch.testing.assert_close(answer[0], x[0])


@pytest.mark.parametrize("schedule", ZERO_TERMINAL, ids=repr)
def test_known_answers_at_zero_snr(schedule: Schedule) -> None:
    # x_t = z there, and v = -x_0
    x, x_0 = torch.randn(2, 2, 1, 4, dtype=torch.float64).unbind()
    t = torch.ones((), dtype=torch.float64)
    torch.testing.assert_close(FromV(Oracle(-x_0), schedule)(x, t), x_0)
    torch.testing.assert_close(FromFlow(Oracle(x - x_0), schedule)(x, t), x_0)
    torch.testing.assert_close(
        Preconditioned(Oracle(x_0 / SIGMA_DATA), schedule, SIGMA_DATA)(x, t), x_0
    )


@pytest.mark.parametrize("kind", [FromEps, FromScore])
@pytest.mark.parametrize("schedule", [*ZERO_TERMINAL, SchroedingerBridge()], ids=repr)
def test_noise_prediction_is_refused_at_zero_snr(kind: type[Denoiser], schedule: Schedule) -> None:
    denoiser = kind(nn.Identity(), schedule)
    with pytest.raises(ValueError, match=rf"t = 1 has alpha = 0.*{kind.__name__}"):
        denoiser.check(torch.tensor([1.0, 0.5, 0.0]))
    denoiser.check(torch.tensor([0.99, 0.5, 0.0]))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_grid_gives_the_same_answers(
    kind: type[Denoiser], schedule: Schedule, dtype: torch.dtype
) -> None:
    x = torch.randn(3, 1, 6, dtype=dtype)
    network = nn.Linear(6, 6, dtype=dtype)
    given: list[Tensor] = []

    class Net(nn.Module):
        def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
            given.append(time)
            return network(x) * (1 + time.reshape(-1, 1, 1))

    denoiser = kind(Net(), schedule)
    times = torch.linspace(0.9, 0.1, 5, dtype=torch.float64)
    denoise = denoiser.on_grid(times, x)
    for k, t in enumerate(times):
        torch.testing.assert_close(denoise(x, k), denoiser(x, t.to(dtype)), rtol=1e-4, atol=1e-5)
        ours, theirs = given[-2:]
        assert ours.shape == theirs.shape == (3,) and ours.dtype == theirs.dtype == dtype
        torch.testing.assert_close(ours, theirs)


def test_on_grid_respects_a_subclass() -> None:
    class Clipped(FromEps):
        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            return super().forward(x_t, t, cond).clamp(-1, 1)

    x = 5 * torch.randn(2, 1, 4)
    denoiser = Clipped(Oracle(torch.zeros_like(x)), VariancePreserving())
    assert denoiser.on_grid(torch.tensor([0.9, 0.1]).double(), x)(x, 0).abs().max() <= 1


def test_low_precision_signal_keeps_its_dtype() -> None:
    x = torch.randn(2, 1, 4, dtype=torch.bfloat16)
    for kind in TARGETS:
        network = Oracle(x)
        assert kind(network, Cosine())(x, torch.tensor([0.1, 0.2])).dtype == torch.bfloat16
        assert network.seen is not None and network.seen[1].dtype == torch.float32


def test_config_rebuilds() -> None:
    network, t = Oracle(torch.randn(1, 1, 4)), torch.tensor(0.3)
    for kind in TARGETS:
        denoiser = kind(network, Cosine())
        again = kind(**denoiser.config)
        assert again.config == denoiser.config
        assert torch.equal(again(network.answer, t), denoiser(network.answer, t))


def test_bad_sigma_data() -> None:
    for value in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="sigma_data"):
            Preconditioned(nn.Identity(), Cosine(), sigma_data=value)


BAD_TIMES: dict[str, tuple[Tensor, str]] = {
    "above 1": (torch.tensor([0.5, 1.5]), r"t is outside \[0, 1\]: given values from 0.5 to 1.5"),
    "below 0": (torch.tensor(-0.1), r"t is outside \[0, 1\]"),
    "not a number": (torch.tensor(math.nan), r"t is outside \[0, 1\]"),
    "a step of a table": (torch.tensor(500), r"t is torch.int64; expected floating-point times"),
    "one too many": (torch.rand(3), r"t has shape \(3,\); expected \(\) or \(2,\)"),
    "of the signal's shape": (torch.rand(2, 1, 1), r"t has shape \(2, 1, 1\)"),
    "on another device": (torch.rand(2, device="meta"), r"t is on meta; expected cpu"),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("case", BAD_TIMES)
def test_bad_times_are_refused(kind: type[Denoiser], case: str) -> None:
    t, message = BAD_TIMES[case]
    x = torch.randn(2, 1, 4)
    with pytest.raises(ValueError, match=message):
        kind(Oracle(x), Cosine())(x, t)


@pytest.mark.parametrize("kind", [kind for kind in TARGETS if kind is not FromX0])
def test_a_signal_of_integers_is_refused(kind: type[Denoiser]) -> None:
    x = torch.zeros(2, 1, 4, dtype=torch.int64)
    with pytest.raises(
        ValueError, match=r"x is torch.int64; expected real floating-point numbers"
    ):
        kind(Oracle(x), Cosine())(x, torch.tensor(0.5))
