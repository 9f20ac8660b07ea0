"""Chains against the matrix exponential and Bayes' rule by enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from categorical_cases import CHAINS, LOPSIDED, K, generator_matrix, tensor
from diff_core import Edm, RectifiedFlow, VariancePreserving
from diff_core.discrete import Absorbing, Chain, RateMatrix, Uniform, neighbours, one_hot
from diff_core.discrete.rates import exponential

S, T = tensor(0.31), tensor(0.72)


@pytest.fixture(params=list(CHAINS))
def chain(request: pytest.FixtureRequest) -> Chain:
    return CHAINS[request.param]


def reference(chain: Chain, s: Tensor, t: Tensor) -> Tensor:
    """P_st by scipy."""
    clock = math.log(chain.schedule.alpha(s) / chain.schedule.alpha(t))
    return torch.from_numpy(scipy.linalg.expm(clock * generator_matrix(chain).numpy()))


def every_state(chain: Chain) -> Tensor:
    return torch.arange(chain.states)


def test_push_and_column_are_the_matrix_exponential(chain: Chain) -> None:
    expected = reference(chain, S, T)
    rows = torch.eye(chain.states, dtype=torch.float64)
    torch.testing.assert_close(chain.push(rows, S, T), expected, rtol=0, atol=1e-14)
    columns = chain.column(every_state(chain), S, T, torch.float64)
    torch.testing.assert_close(columns, expected.mT.contiguous(), rtol=0, atol=1e-14)


def test_times_of_their_own_for_every_row(chain: Chain) -> None:
    p = torch.rand(2, chain.states, 4).double()
    s, t = tensor([0.1, 0.4]), tensor([0.5, 0.9])
    both = chain.push(p, s, t)
    x = torch.randint(chain.states, (2, 4))
    columns = chain.column(x, s, t, torch.float64)
    for b in range(2):
        torch.testing.assert_close(both[b : b + 1], chain.push(p[b : b + 1], s[b], t[b]))
        alone = chain.column(x[b : b + 1], s[b], t[b], torch.float64)
        torch.testing.assert_close(columns[b : b + 1], alone)


def test_marginal_of_categories(chain: Chain) -> None:
    law = chain.marginal(torch.arange(K), T, torch.float64)
    torch.testing.assert_close(law, reference(chain, tensor(0.0), T)[:K], rtol=0, atol=1e-14)
    # at t = 1, whatever x_0 was, where alpha(1) = 0
    if chain.alpha(tensor(1.0)) == 0:
        end = chain.marginal(torch.arange(K), tensor(1.0), torch.float64)
        expected = chain.stationary().expand(K, -1)
        torch.testing.assert_close(end, expected, rtol=0, atol=1e-14)


def test_bridge_and_posterior_are_bayes_rule(chain: Chain) -> None:
    to_s, on, to_t = (
        reference(chain, *ends) for ends in ((tensor(0.0), S), (S, T), (tensor(0.0), T))
    )
    p_0 = torch.rand(chain.states, K).double()
    if isinstance(chain, Absorbing):  # what is shown is certain
        p_0[:K] = torch.eye(K)
    p_0 = p_0 / p_0.sum(1, keepdim=True)
    for x_t in range(chain.states):
        total = torch.zeros(chain.states, dtype=torch.float64)
        for x_0 in range(K):
            if to_t[x_0, x_t] > 0:
                bridge = to_s[x_0] * on[:, x_t] / to_t[x_0, x_t]
                total += p_0[x_t, x_0] * bridge
                certain = one_hot(torch.tensor([x_0]), K, torch.float64)
                got = chain.posterior(torch.tensor([x_t]), certain, S, T)[0]
                torch.testing.assert_close(got, bridge, rtol=0, atol=1e-13)
        got = chain.posterior(torch.tensor([x_t]), p_0[x_t : x_t + 1], S, T)[0]
        torch.testing.assert_close(got, total, rtol=0, atol=1e-13)


def test_at_the_end_of_a_walk_the_posterior_is_that_of_x_0(chain: Chain) -> None:
    x_t = torch.full((1, 2), chain.states - 1)
    p_0 = torch.rand(1, K, 2).double()
    p_0 = p_0 / p_0.sum(1, keepdim=True)
    law = chain.posterior(x_t, p_0, tensor(0.0), T)
    torch.testing.assert_close(law[:, :K], p_0)
    assert law[:, K:].abs().sum() < 1e-15


def test_reverse_rates_are_the_derivative_of_the_posterior(chain: Chain) -> None:
    x_t = every_state(chain)
    p_0 = torch.rand(chain.states, K).double()
    p_0 = chain.known(p_0 / p_0.sum(1, keepdim=True), x_t)
    rates = chain.reverse_rates(x_t, p_0, T)
    assert rates.diagonal().abs().max() == 0
    step = 1e-6
    law = chain.posterior(x_t, p_0, T - step, T)
    off = law * (1 - torch.eye(chain.states))
    torch.testing.assert_close(off / step, rates, rtol=1e-4, atol=1e-5)


def test_outflow_is_the_derivative_of_the_chain(chain: Chain) -> None:
    x = every_state(chain)
    step = 1e-7
    here = chain.alpha(T)
    pace = chain.speed(T) / here
    off = chain.push(torch.eye(chain.states).double(), T, T + step)
    off = off * (1 - torch.eye(chain.states))
    expected = (pace * chain.outflow(x, torch.float64)).double()
    torch.testing.assert_close(off / step, expected, rtol=1e-4, atol=1e-5)
    inflow = chain.inflow(x, torch.float64)
    torch.testing.assert_close(inflow.mT, chain.outflow(x, torch.float64))


def test_speed_is_the_slope_of_alpha() -> None:
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    for schedule in (RectifiedFlow(), VariancePreserving()):
        chain = Uniform(K, schedule)
        slope = (schedule.alpha(t - 1e-6) - schedule.alpha(t + 1e-6)) / 2e-6
        torch.testing.assert_close(chain.speed(t), slope, rtol=1e-7, atol=1e-8)


def test_draws_have_the_frequencies_of_the_marginal(chain: Chain) -> None:
    count = 100_000
    for x_0 in range(K):
        z = torch.randn(1, count, generator=torch.Generator().manual_seed(x_0))
        x_t = chain.corrupt(torch.full((1, count), x_0), T, z)
        found = torch.bincount(x_t[0], minlength=chain.states) / count
        law = reference(chain, tensor(0.0), T)[x_0]
        five_sigma = 5 * (law * (1 - law) / count).sqrt()
        assert bool(((found - law).abs() <= five_sigma + 1e-12).all())


def test_start_draws_the_stationary_law(chain: Chain) -> None:
    x = chain.start(torch.randn(4, 5000))
    assert x.shape == (4, 5000)
    found = torch.bincount(x.flatten(), minlength=chain.states) / 20_000
    law = chain.stationary()
    assert bool(((found - law).abs() <= 5 * (law * (1 - law) / 20_000).sqrt()).all())


def test_stationary_law_does_not_move(chain: Chain) -> None:
    law = chain.stationary()[None]
    torch.testing.assert_close(chain.push(law, S, T), law, rtol=0, atol=1e-14)
    assert abs(law.sum().item() - 1) < 1e-14


@pytest.mark.parametrize("clock", [0.0, 1e-8, 1e-3, 0.7, 9.0, 300.0, math.inf])
def test_exponential_keeps_the_digits_of_small_probabilities(clock: float) -> None:
    from mpmath import mp

    chain = RateMatrix(rates=neighbours(6))
    got = exponential(chain.generator, tensor(clock))
    with mp.workdps(60):
        # exp(inf Q): long after the slowest mode, of rate 1, is gone
        exact = mp.expm(mp.matrix(chain.generator.tolist()) * min(clock, 300))
        wanted = np.array([[float(exact[i, j]) for j in range(6)] for i in range(6)])
    # five steps away at clock 1e-8 is a probability of 1e-41
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-11, atol=0)


def test_clock_is_that_of_the_slowest_mode() -> None:
    for rates in (neighbours(4), LOPSIDED):
        values = torch.linalg.eigvals(RateMatrix(rates=rates).generator).real.sort().values
        assert abs(values[-1].item()) < 1e-14 and abs(values[-2].item() + 1) < 1e-12
    tenfold = tuple(tuple(10 * rate for rate in row) for row in LOPSIDED)
    torch.testing.assert_close(
        RateMatrix(rates=tenfold).generator, RateMatrix(rates=LOPSIDED).generator
    )


def test_equal_rates_are_the_uniform_chain() -> None:
    ones = RateMatrix(rates=((1.0,) * 4,) * 4)
    same = Uniform(4)
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(ones.push(eye, S, T), same.push(eye, S, T))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Uniform(1), "categories is 1"),
        (lambda: Uniform(3, Edm()), "alpha falls from 1"),
        (lambda: Absorbing(3, VariancePreserving()), "expected 0"),
        (lambda: RateMatrix(rates=((0.0, 1.0), (1.0,))), "rows of"),
        (lambda: RateMatrix(rates=((0.0, -1.0), (1.0, 0.0))), r"rates\[0\]\[1\] is -1"),
        (lambda: RateMatrix(rates=((0.0, 0.0), (1.0, 0.0))), "no rates lead from category 0 to 1"),
        (lambda: RateMatrix(), "categories is 0"),
    ],
)
def test_bad_chains_are_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
