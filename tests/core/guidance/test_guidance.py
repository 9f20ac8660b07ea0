"""Guidance towards a condition: the equations, and what they do to Gaussians in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diff_core import (
    Condition,
    Cosine,
    Ddim,
    Denoiser,
    FromEps,
    FromV,
    Heun,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreserving,
    uniform,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.guidance import Autoguidance, Cfg, CfgPP, Interval
from diff_core.sample import sample

NARROW, WIDE = 0.3, 2.0
"""Variances of x_0 with and without a condition."""


def full(value: float) -> Tensor:
    return torch.full((3,), value, dtype=torch.float64)


class Labelled(Denoiser):
    """x_0 is N(vector, NARROW) given a vector, N(0, WIDE) given none; counts its calls."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.calls = 0

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        self.calls += 1
        if cond is None or cond.vector is None:
            return ExactDenoiser(Gaussian(full(0), full(WIDE)), self.schedule)(x_t, t)
        exact = ExactDenoiser(Gaussian(full(0), full(NARROW)), self.schedule)
        alpha = self.schedule.alpha(t).reshape(-1, 1).to(x_t)
        return cond.vector + exact(x_t - alpha * cond.vector, t)


def label(*values: float) -> Condition:
    return Condition(vector=torch.tensor(values, dtype=torch.float64)[:, None].expand(-1, 3))


X = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
T = torch.tensor(0.6, dtype=torch.float64)
COND = label(1.0, -2.0, 0.5, 3.0)


def test_weights_one_and_zero_are_the_plain_denoisers() -> None:
    denoiser = Labelled(VariancePreserving())
    conditional = Cfg(denoiser, null=None, weight=1.0)(X, T, COND)
    assert denoiser.calls == 1
    assert torch.equal(conditional, denoiser(X, T, COND))
    assert torch.equal(Cfg(denoiser, null=None, weight=0.0)(X, T, COND), denoiser(X, T))


@pytest.mark.parametrize("weight", [-0.5, 0.3, 2.0, 7.5])
def test_equal_variances_move_the_mean(weight: float) -> None:
    """Guidance between N(null, c) and N(cond, c) is the denoiser of a Gaussian in between."""
    schedule = RectifiedFlow()
    null, cond = label(0.4), label(*(2.0,) * 4)
    guided = Cfg(Labelled(schedule), null=null, weight=weight)(X, T, cond)
    mean = 0.4 + weight * (2.0 - 0.4)
    exact = ExactDenoiser(Gaussian(full(mean), full(NARROW)), schedule)(X, T)
    torch.testing.assert_close(guided, exact)


GUIDED: dict[str, Callable[[Denoiser, float], Denoiser]] = {
    "cfg": lambda d, w: Cfg(d, null=None, weight=w),
    "autoguidance": lambda d, w: Autoguidance(
        d, weak=ExactDenoiser(Gaussian(full(0), full(WIDE)), d.schedule), weight=w
    ),
}


@pytest.mark.parametrize("kind", GUIDED)
@pytest.mark.parametrize("schedule", [VariancePreserving(), VarianceExploding()])
def test_variance_after_the_guided_flow(kind: str, schedule: Schedule) -> None:
    """du/drho = (u - D_w) / rho multiplies u by ((c + r^2)^w (C + r^2)^(1 - w))^(1/2) ratios.

    So N(0, c) guided against N(0, C) ends at variance c^w C^(1 - w), far below c for w > 1.
    """
    weight, start = 3.0, 0.9
    guided = GUIDED[kind](Labelled(schedule), weight)
    t = torch.tensor(start, dtype=torch.float64)
    rho = (schedule.sigma(t) / schedule.alpha(t)).item()
    factor = math.sqrt(
        (NARROW / (NARROW + rho**2)) ** weight * (WIDE / (WIDE + rho**2)) ** (1 - weight)
    )
    exact = X / schedule.alpha(t) * factor
    errors: list[float] = []
    for steps in (64, 128, 256):
        times = torch.cat([uniform_log_snr(schedule, steps, start, 1e-4), torch.zeros(1)])
        got = sample(guided, Heun(), X, times, cond=label(0, 0, 0, 0))
        errors.append(((got - exact).norm() / exact.norm()).item())
    # of second order, to the closed form
    assert errors[2] < 2e-3 and errors[0] / errors[1] > 3 and errors[1] / errors[2] > 3


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_rescale_keeps_the_deviation_of_the_conditional(weight: float) -> None:
    denoiser = Labelled(VariancePreserving())
    conditional = denoiser(X, T, COND)
    plain = Cfg(denoiser, null=None, weight=weight)(X, T, COND)
    full_scale = Cfg(denoiser, null=None, weight=weight, rescale=1.0)(X, T, COND)
    torch.testing.assert_close(full_scale.std(1), conditional.std(1))
    # a multiple of the guided estimate in each row, and phi goes linearly between the two
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(unit(full_scale), unit(plain))
    part = Cfg(denoiser, null=None, weight=weight, rescale=0.7)(X, T, COND)
    torch.testing.assert_close(part, 0.7 * full_scale + 0.3 * plain)


def test_the_same_whatever_the_network_predicts() -> None:
    """Guiding the noise, the velocity or x_0 itself are one equation."""

    class Network(torch.nn.Module):
        def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
            return x.sin() + (0 if cond is None else cond.vector)

    schedule, network = VariancePreserving(), Network()
    alpha, sigma = schedule.alpha(T), schedule.sigma(T)
    time = T.expand(4)
    mixed = network(X, time) + 3 * (network(X, time, COND) - network(X, time))
    torch.testing.assert_close(
        Cfg(FromEps(network, schedule), null=None, weight=3.0)(X, T, COND),
        (X - sigma * mixed) / alpha,
    )
    torch.testing.assert_close(
        Cfg(FromV(network, schedule), null=None, weight=3.0)(X, T, COND), alpha * X - sigma * mixed
    )


@pytest.mark.parametrize("schedule", [Cosine(), VariancePreserving(), VarianceExploding()])
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_cfg_pp_makes_the_steps_of_its_algorithm(schedule: Schedule, weight: float) -> None:
    denoiser, times = Labelled(schedule), uniform(7)
    guided = CfgPP(denoiser, null=label(0.1), weight=weight, times=times)
    x = X
    for t, s in zip(times, times[1:], strict=False):
        null = denoiser(x, t, label(*(0.1,) * 4))
        mixed = null + weight * (denoiser(x, t, COND) - null)
        residue = (x - schedule.alpha(t) * null) / schedule.sigma(t)
        x = schedule.alpha(s) * mixed + schedule.sigma(s) * residue
    torch.testing.assert_close(sample(guided, Ddim(), X, times, cond=COND), x)
    # times rounded to float32 find their step
    single = sample(guided, Ddim(), X.float(), times, cond=Condition(vector=COND.vector))
    torch.testing.assert_close(single, x, rtol=1e-3, atol=1e-3, check_dtype=False)


def test_interval_guides_inside_only_and_calls_no_more_than_it_needs() -> None:
    schedule = VariancePreserving()
    denoiser = Labelled(schedule)
    cfg = Cfg(denoiser, null=None, weight=4.0)
    interval = Interval(cfg, denoiser, low=0.5, high=2.0)
    t = schedule.time(-torch.tensor([0.4, 1.0, 1.9, 2.1], dtype=torch.float64).log())
    mixed = interval(X, t, COND)
    plain, guided = denoiser(X, t, COND), cfg(X, t, COND)
    torch.testing.assert_close(mixed[[0, 3]], plain[[0, 3]])
    torch.testing.assert_close(mixed[[1, 2]], guided[[1, 2]])
    assert (plain - guided).abs().amin() > 1e-3
    for row, calls in enumerate((1, 2, 2, 1)):
        denoiser.calls = 0
        torch.testing.assert_close(interval(X, t[row], COND)[row], mixed[row])
        assert denoiser.calls == calls


def test_interval_is_open_below_and_closed_above() -> None:
    schedule = RectifiedFlow()
    denoiser = Labelled(schedule)
    interval = Interval(Cfg(denoiser, null=None, weight=3.0), denoiser, low=0.25, high=1.0)
    cfg = interval.guided
    for t, inside in ((0.2, False), (0.5, True)):  # sigma / alpha is exactly 0.25 and 1
        time = torch.tensor(t, dtype=torch.float64)
        expected = cfg(X, time, COND) if inside else denoiser(X, time, COND)
        torch.testing.assert_close(interval(X, time, COND), expected)


def test_a_null_text_has_a_length_of_its_own() -> None:
    class Mean(Denoiser):
        """The mean of the valid tokens."""

        def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
            assert cond is not None and cond.tokens is not None
            counts = cond.token_lengths
            if counts is None:
                return cond.tokens.mean(1)
            kept = torch.arange(cond.tokens.shape[1]) < counts[:, None]
            return (cond.tokens * kept[..., None]).sum(1) / counts[:, None]

    tokens = torch.randn(4, 5, 3, dtype=torch.float64)
    cond = Condition(tokens=tokens, token_lengths=torch.tensor([1, 2, 3, 5]))
    means = torch.stack([tokens[b, :n].mean(0) for b, n in enumerate((1, 2, 3, 5))])
    empty, mean = torch.randn(1, 2, 3, dtype=torch.float64), Mean(VariancePreserving())
    for null, nothing in (
        (Condition(tokens=empty[:, :1]), empty[:, 0]),
        (Condition(tokens=empty, token_lengths=torch.tensor([2])), empty.mean(1)),
    ):
        guided = Cfg(mean, null=null, weight=3.0)(X, T, cond)
        torch.testing.assert_close(guided, nothing + 3 * (means - nothing))


def vp() -> Labelled:
    return Labelled(VariancePreserving())


ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "no condition": (lambda: Cfg(vp(), null=None, weight=2.0)(X, T), "cond is None"),
    "weight": (lambda: Cfg(vp(), null=None, weight=math.nan), "weight is nan"),
    "rescale": (lambda: Cfg(vp(), null=None, weight=2.0, rescale=1.5), "rescale is 1.5"),
    "null without": (
        lambda: Cfg(vp(), null=Condition(), weight=2.0)(X, T, COND),
        "cond has vector and null has not",
    ),
    "null with": (
        lambda: Cfg(vp(), null=Condition(tokens=torch.ones(1, 2, 3)), weight=2.0)(
            X, T, Condition()
        ),
        "null has tokens and cond has not",
    ),
    "null rows": (lambda: Cfg(vp(), null=label(1, 2), weight=2.0)(X, T, COND), "2 rows.*1 or 4"),
    "weak schedule": (
        lambda: Autoguidance(vp(), weak=Labelled(Cosine()), weight=2.0),
        "weak has schedule Cosine.*VariancePreserving",
    ),
    "weak weight": (lambda: Autoguidance(vp(), weak=vp(), weight=math.inf), "weight is inf"),
    "cfg++ weight": (
        lambda: CfgPP(vp(), null=None, weight=1.2, times=uniform(4)),
        "weight is 1.2",
    ),
    "cfg++ grid": (
        lambda: CfgPP(vp(), null=None, weight=0.5, times=torch.tensor([0.1, 0.5])),
        "strictly decreasing",
    ),
    "another grid": (
        lambda: sample(
            CfgPP(vp(), null=None, weight=0.5, times=uniform(4)), Ddim(), X, uniform(5), cond=COND
        ),
        "expected the grid that CfgPP was given",
    ),
    "interval": (lambda: Interval(vp(), vp(), low=2.0, high=1.0), "low=2.0, high=1.0"),
    "interval schedule": (
        lambda: Interval(vp(), Labelled(Cosine()), low=0.0, high=1.0),
        "plain has schedule Cosine",
    ),
    "inner check": (
        lambda: sample(
            Cfg(FromEps(torch.nn.Identity(), Cosine()), null=None, weight=2.0),
            Ddim(),
            X,
            uniform(3),
            cond=COND,
        ),
        "alpha = 0",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()
