"""Nonlinear measurements: what they compute, and who takes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diff_core import VariancePreserving
from diff_core.exact import ExactDenoiser
from diff_core.guidance import Daps, Ddrm, DiffPir, Dps, Mmps, PiGdm
from diff_core.operator import (
    Blur,
    Clip,
    Compose,
    Dense,
    Magnitude,
    Measurement,
    NonlinearMeasurement,
)
from linear_gaussian import CORRELATED, F64, SIZE, tensor

X = torch.randn(2, 1, SIZE, dtype=F64, generator=torch.Generator().manual_seed(1))


def test_clip_saturates_what_the_gain_lifts() -> None:
    x = tensor([[[-3.0, -0.2, 0.4, 2.0]]])
    torch.testing.assert_close(Clip(-1.0, 0.5, gain=2.0)(x), tensor([[[-1.0, -0.4, 0.5, 0.5]]]))


@pytest.mark.parametrize("oversampling", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("size", [(7,), (4, 6), (3, 4, 2)])
def test_magnitudes_have_no_phase(size: tuple[int, ...], oversampling: float) -> None:
    """A signal, its negative and its mirror image measure alike, and the energy is kept."""
    x = torch.randn(2, 3, *size, dtype=F64)
    y = Magnitude(oversampling)(x)
    assert y.shape == (2, 3, *(math.ceil(oversampling * n) for n in size))
    torch.testing.assert_close(y.square().sum(), x.square().sum())
    for same in (-x, x.flip(tuple(range(2, x.ndim)))):
        torch.testing.assert_close(Magnitude(oversampling)(same), y)


def test_at_twice_the_size_magnitudes_are_the_autocorrelation() -> None:
    x = torch.randn(1, 1, 6, dtype=F64)
    y = Magnitude(2.0)(x)
    found = torch.fft.ifft(y[0, 0] ** 2 * 12**0.5, norm="ortho").real[:6]
    expected = [float((x[0, 0, : 6 - lag] * x[0, 0, lag:]).sum()) for lag in range(6)]
    torch.testing.assert_close(found, tensor(expected))


OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "clip": Clip(-0.8, 0.6, gain=1.5),
    "magnitude": Magnitude(2.0),
    "blur, then clip": Compose((Blur(tensor([0.2, 0.5, 0.3])), Clip(-0.3, 0.5))),
    "cube": lambda x: x**3,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_pull_is_half_the_gradient_of_the_misfit(name: str) -> None:
    """By central differences, far from the corners of a clip."""
    operator = OPERATORS[name]
    y = operator(X + 0.1)
    measurement = NonlinearMeasurement(operator, y, X.shape, 0.1)
    step = 1e-6
    slopes = [
        (
            (y - operator(X + step * e)).square().flatten(1).sum(1)
            - (y - operator(X - step * e)).square().flatten(1).sum(1)
        )
        / (2 * step)
        for e in torch.eye(SIZE, dtype=F64)
    ]
    expected = -0.5 * torch.stack(slopes, -1)[:, None]
    torch.testing.assert_close(measurement.pull(X), expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(measurement.residual(X), y - operator(X))


def test_a_linear_operator_pulls_alike_in_both_measurements() -> None:
    dense = Dense(torch.randn(3, SIZE, dtype=F64), (1, SIZE))
    y = torch.randn(2, 3, dtype=F64)
    linear = Measurement(dense, y, 0.2)
    other = NonlinearMeasurement(dense, y, X.shape, 0.2)
    torch.testing.assert_close(linear.pull(X), other.pull(X))
    denoiser, t = ExactDenoiser(CORRELATED, VariancePreserving()), tensor(0.4)
    for scale in (None, 3.0):
        torch.testing.assert_close(
            Dps(denoiser, linear, scale=scale)(X, t), Dps(denoiser, other, scale=scale)(X, t)
        )


def clipped(sigma: float = 0.1) -> NonlinearMeasurement:
    return NonlinearMeasurement(Clip(), Clip()(X), X.shape, sigma)


def exact() -> ExactDenoiser:
    return ExactDenoiser(CORRELATED, VariancePreserving())


Y = torch.zeros(2, 1, SIZE, dtype=F64)
ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "mmps": (lambda: Mmps(exact(), clipped()), "NonlinearMeasurement; Mmps solves a linear"),  # type: ignore[arg-type]
    "pigdm": (
        lambda: PiGdm(exact(), clipped(), sigma_data=1.0),  # type: ignore[arg-type]
        "NonlinearMeasurement; PiGdm solves",
    ),
    "diffpir": (lambda: DiffPir(exact(), clipped()), "NonlinearMeasurement; DiffPir"),  # type: ignore[arg-type]
    "ddrm": (lambda: Ddrm(clipped()), "operator is Clip; expected one with a singular"),  # type: ignore[arg-type]
    "daps": (lambda: Daps(clipped(0.0)), "measurement.sigma is 0; expected noise"),
    "dps": (lambda: Dps(exact(), clipped(0.0), scale=None), "measurement.sigma is 0"),
    "linear": (lambda: Measurement(Clip(), Y), "operator is Clip, which has no adjoint"),  # type: ignore[arg-type]
    "shape": (
        lambda: NonlinearMeasurement(Magnitude(2.0), Y, X.shape),
        r"y has shape \(2, 1, 4\); expected .* \(2, 1, 8\)",
    ),
    "y": (lambda: NonlinearMeasurement(Clip(), Y / 0, X.shape), "8 entries that are NaN"),
    "sigma": (lambda: NonlinearMeasurement(Clip(), Y, X.shape, math.nan), "sigma is nan"),
    "gradient": (
        lambda: NonlinearMeasurement(lambda x: x.detach(), Y, X.shape),
        "without a gradient",
    ),
    "x": (lambda: clipped().check(X[:1]), r"x_t has shape \(1, 1, 4\)"),
    "range": (lambda: Clip(1.0, -1.0), "low is 1.0, high is -1.0"),
    "gain": (lambda: Clip(gain=0.0), "gain is 0"),
    "oversampling": (lambda: Magnitude(0.5), "oversampling is 0.5"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()
