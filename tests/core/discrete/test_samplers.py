"""Samplers of categories: order by enumeration, and exactness."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from categorical_cases import (
    CHAINS,
    COUNT,
    ENTRIES,
    EXACT,
    FACTORISED,
    LAW,
    MASKS,
    Counted,
    Fresh,
    K,
    chance_distance,
    frequencies,
    masks,
    move_law,
    tensor,
    variation,
    walk,
)
from diff_core import Keyed, uniform
from diff_core.discrete import (
    Absorbing,
    Ancestral,
    Chain,
    ConfidenceOrdered,
    ExactCategorical,
    FirstHitting,
    Law,
    PredictorCorrector,
    Remasking,
    TauLeaping,
    Uniform,
)
from diff_core.discrete.sample import Factorised, sample

WALKS = [
    (name, stop, sampler)
    for name, stop in [*((name, 0.2) for name in CHAINS), ("absorbing", 0.0), ("uniform", 0.0)]
    for sampler in FACTORISED
    if isinstance(CHAINS[name], Absorbing) or not isinstance(sampler, Remasking)
]


@pytest.mark.parametrize(("name", "stop", "sampler"), WALKS, ids=repr)
def test_order_of_the_law_without_sampling(name: str, stop: float, sampler: Factorised) -> None:
    chain = CHAINS[name]
    absorbing = isinstance(chain, Absorbing)
    denoiser = ExactCategorical(LAW, chain)
    errors: list[float] = []
    for steps in (16, 32, 64):
        times = uniform(steps, 1.0 if absorbing else 0.9, stop)
        law = walk(denoiser, sampler, times, LAW.at(chain, times[0]))
        assert abs(law.sum().item() - 1) < 1e-12
        errors.append(variation(law, LAW.at(chain, times[-1])))
    slopes = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    # corrections may cancel a part of the error, which then falls faster at first
    assert all(sampler.order - 0.2 < slope < sampler.order + 0.6 for slope in slopes), slopes
    assert errors[-1] > 1e-5


@pytest.mark.parametrize("name", list(CHAINS))
def test_ancestral_is_exact_for_a_single_entry(name: str) -> None:
    chain = CHAINS[name]
    law = Law(tensor([0.1, 0.25, 0.65]))
    denoiser = ExactCategorical(law, chain)
    plan = Ancestral().plan(chain, tensor([0.95, 0.0]))
    states = torch.arange(chain.states)[:, None]
    kernel = Ancestral().kernel(lambda x, k: denoiser(x, plan.time(k)), states, 0, plan)
    end = law.at(chain, plan.time(0)) @ kernel[:, :, 0]
    torch.testing.assert_close(end[:K], law.probabilities, rtol=0, atol=1e-14)


def test_remasking_by_cap_or_rescale_does_not_converge() -> None:
    for sampler in (Remasking(0.1, "cap"), Remasking(0.5, "rescale")):
        assert sampler.order == 0
        errors: list[float] = []
        for steps in (48, 96):
            times = uniform(steps, 1.0, 0.2)
            law = walk(EXACT, sampler, times, LAW.at(MASKS, times[0]))
            errors.append(variation(law, LAW.at(MASKS, times[-1])))
        assert errors[1] > 0.6 * errors[0]


@pytest.mark.parametrize(
    "sampler", [Remasking(3.0), Remasking(0.3, "cap"), Remasking(1.0, "rescale")], ids=repr
)
def test_remasking_keeps_the_marginal_of_certain_categories(sampler: Remasking) -> None:
    # where p_0 is certain there is nothing to approximate: the law of x_s is that of the chain
    probabilities = torch.zeros(K, K, K, dtype=torch.float64)
    probabilities[2, 0, 1] = 1
    law = Law(probabilities)
    for steps in (1, 5):
        times = uniform(steps, 0.9, 0.3)
        end = walk(ExactCategorical(law, MASKS), sampler, times, law.at(MASKS, times[0]))
        torch.testing.assert_close(end, law.at(MASKS, times[-1]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("chain", [MASKS, Uniform(K)], ids=repr)
def test_corrections_hold_the_law_they_are_given(chain: Chain) -> None:
    # q_s is stationary under the rates of a correction: what is left is of the step's square
    denoiser, moved = ExactCategorical(LAW, chain), list[float]()
    for size in (0.08, 0.04, 0.02):
        sampler = PredictorCorrector()
        plan = sampler.plan(chain, tensor([0.5 + size, 0.5]))
        law = LAW.at(chain, plan.time(1))
        after = move_law(lambda x, k: denoiser(x, plan.time(k)), sampler, 0, plan, 1, law)  # noqa: B023
        moved.append(variation(after, law))
    assert all(a / b == pytest.approx(4, abs=0.5) for a, b in zip(moved, moved[1:], strict=False))


@pytest.mark.parametrize("times", [uniform(1), uniform(5)], ids=["one step", "five steps"])
def test_first_hitting_is_exact_on_any_grid(times: Tensor) -> None:
    got = sample(EXACT, FirstHitting(), masks(COUNT, ENTRIES), times, noise=Fresh())
    law = LAW.probabilities
    assert variation(frequencies(got), law) < chance_distance(law, COUNT)


def test_first_hitting_has_the_law_of_the_chain_on_the_way() -> None:
    times = tensor([1.0, 0.7, 0.35])
    got = sample(EXACT, FirstHitting(), masks(COUNT, ENTRIES), times, noise=Fresh())
    law = LAW.at(MASKS, times[-1])
    assert variation(frequencies(got, MASKS.states), law) < chance_distance(law, COUNT)


def test_first_hitting_calls_once_for_each_mask() -> None:
    counted = Counted(EXACT)
    x = torch.tensor([[3, 0, 3], [3, 1, 2]])
    sample(counted, FirstHitting(), x, uniform(1), noise=Keyed([1, 2]))
    assert counted.calls == 2


@pytest.mark.parametrize("sampler", [Ancestral(), TauLeaping(), PredictorCorrector()], ids=repr)
def test_draws_follow_the_kernels(sampler: Factorised) -> None:
    times = uniform(4)
    got = sample(EXACT, sampler, masks(COUNT, ENTRIES), times, noise=Fresh())
    law = walk(EXACT, sampler, times, LAW.at(MASKS, times[0])).reshape((MASKS.states,) * ENTRIES)
    law = law[:K, :K, :K].flatten()
    assert variation(frequencies(got), law) < chance_distance(law, COUNT)


def test_any_order_is_exact_with_one_entry_a_step() -> None:
    sampler = ConfidenceOrdered(choice=math.inf)
    got = sample(EXACT, sampler, masks(COUNT, ENTRIES), uniform(ENTRIES), noise=Fresh())
    law = LAW.probabilities
    assert variation(frequencies(got), law) < chance_distance(law, COUNT)


def test_the_surest_entry_comes_first() -> None:
    weights = torch.rand(K, K, K).double() * 0.02
    weights[:, 1, :] += 1  # the entry in the middle is nearly certain
    denoiser = ExactCategorical(Law(weights / weights.sum()), MASKS)
    seen: list[Tensor] = []
    sample(
        denoiser,
        ConfidenceOrdered(choice=0),
        masks(50, ENTRIES),
        uniform(ENTRIES),
        noise=Fresh(),
        on_step=lambda k, x, p: seen.append((x == MASKS.mask).sum(0)),
    )
    assert seen[0][1] < 5 and seen[0][0] + seen[0][2] > 95
    assert [int(left.sum()) for left in seen] == [100, 50, 0]
