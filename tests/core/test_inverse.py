"""Inverse problems on Gaussian priors, where the posterior is known: exact, or off by how much.

Every method that is linear in its input is propagated exactly: unit vectors as the start and as
each noise give the mean and the covariance of what comes out. No Monte Carlo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import scipy.integrate
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diff_core import (
    Ancestral,
    Cosine,
    Denoiser,
    DpmSolverPP2M,
    Edm,
    Heun,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreserving,
    karras,
    uniform,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Gaussian, Mixture
from diff_core.guidance import Ddrm, DiffPir, Dps, Mmps, PiGdm, Renoise, RePaint
from diff_core.operator import (
    Blur,
    Compose,
    Dense,
    Downsample,
    LinearOperator,
    Mask,
    Measurement,
    gaussian_kernel,
)
from diff_core.sample import Sampler, sample

F64 = torch.float64
SIZE = 4
SCHEDULES = [VariancePreserving(), VarianceExploding(), RectifiedFlow()]


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=F64)


def covariance() -> Tensor:
    """Correlated, with eigenvalues from 0.1 to 2.3."""
    root = tensor([[1.2, 0, 0, 0], [0.9, 0.6, 0, 0], [0.2, -0.5, 0.7, 0], [0.1, 0.3, -0.4, 0.5]])
    return root @ root.mT


MEAN = tensor([[0.5, -1.0, 0.0, 2.0]])
CORRELATED = Gaussian.from_covariance(MEAN, covariance())
ISOTROPIC = Gaussian(MEAN, torch.full_like(MEAN, 0.7))

OPERATORS: dict[str, LinearOperator] = {
    "mask": Mask(tensor([1, 0, 0, 1])),
    "dense": Dense(tensor([[[1.0, 0.5, -0.2, 0.1], [0.0, 1.0, 2.0, -1.0]]])[0], (1, SIZE)),
    "thick slices": Downsample(-1, 2, gaussian_kernel((2.0,), (4,))),
    "blur, some missing": Compose((Blur(tensor([0.2, 0.5, 0.3])), Mask(tensor([1, 1, 0, 1])))),
}
by_operator = pytest.mark.parametrize("name", OPERATORS)


def matrix(operator: LinearOperator) -> Tensor:
    """(M, SIZE), column by column."""
    return operator(torch.eye(SIZE, dtype=F64)[:, None]).flatten(1).mT


def posterior(prior: Gaussian, measurement: Measurement) -> Gaussian:
    """p(x_0 | y) of the first row, by the textbook formula."""
    a, y = matrix(measurement.operator), measurement.y[0].flatten()
    basis = torch.eye(SIZE, dtype=F64) if prior.basis is None else prior.basis
    spread = basis @ torch.diag(prior.variances.flatten()) @ basis.mT
    noise = measurement.sigma**2 * torch.eye(len(a), dtype=F64)
    gain = spread @ a.mT @ torch.linalg.pinv(a @ spread @ a.mT + noise, hermitian=True)
    mean = prior.mean.flatten() + gain @ (y - a @ prior.mean.flatten())
    left = spread - gain @ a @ spread
    return Gaussian.from_covariance(mean.reshape(1, SIZE), (left + left.mT) / 2)


def measure(operator: LinearOperator, sigma: float, rows: int = 1) -> Measurement:
    truth = tensor([[[1.0, -0.4, 0.8, 1.5]]]).expand(rows, 1, SIZE)
    y = operator(truth)
    noise = torch.sin(3 * torch.arange(y[0].numel(), dtype=F64)).reshape(y[:1].shape)
    return Measurement(operator, y + sigma * noise, sigma)


class Impulses:
    """A source of noise that is 0 but for one entry of one key in each of its rows.

    Rows: the base, SIZE for the start, then SIZE for each of `keys`.
    """

    def __init__(self, keys: list[int]) -> None:
        self.keys = keys
        self.asked: list[int] = []

    def __call__(self, k: int, like: Tensor) -> Tensor:
        self.asked.append(k)
        noise = torch.zeros_like(like)
        if k in self.keys:
            row = 1 + SIZE * (1 + self.keys.index(k))
            noise[row : row + SIZE, 0] = torch.eye(SIZE, dtype=F64)
        return noise


Solve = Callable[[int, Tensor, Impulses], Tensor]
"""solve(rows, x, noise): the result for the rows x, with as many rows of measurement."""


def propagate(solve: Solve, mean: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the result, for a start mean + root z and standard normal noise."""
    scout = Impulses([])
    solve(1, mean[None], scout)
    keys = scout.asked
    assert len(set(keys)) == len(keys), "a key was asked for twice: the noises are not independent"
    rows = 1 + SIZE * (1 + len(keys))
    x = mean.expand(rows, 1, SIZE).clone()
    x[1 : 1 + SIZE, 0] += root.mT
    out = solve(rows, x, Impulses(keys))[:, 0]
    columns = (out[1:] - out[0]).mT
    return out[0], columns @ columns.mT


def moments(gaussian: Gaussian) -> tuple[Tensor, Tensor]:
    assert gaussian.basis is not None
    spread = gaussian.basis @ torch.diag(gaussian.variances.flatten()) @ gaussian.basis.mT
    return gaussian.mean.flatten(), spread


def start(gaussian: Gaussian, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and root of the covariance of x_t."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    assert gaussian.basis is not None
    scale = (alpha**2 * gaussian.variances.flatten() + sigma**2).sqrt()
    return alpha * gaussian.mean, gaussian.basis * scale


OFFSET = tensor([[1.5, -2.0, 1.0, 0.0]])
"""A start for the mean: from the mean of the marginal every sampler would be exact."""


# -- the exact ones -------------------------------------------------------------------------------


@by_operator
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_mmps_is_exact_on_any_gaussian(name: str, schedule: Schedule, sigma: float) -> None:
    measurement = measure(OPERATORS[name], sigma, rows=5)
    guided = Mmps(ExactDenoiser(CORRELATED, schedule), measurement)
    exact = ExactDenoiser(posterior(CORRELATED, measurement), schedule)
    x = torch.randn(5, 1, SIZE, dtype=F64)
    for t in (tensor(0.05), tensor(0.5), tensor([0.1, 0.3, 0.5, 0.8, 0.98])):
        torch.testing.assert_close(guided(x, t), exact(x, t), rtol=1e-6, atol=1e-6)


@by_operator
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("method", [PiGdm, DiffPir])
def test_pigdm_and_diffpir_are_exact_on_an_isotropic_gaussian(
    method: Any, name: str, schedule: Schedule, sigma: float
) -> None:
    measurement = measure(OPERATORS[name], sigma, rows=5)
    guided = method(ExactDenoiser(ISOTROPIC, schedule), measurement, sigma_data=math.sqrt(0.7))
    exact = ExactDenoiser(posterior(ISOTROPIC, measurement), schedule)
    x = torch.randn(5, 1, SIZE, dtype=F64)
    for t in (tensor(0.05), tensor(0.5), tensor([0.1, 0.3, 0.5, 0.8, 0.98])):
        torch.testing.assert_close(guided(x, t), exact(x, t), rtol=1e-6, atol=1e-6)


def test_diffpir_is_defined_at_alpha_zero() -> None:
    measurement = measure(OPERATORS["mask"], 0.3)
    for sigma_data in (None, math.sqrt(0.7)):
        guided = DiffPir(ExactDenoiser(ISOTROPIC, Cosine()), measurement, sigma_data=sigma_data)
        got = guided(torch.randn(1, 1, SIZE, dtype=F64), tensor(1.0))
        mean = MEAN if sigma_data is None else posterior(ISOTROPIC, measurement).mean
        expected = torch.where(tensor([1, 0, 0, 1]).bool(), measurement.y, MEAN)
        torch.testing.assert_close(got, expected if sigma_data is None else mean[None])


@pytest.mark.parametrize("sampler", [Heun(), DpmSolverPP2M()])
def test_mmps_through_an_ode_sampler_reaches_the_posterior(sampler: Sampler) -> None:
    """Mean and covariance after the whole sampling, of second order in the step."""
    schedule, operator = VariancePreserving(), OPERATORS["dense"]
    exact = posterior(CORRELATED, measure(operator, 0.3))
    errors: list[tuple[float, float]] = []
    for steps in (20, 40, 80):
        times = uniform_log_snr(schedule, steps, 0.9, 1e-3)

        def solve(rows: int, x: Tensor, noise: Impulses, times: Tensor = times) -> Tensor:
            guided = Mmps(ExactDenoiser(CORRELATED, schedule), measure(operator, 0.3, rows))
            return sample(guided, sampler, x, times)

        _, root = start(exact, schedule, times[0])
        mean, spread = propagate(solve, OFFSET, root)
        end = exact.flow(schedule, OFFSET[None], times[0], times[-1]).flatten()
        _, root = start(exact, schedule, times[-1])
        errors.append(((mean - end).norm().item(), (spread - root @ root.mT).norm().item()))
    for coarse, middle, fine in zip(*errors, strict=True):
        assert coarse / middle > 3 and middle / fine > 3 and fine < 2e-3


def test_mmps_through_ancestral_sampling_reaches_the_posterior() -> None:
    """The same with noise, of first order: halved with the step."""
    schedule, operator = VariancePreserving(), OPERATORS["mask"]
    exact = posterior(CORRELATED, measure(operator, 0.3))
    t = tensor(0.9)
    _, root = start(exact, schedule, t)
    mean_0 = ExactDenoiser(exact, schedule)(OFFSET[None], t).flatten()
    _, spread_0 = moments(exact)
    errors: list[tuple[float, float]] = []
    for steps in (32, 64, 128):
        times = torch.cat([uniform_log_snr(schedule, steps, 0.9, 1e-3), torch.zeros(1)])

        def solve(rows: int, x: Tensor, noise: Impulses, times: Tensor = times) -> Tensor:
            guided = Mmps(ExactDenoiser(CORRELATED, schedule), measure(operator, 0.3, rows))
            return sample(guided, Ancestral(), x, times, noise=noise)

        mean, spread = propagate(solve, OFFSET, root)
        errors.append(((mean - mean_0).norm().item(), (spread - spread_0).norm().item()))
    # the estimate is a martingale: the mean is exact with any number of steps
    assert max(mean for mean, _ in errors) < 1e-8
    coarse, middle, fine = (spread for _, spread in errors)
    assert coarse / middle > 1.6 and middle / fine > 1.6 and fine < 0.1


# -- on other priors: the stated formula, with dense matrices -------------------------------------

MIXTURE = Mixture(tensor([0.4, 0.6]), tensor([-1.0, 1.5]), tensor([0.3, 0.6]))


def by_hand(method: str, x: Tensor, t: Tensor, schedule: Schedule, m: Measurement) -> Tensor:
    """One row of the guided estimate, from the Jacobian as a matrix."""
    denoiser = ExactDenoiser(MIXTURE, schedule)
    estimate = denoiser(x, t).flatten()
    jacobian = torch.autograd.functional.jacobian(lambda v: denoiser(v, t), x)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    spread = sigma**2 / alpha * jacobian.reshape(SIZE, SIZE)
    a, y = matrix(m.operator), m.y.flatten()
    eye = torch.eye(len(a), dtype=F64)
    variance = 1.3**2 * sigma**2 / (sigma**2 + alpha**2 * 1.3**2)
    inverse = {
        "mmps": torch.linalg.inv(a @ spread @ a.mT + m.sigma**2 * eye),
        "pigdm": torch.linalg.inv(variance * a @ a.mT + m.sigma**2 * eye),
        "dps": eye / m.sigma**2,
        "dps, normalised": 2 * 0.8 * eye / (y - a @ estimate).norm(),
    }[method]
    return estimate + spread.mT @ a.mT @ inverse @ (y - a @ estimate)


METHODS: dict[str, Callable[[Denoiser, Measurement], Denoiser]] = {
    "mmps": lambda d, m: Mmps(d, m, max_steps=20),
    "pigdm": lambda d, m: PiGdm(d, m, sigma_data=1.3),
    "dps": lambda d, m: Dps(d, m),
    "dps, normalised": lambda d, m: Dps(d, m, scale=0.8),
}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32), time=st.floats(0.05, 0.95), name=st.sampled_from(sorted(OPERATORS))
)
def test_formula_on_a_mixture(method: str, seed: int, time: float, name: str) -> None:
    schedule, t = VariancePreserving(), tensor(time)
    x = torch.randn(3, 1, SIZE, dtype=F64, generator=torch.Generator().manual_seed(seed))
    guided = METHODS[method](
        ExactDenoiser(MIXTURE, schedule), measure(OPERATORS[name], 0.5, rows=3)
    )
    got = guided(x, t)
    for b in range(3):
        expected = by_hand(method, x[b : b + 1], t, schedule, measure(OPERATORS[name], 0.5))
        torch.testing.assert_close(got[b, 0], expected, rtol=1e-6, atol=1e-6)


# -- biased by construction: the size of the bias -------------------------------------------------


TOP = 80.0
"""The noise level at which the flows below start, in place of infinity."""


def flow_ends(
    guided: Callable[[Measurement], Denoiser], schedule: Schedule
) -> tuple[float, float]:
    """(gain, variance): a fine probability flow from noise ends at gain * y +- sqrt(variance)."""
    times = karras(schedule, 400, sigma_max=TOP)
    y = tensor([0.0, 0.0, 1.0])[:, None, None].expand(3, 1, SIZE)
    measurement = Measurement(Mask(torch.ones(SIZE)), y, 0.5)
    x = tensor([0.0, TOP, 0.0])[:, None, None].expand(3, 1, SIZE)
    out = sample(guided(measurement), Heun(), x, times)[:, 0, 0]
    assert abs(out[0].item()) < 1e-12
    return out[2].item(), out[1].item() ** 2


PLAIN = Gaussian(torch.zeros(1, SIZE, dtype=F64), torch.full((1, SIZE), 0.7, dtype=F64))


def test_dps_is_overconfident_by_this_much() -> None:
    """With k = c / sigma_y^2: variance c exp(-k), not c / (1 + k); the mean is by Dawson."""
    schedule = Edm()
    gain, variance = flow_ends(lambda m: Dps(ExactDenoiser(PLAIN, schedule), m), schedule)
    k = 0.7 / 0.5**2
    assert variance == pytest.approx(0.7 * math.exp(-k), rel=2e-3)
    top = math.sqrt(k / 2 * 0.7 / (0.7 + TOP**2))
    below = math.exp(top**2 - k / 2) * scipy.special.dawsn(top)
    dawson = scipy.special.dawsn(math.sqrt(k / 2))
    assert gain == pytest.approx(math.sqrt(2 * k) * (dawson - below), rel=1e-3)
    assert gain == pytest.approx(math.sqrt(2 * k) * dawson, rel=1e-2)
    # a quarter of the variance that it should have, and 1.6 times the mean
    assert 0.22 < variance / (0.7 / (1 + k)) < 0.24
    assert 1.60 < gain / (k / (1 + k)) < 1.66


def test_diffpir_with_the_papers_variance_is_overconfident_by_this_much() -> None:
    """r_t^2 = sigma^2 / alpha^2 trusts y too much where noise is high; closed form by the ODE."""
    schedule, c, a = Edm(), 0.7, 0.5**2
    gain, variance = flow_ends(lambda m: DiffPir(ExactDenoiser(PLAIN, schedule), m), schedule)
    closed = (c**a / a**c) ** (1 / (a - c))
    assert variance == pytest.approx(closed, rel=2e-3)

    def scale(v: float) -> float:  # the homogeneous solution, of v = sigma^2
        return ((v + c) ** a / (v + a) ** c) ** (0.5 / (a - c))

    expected, _ = scipy.integrate.quad(lambda v: scale(0) / scale(v) / (2 * (v + a)), 0, TOP**2)
    assert gain == pytest.approx(expected, rel=1e-3)
    assert 0.7 < variance / (a * c / (a + c)) < 0.8
    assert 1.05 < gain / (c / (a + c)) < 1.15
    # with the variance of the data it is right
    gain, variance = flow_ends(
        lambda m: DiffPir(ExactDenoiser(PLAIN, schedule), m, sigma_data=math.sqrt(c)), schedule
    )
    assert variance == pytest.approx(a * c / (a + c), rel=2e-3)
    assert gain == pytest.approx(c / (a + c), rel=1e-2)


def bias(
    guide: Callable[[Denoiser, Measurement], Denoiser], sampler: Sampler, times: Tensor
) -> tuple[float, float]:
    """Relative error of the mean's correction and of the covariance, correlated prior, mask."""
    schedule, operator = VariancePreserving(), OPERATORS["mask"]

    def solve(rows: int, x: Tensor, noise: Impulses) -> Tensor:
        guided = guide(ExactDenoiser(CORRELATED, schedule), measure(operator, 0.3, rows))
        return sample(guided, sampler, x, times, noise=noise)

    mean_0, spread_0 = moments(posterior(CORRELATED, measure(operator, 0.3)))
    mean, spread = propagate(solve, *start(CORRELATED, schedule, times[0]))
    return (
        ((mean - mean_0).norm() / (mean_0 - MEAN[0]).norm()).item(),
        ((spread - spread_0).norm() / spread_0.norm()).item(),
    )


BIASES: dict[
    str, tuple[Callable[[Denoiser, Measurement], Denoiser], Sampler, tuple[float, float]]
] = {
    "mmps": (lambda d, m: Mmps(d, m), Heun(), (0.003, 0.009)),
    "mmps, 1 step": (lambda d, m: Mmps(d, m, max_steps=1), Heun(), (0.143, 0.060)),
    "pigdm": (lambda d, m: PiGdm(d, m, sigma_data=1.0), Heun(), (0.193, 0.201)),
    "diffpir": (lambda d, m: DiffPir(d, m, sigma_data=1.0), Heun(), (0.332, 0.716)),
    "diffpir, renoised": (
        lambda d, m: DiffPir(d, m, sigma_data=1.0),
        Renoise(0.3),
        (0.247, 0.249),
    ),
    "dps": (lambda d, m: Dps(d, m), Heun(), (0.592, 0.558)),
}


@pytest.mark.parametrize("name", BIASES)
def test_bias_on_a_correlated_prior(name: str) -> None:
    """How far off each is where the prior has correlations, in 50 steps (all that `mmps` lacks).

    Bounds on both sides: a method that gets better than its equations is not that method.
    """
    guide, sampler, (mean_bias, spread_bias) = BIASES[name]
    times = torch.cat([uniform_log_snr(VariancePreserving(), 50, 0.999, 1e-3), torch.zeros(1)])
    mean, spread = bias(guide, sampler, times)
    assert mean == pytest.approx(mean_bias, rel=0.05, abs=5e-4)
    assert spread == pytest.approx(spread_bias, rel=0.05, abs=5e-4)


# -- samplers: against their own equations in matrices --------------------------------------------

OBSERVED = tensor([1.0, 0.0, 0.0, 1.0])
EYE, SEEN = torch.eye(SIZE, dtype=F64), torch.diag(OBSERVED)
UNSEEN = EYE - SEEN
Y = tensor([1.0, math.nan, math.nan, 1.5])
Moments = tuple[Tensor, Tensor]


def levels(times: Tensor) -> list[tuple[float, float]]:
    schedule = VariancePreserving()
    return [(schedule.alpha(t).item(), schedule.sigma(t).item()) for t in times]


def affine(moments: Moments, weight: Tensor, shift: Tensor, noise: Tensor) -> Moments:
    return weight @ moments[0] + shift, weight @ moments[1] @ weight.mT + noise


def wiener(a: float, s: float) -> tuple[Tensor, Tensor]:
    """D = gain x + offset."""
    spread = covariance()
    gain = a * spread @ torch.linalg.inv(a * a * spread + s * s * EYE)
    return gain, MEAN[0] - gain @ (a * MEAN[0])


Step = tuple[Tensor, Tensor, Tensor]
"""x -> weight x + shift + noise of this covariance."""


def then(first: Step, second: Step) -> Step:
    weight = second[0]
    return (
        weight @ first[0],
        weight @ first[1] + second[1],
        weight @ first[2] @ weight.mT + second[2],
    )


def repaint_by_hand(times: Tensor, resamplings: int, jump: int) -> Moments:
    """Algorithm 1 on mean and covariance, with DDPM steps q(x_s | x_t, x_0 = D)."""
    grid, steps = levels(times), len(times) - 1
    y, none = torch.where(OBSERVED > 0, Y, 0), torch.zeros(SIZE, dtype=F64)

    def down(k: int) -> Step:
        (a, s), (b, r) = grid[k], grid[k + 1]
        gain, offset = wiener(a, s)
        forward = s * s - (a / b * r) ** 2
        kept, level = a / b * r * r / s**2, b * forward / s**2
        step = (kept * EYE + level * gain, level * offset, forward * r**2 / s**2 * EYE)
        return then(step, (UNSEEN, b * y, r * r * SEEN))

    state = (0 * EYE, none, grid[0][1] ** 2 * EYE)
    for k in range(steps):
        stop = min(k + jump, steps - 1)
        if k % jump == 0 and stop > k:
            (a, s), (b, r) = grid[k], grid[stop]
            there_and_back = (EYE, none, 0 * EYE)
            for i in range(k, stop):
                there_and_back = then(there_and_back, down(i))
            up = (a / b * EYE, none, (s * s - (a / b * r) ** 2) * EYE)
            there_and_back = then(there_and_back, up)
            for _ in range(resamplings - 1):
                state = then(state, there_and_back)
        state = then(state, down(k))
    return state[1:]


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


@pytest.mark.parametrize(("steps", "resamplings", "jump"), [(10, 1, 1), (8, 4, 1), (9, 3, 4)])
def test_repaint_is_its_algorithm(steps: int, resamplings: int, jump: int) -> None:
    schedule, times = VariancePreserving(), uniform(steps)

    def solve(rows: int, x: Tensor, noise: Impulses) -> Tensor:
        y = Y.expand(rows, 1, SIZE)
        sampler = RePaint(OBSERVED, y, Ancestral(), resamplings=resamplings, jump=jump)
        return sample(ExactDenoiser(CORRELATED, schedule), sampler, x, times, noise=noise)

    root = schedule.sigma(times[0]) * EYE
    mean, spread = propagate(solve, torch.zeros(1, SIZE, dtype=F64), root)
    expected = repaint_by_hand(times, resamplings, jump)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(spread, expected[1])
    assert torch.equal(mean[[0, 3]], Y[[0, 3]])


@pytest.mark.parametrize(
    ("steps", "resamplings", "mean_bias", "spread_bias"),
    [
        (400, 1, 0.422, 0.340),
        (100, 10, 0.084, 0.166),
        (400, 10, 0.074, 0.039),
        (100, 100, 0.0161, 0.312),
        (400, 100, 0.0089, 0.174),
    ],
)
def test_bias_of_repaint(
    steps: int, resamplings: int, mean_bias: float, spread_bias: float
) -> None:
    mean, spread = repaint_by_hand(uniform(steps), resamplings, 1)
    y = torch.where(OBSERVED > 0, Y, 0)[None, None]
    mean_0, spread_0 = moments(posterior(CORRELATED, Measurement(Mask(OBSERVED), y)))
    off = (mean - mean_0)[1:3].norm() / (mean_0 - MEAN[0])[1:3].norm()
    assert off.item() == pytest.approx(mean_bias, rel=0.05)
    part = (slice(1, 3), slice(1, 3))
    off = (spread - spread_0)[part].norm() / spread_0[part].norm()
    assert off.item() == pytest.approx(spread_bias, rel=0.05)


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
    shape = PLAIN.mean.shape
    turned = Gaussian(torch.zeros(shape, dtype=F64), tensor([[0.2, 0.5, 1.0, 2.0]]), turn)
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


class Silence:
    """Noise that is 0."""

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return torch.zeros_like(like)
