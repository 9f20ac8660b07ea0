"""Inverse problems in use: what is kept, how many calls are made, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diff_core import (
    Ancestral,
    Condition,
    Cosine,
    Ddim,
    Denoiser,
    DpmSolverPP2M,
    Keyed,
    RectifiedFlow,
    Schedule,
    VariancePreserving,
    uniform,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.guidance import Ddrm, DiffPir, Dps, Mmps, PiGdm, Renoise, RePaint
from diff_core.operator import Compose, Downsample, Mask, Measurement, gaussian_kernel
from diff_core.sample import sample

F64 = torch.float64
SIZE = 4


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=F64)


MIXTURE = Mixture(tensor([0.4, 0.6]), tensor([-1.0, 1.5]), tensor([0.3, 0.6]))
OBSERVED = tensor([1.0, 0.0, 0.0, 1.0])
Y = tensor([1.0, math.nan, math.nan, 1.5])


class Silence:
    """Noise that is 0."""

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return torch.zeros_like(like)


@pytest.mark.parametrize("zeta", [0.0, 0.4, 1.0])
def test_renoise_is_its_formula(zeta: float) -> None:
    schedule, times = RectifiedFlow(), uniform(5)
    denoiser, noise = ExactDenoiser(MIXTURE, schedule), Keyed([3, 4])
    x = torch.randn(2, 1, SIZE, dtype=F64)
    got = sample(denoiser, Renoise(zeta), x, times, noise=noise)
    for k, (t, s) in enumerate(zip(times, times[1:], strict=False)):
        estimate = denoiser(x, t)
        eps = (x - schedule.alpha(t) * estimate) / schedule.sigma(t)
        mixed = math.sqrt(1 - zeta) * eps + math.sqrt(zeta) * noise(k, x)
        x = schedule.alpha(s) * estimate + schedule.sigma(s) * mixed
    torch.testing.assert_close(got, x)


class Counting(Denoiser):
    """The mixture's denoiser, with the number of its calls."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.exact = ExactDenoiser(MIXTURE, schedule)
        self.calls = 0

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        self.calls += 1
        return self.exact(x_t, t)


@pytest.mark.parametrize(
    ("resamplings", "jump", "calls"), [(1, 1, 8), (3, 1, 3 * 7 + 1), (3, 4, 2 * 7 + 8)]
)
def test_repaint_keeps_the_observed_and_makes_the_rest(
    resamplings: int, jump: int, calls: int
) -> None:
    denoiser = Counting(VariancePreserving())
    y = torch.randn(2, 1, SIZE, dtype=F64)
    hidden = torch.where(OBSERVED > 0, y, math.nan)
    noise, x = Keyed([5, 6]), torch.randn(2, 1, SIZE, dtype=F64)
    sampler = RePaint(OBSERVED, hidden, resamplings=resamplings, jump=jump)
    out = sample(denoiser, sampler, x, uniform(8), noise=noise)
    assert torch.equal(out[..., [0, 3]], y[..., [0, 3]]) and out.isfinite().all()
    assert denoiser.calls == calls
    alone = RePaint(OBSERVED, hidden[1:], resamplings=resamplings, jump=jump)
    torch.testing.assert_close(
        sample(denoiser, alone, x[1:], uniform(8), noise=Keyed([6])), out[1:]
    )


@pytest.mark.parametrize("method", ["mmps", "pigdm", "diffpir"])
def test_a_measurement_without_noise_is_met(method: str) -> None:
    """float32, a super-resolution by 4 and the ordinary sampler: A x = y in the end."""
    schedule = VariancePreserving()
    operator = Downsample(-2, 4, gaussian_kernel((4.0,), (12,)))
    y = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(2))
    measurement = Measurement(operator, y)
    denoiser = ExactDenoiser(Mixture(*(p.float() for p in vars(MIXTURE).values())), schedule)
    guided = {
        "mmps": Mmps(denoiser, measurement, max_steps=30),
        "pigdm": PiGdm(denoiser, measurement, sigma_data=1.3),
        "diffpir": DiffPir(denoiser, measurement),
    }[method]
    times = torch.cat([uniform_log_snr(schedule, 20, 0.999, 1e-2), torch.zeros(1)])
    x = sample(guided, Ancestral(), torch.randn(2, 3, 16, 5), times, noise=Keyed([1, 2]))
    assert x.dtype == torch.float32 and not x.requires_grad
    # of a prior with deviation 1.3
    torch.testing.assert_close(operator(x), y, rtol=0, atol={"diffpir": 1e-4}.get(method, 0.05))


def test_only_the_denoiser_is_differentiated() -> None:
    """Operators without autograd will do, and parameters collect no gradient."""

    class Opaque:
        def __call__(self, x: Tensor) -> Tensor:
            return torch.as_tensor(x.detach().numpy()[..., :2] * 2.0)

        def adjoint(self, y: Tensor) -> Tensor:
            return torch.nn.functional.pad(y.detach() * 2.0, (0, 2))

    class Network(Denoiser):
        def __init__(self) -> None:
            super().__init__(VariancePreserving())
            self.layer = torch.nn.Linear(SIZE, SIZE, dtype=F64)

        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            return self.layer(x_t).tanh()

    network = Network()
    measurement = Measurement(Opaque(), torch.ones(1, 1, 2, dtype=F64), 0.5)
    for guided in (Mmps(network, measurement), Dps(network, measurement, scale=1.0)):
        out = sample(guided, Ddim(), torch.ones(1, 1, SIZE, dtype=F64), uniform(4))
        assert not out.requires_grad
    assert network.layer.weight.grad is None


class Blind(Denoiser):
    """An answer that autograd cannot follow."""

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        with torch.no_grad():
            return x_t * 0.5


def exact() -> ExactDenoiser:
    return ExactDenoiser(MIXTURE, VariancePreserving())


def quiet() -> Measurement:
    return Measurement(Mask(OBSERVED), Y[None, None])


X = torch.zeros(1, 1, SIZE, dtype=F64)
T = tensor(0.5)
ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "dps without noise": (
        lambda: Dps(exact(), quiet(), scale=None),
        "measurement.sigma is 0 and scale is No",
    ),
    "dps scale": (lambda: Dps(exact(), quiet(), scale=-1.0), "scale is -1.0"),
    "pigdm sigma": (lambda: PiGdm(exact(), quiet(), sigma_data=0.0), "sigma_data is 0.0"),
    "diffpir sigma": (lambda: DiffPir(exact(), quiet(), sigma_data=-1.0), "sigma_data is -1.0"),
    "diffpir strength": (lambda: DiffPir(exact(), quiet(), strength=0.0), "strength is 0.0"),
    "mmps steps": (lambda: Mmps(exact(), quiet(), max_steps=0), "max_steps is 0"),
    "zeta": (lambda: Renoise(1.5), "zeta is 1.5"),
    "shape": (lambda: Mmps(exact(), quiet())(X[..., :3], T), r"x_t has shape \(1, 1, 3\)"),
    "batch": (lambda: DiffPir(exact(), quiet())(X.expand(2, 1, SIZE), T), "x_t has shape"),
    "no gradient": (lambda: Mmps(Blind(exact().schedule), quiet())(X, T), "Blind.*gradient"),
    "alpha zero": (
        lambda: sample(Mmps(ExactDenoiser(MIXTURE, Cosine()), quiet()), Ddim(), X, uniform(3)),
        "t = 1 has alpha = 0, where Mmps",
    ),
    "resamplings": (lambda: RePaint(OBSERVED, X, resamplings=0), "resamplings is 0"),
    "jump": (lambda: RePaint(OBSERVED, X, jump=0), "jump is 0"),
    "mask values": (lambda: RePaint(2 * OBSERVED, X), "only 0 and 1"),
    "y": (lambda: RePaint(1 - OBSERVED, Y[None, None]), "y is NaN or infinite"),
    "y shape": (
        lambda: sample(
            exact(), RePaint(OBSERVED, X), X.expand(2, 1, 4), uniform(2), noise=Silence()
        ),
        r"y has shape \(1, 1, 4\); expected that of x, \(2, 1, 4\)",
    ),
    "multistep": (
        lambda: sample(
            exact(), RePaint(OBSERVED, X, DpmSolverPP2M()), X, uniform(2), noise=Silence()
        ),
        "multistep method",
    ),
    "repaint noise": (
        lambda: sample(exact(), RePaint(OBSERVED, X), X, uniform(2)),
        "noise is None",
    ),
    "ddrm eta": (lambda: Ddrm(quiet(), eta=2.0), "eta is 2.0"),
    "ddrm operator": (
        lambda: Ddrm(Measurement(Compose((Mask(OBSERVED),)), torch.zeros(1, 1, SIZE))),
        "operator is Compose.*SpectralOperator",
    ),
    "ddrm shape": (
        lambda: sample(exact(), Ddrm(quiet()), X.expand(2, 1, 4), uniform(2), noise=Silence()),
        "x_t has shape",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()
