"""DDRM against its equations in matrices, and by how much it is off the posterior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core import VariancePreserving, uniform, uniform_log_snr
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.guidance import Ddrm
from diff_core.operator import Blur, Dense, Downsample, Mask, Measurement, gaussian_kernel
from diff_core.sample import sample
from linear_gaussian import (
    CORRELATED,
    F64,
    MEAN,
    OPERATORS,
    SIZE,
    Impulses,
    levels,
    measure,
    moments,
    posterior,
    propagate,
    tensor,
    wiener,
)

EYE, SEEN = torch.eye(SIZE, dtype=F64), torch.diag(tensor([1.0, 0.0, 0.0, 1.0]))
UNSEEN = EYE - SEEN
CORRELATED_LINE = Gaussian.from_covariance(
    torch.zeros(1, SIZE, dtype=F64), EYE + 0.5 * torch.ones(SIZE, SIZE, dtype=F64)
)
Moments = tuple[Tensor, Tensor]


class Silence:
    """Noise that is 0."""

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return torch.zeros_like(like)


def affine(moments: Moments, weight: Tensor, shift: Tensor, noise: Tensor) -> Moments:
    return weight @ moments[0] + shift, weight @ moments[1] @ weight.mT + noise


def ddrm_by_hand(times: Tensor, sigma: float, y: Tensor, eta: float, eta_b: float) -> Moments:
    """Equations 7 and 8 on mean and covariance."""
    grid = levels(times)
    (a, s), certain = grid[0], grid[0][0] * sigma <= grid[0][1]
    mean = a * SEEN @ y if certain else 0 * y
    state = (mean, s * s * EYE - (a * sigma) ** 2 * SEEN * certain)
    rest = math.sqrt(1 - eta**2)
    for (a, s), (b, r) in zip(grid, grid[1:], strict=False):
        gain, offset = wiener(a, s)
        weight = UNSEEN @ (b * gain + r * rest / s * (EYE - a * gain))
        shift = UNSEEN @ (b * offset - r * rest / s * a * offset)
        noise = (eta * r) ** 2 * UNSEEN
        if b * sigma > r:
            pull = b - r * rest / sigma
            weight, shift = weight + pull * SEEN @ gain, shift + SEEN @ (pull * offset)
            shift, noise = shift + r * rest / sigma * SEEN @ y, noise + (eta * r) ** 2 * SEEN
        else:
            weight = weight + b * (1 - eta_b) * SEEN @ gain
            shift = shift + SEEN @ (b * (1 - eta_b) * offset + b * eta_b * y)
            noise = noise + (r * r - (b * eta_b * sigma) ** 2) * SEEN
        state = affine(state, weight, shift, noise)
    return state


@pytest.mark.parametrize("sigma", [0.0, 0.3, 5.0])
@pytest.mark.parametrize(("eta", "eta_b"), [(0.85, 1.0), (0.0, 1.0), (1.0, 0.4)])
def test_ddrm_is_its_equations(sigma: float, eta: float, eta_b: float) -> None:
    schedule, operator = VariancePreserving(), OPERATORS["mask"]
    times = torch.cat([uniform_log_snr(schedule, 15, 0.9, 1e-2), torch.zeros(1)])

    def solve(rows: int, x: Tensor, noise: Impulses) -> Tensor:
        sampler = Ddrm(measure(operator, sigma, rows), eta, eta_b)
        return sample(ExactDenoiser(CORRELATED, schedule), sampler, x, times, noise=noise)

    rows = torch.cat([torch.zeros(1, SIZE, dtype=F64), EYE])[:, None]
    begin = Ddrm(measure(operator, sigma, 1 + SIZE)).start(schedule, times[0], rows)[:, 0]
    mean, spread = propagate(solve, begin[:1], (begin[1:] - begin[0]).mT)
    y = measure(operator, sigma).y.flatten()
    expected = ddrm_by_hand(times, sigma, y, eta, eta_b)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(spread, expected[1])


@pytest.mark.parametrize(
    ("steps", "mean_bias", "spread_bias", "observed"),
    [(20, 0.213, 0.228, 0.38), (1280, 0.071, 0.358, 0.124)],
)
def test_bias_of_ddrm(steps: int, mean_bias: float, spread_bias: float, observed: float) -> None:
    times = torch.cat([uniform_log_snr(VariancePreserving(), steps, 0.999, 1e-2), torch.zeros(1)])
    measurement = measure(OPERATORS["mask"], 0.3)
    mean, spread = ddrm_by_hand(times, 0.3, measurement.y.flatten(), 0.85, 1.0)
    mean_0, spread_0 = moments(posterior(CORRELATED, measurement))
    off = (mean - mean_0).norm() / (mean_0 - MEAN[0]).norm()
    assert off.item() == pytest.approx(mean_bias, rel=0.05)
    off = (spread - spread_0).norm() / spread_0.norm()
    assert off.item() == pytest.approx(spread_bias, rel=0.05)
    assert (spread[0, 0] / spread_0[0, 0]).item() == pytest.approx(observed, rel=0.05)


def test_ddrm_in_another_basis_is_ddrm_on_a_mask() -> None:
    """U diag(1, 1, 0, 0) V^T sees what a mask sees after turning the signal by V^T."""
    schedule, times = VariancePreserving(), uniform(6)
    turn, _ = torch.linalg.qr(torch.randn(SIZE, SIZE, dtype=F64))
    left, _ = torch.linalg.qr(torch.randn(2, 2, dtype=F64))
    truth, z = torch.randn(2, 1, SIZE, dtype=F64), torch.randn(2, 1, SIZE, dtype=F64)
    turned = Gaussian(torch.zeros(1, SIZE, dtype=F64), tensor([[0.2, 0.5, 1.0, 2.0]]), turn)
    straight = Gaussian(turned.mean, turned.variances)
    dense = Dense(left @ turn[:, :2].mT, (1, SIZE))
    mask = Mask(tensor([1, 1, 0, 0]))
    first = Measurement(dense, dense(truth), 0.3)
    second = Measurement(mask, mask(truth @ turn), 0.3)
    # the singular values are equal, so that V is any basis of the seen plane: no noise, no choice
    a = sample(
        ExactDenoiser(turned, schedule), Ddrm(first, eta=0.0), z @ turn.mT, times, noise=Silence()
    )
    b = sample(ExactDenoiser(straight, schedule), Ddrm(second, eta=0.0), z, times, noise=Silence())
    torch.testing.assert_close(a, b @ turn.mT)


@pytest.mark.parametrize(
    "operator",
    [
        Blur(tensor([0.2, 0.5, 0.1]), "periodic"),
        Downsample(-1, 2),
        Downsample(-1, 2, gaussian_kernel((2.0,), (4,))),
    ],
    ids=["blur", "blocks", "thick slices"],
)
def test_an_operator_with_a_spectrum_agrees_with_its_matrix(operator: Blur | Downsample) -> None:
    """In its own spectrum, and in that of `Dense`: the same walk where nothing is drawn."""
    matrix = operator(EYE[:, None])[:, 0].mT
    y = torch.randn(3, 1, len(matrix), dtype=F64)
    denoiser = ExactDenoiser(CORRELATED_LINE, VariancePreserving())
    x = torch.randn(3, 1, SIZE, dtype=F64)
    times = uniform(8, start=0.95)
    found = [
        sample(denoiser, Ddrm(measurement, eta=0.0), x, times, noise=Silence())
        for measurement in (
            Measurement(operator, y, sigma=0.3),
            Measurement(Dense(matrix, (1, SIZE)), y.flatten(1), sigma=0.3),
        )
    ]
    torch.testing.assert_close(*found)


def test_a_blur_with_ends_has_no_spectrum() -> None:
    y = torch.zeros(1, 1, SIZE, dtype=F64)
    with pytest.raises(ValueError, match="expected 'periodic'"):
        Ddrm(Measurement(Blur(tensor([0.2, 0.5, 0.1])), y, sigma=0.3))
