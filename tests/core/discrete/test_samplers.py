"""Samplers of categories: order by enumeration, exactness, infilling, and keyed noise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from categorical_cases import CHAINS, ENTRIES, K, dependent_law, move_law, tensor, variation, walk
from diff_core import Keyed, uniform
from diff_core.discrete import (
    Absorbing,
    Ancestral,
    CategoricalDenoiser,
    Chain,
    ConfidenceOrdered,
    ExactCategorical,
    FirstHitting,
    Law,
    PredictorCorrector,
    Remasking,
    Sampler,
    TauLeaping,
    Uniform,
)
from diff_core.discrete.sample import Factorised, sample

LAW = dependent_law()
MASKS = Absorbing(K)
EXACT = ExactCategorical(LAW, MASKS)
COUNT = 40_000

FACTORISED: list[Factorised] = [
    Ancestral(),
    TauLeaping(),
    Remasking(2.0),
    PredictorCorrector(),
    PredictorCorrector(TauLeaping(), corrections=2),
]
EVERY: list[Sampler] = [*FACTORISED, FirstHitting(), ConfidenceOrdered(), Remasking(0.1, "cap")]


class Fresh:
    """Noise for many rows at once: the draws of each k are independent."""

    def __call__(self, k: int, like: Tensor) -> Tensor:
        seed = 7919 * (k % 2**32) + 104729 * (k >> 32) + 1  # 32 bits are all that counts
        return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))


class Counted(CategoricalDenoiser):
    """A denoiser that counts its calls."""

    def __init__(self, denoiser: CategoricalDenoiser) -> None:
        super().__init__(denoiser.chain)
        self.denoiser, self.calls = denoiser, 0

    def forward(self, x_t, t, cond=None) -> Tensor:
        self.calls += 1
        return self.denoiser(x_t, t, cond)


class Flat(CategoricalDenoiser):
    """All categories are as likely, at any size."""

    def forward(self, x_t, t, cond=None) -> Tensor:
        return self.chain.known(torch.full((len(x_t), K, *x_t.shape[1:]), 1 / K), x_t)


class Broken(CategoricalDenoiser):
    """Probabilities that are not numbers."""

    def forward(self, x_t, t, cond=None) -> Tensor:
        return torch.full((len(x_t), K, *x_t.shape[1:]), math.nan)


def masks(*size: int) -> Tensor:
    return torch.full(size, MASKS.mask)


def frequencies(x: Tensor, states: int = K) -> Tensor:
    """The law of the rows of x (N, ENTRIES), in the order of a flattened one."""
    place = states ** torch.arange(ENTRIES - 1, -1, -1)
    return torch.bincount((x * place).sum(1), minlength=states**ENTRIES) / len(x)


def chance_distance(law: Tensor, count: int) -> float:
    """The mean of `variation` of `count` draws, and four deviations more."""
    mean = 0.5 * (2 * law * (1 - law) / (math.pi * count)).sqrt().sum().item()
    return mean * (1 + 4 * 0.75 / math.sqrt((law > 0).sum().item() - 1))


@pytest.mark.parametrize("sampler", FACTORISED, ids=repr)
@pytest.mark.parametrize(
    ("name", "stop"), [*((name, 0.2) for name in CHAINS), ("absorbing", 0.0), ("uniform", 0.0)]
)
def test_order_of_the_law_without_sampling(name: str, sampler: Factorised, stop: float) -> None:
    chain = CHAINS[name]
    absorbing = isinstance(chain, Absorbing)
    if isinstance(sampler, Remasking) and not absorbing:
        pytest.skip("for absorbing chains")
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


@pytest.mark.parametrize(
    "sampler", [Ancestral(), Remasking(2.0), FirstHitting(), ConfidenceOrdered(choice=0)], ids=repr
)
def test_infilling_is_the_exact_conditional(sampler: Sampler) -> None:
    # with one entry free, one draw of it is all there is; first hitting takes two as well
    free = 2 if isinstance(sampler, FirstHitting) else 1
    x = torch.tensor([MASKS.mask, 2, 0]).repeat(COUNT, 1)
    x[:, :free] = MASKS.mask
    fixed = x != MASKS.mask
    got = sample(EXACT, sampler, x, uniform(8), noise=Fresh(), fixed=fixed)
    assert torch.equal(got[fixed], x[fixed])
    joint = LAW.probabilities.reshape(K, K, K)
    wanted = joint[:, 2, 0] if free == 1 else joint[:, :, 0]
    wanted = (wanted / wanted.sum()).flatten()
    place = got[:, 0] if free == 1 else got[:, 0] * K + got[:, 1]
    found = torch.bincount(place, minlength=K**free) / COUNT
    assert variation(found, wanted) < chance_distance(wanted, COUNT)


def test_infilling_converges_where_the_given_is_masked_in_between() -> None:
    count, joint = 20_000, LAW.probabilities.reshape(K, K, K)
    wanted = (joint[:, :, 1] / joint[:, :, 1].sum()).flatten()
    x = torch.tensor([MASKS.mask, MASKS.mask, 1]).repeat(count, 1)
    for sampler in (Remasking(4.0), PredictorCorrector(corrections=2)):
        errors: list[float] = []
        for steps in (2, 16):
            got = sample(EXACT, sampler, x, uniform(steps), noise=Fresh(), fixed=x != MASKS.mask)
            assert bool((got[:, 2] == 1).all())
            found = torch.bincount(got[:, 0] * K + got[:, 1], minlength=K * K) / count
            errors.append(variation(found, wanted))
        assert errors[1] < max(0.4 * errors[0], chance_distance(wanted, count))


@pytest.mark.parametrize("sampler", EVERY, ids=repr)
def test_a_row_knows_nothing_of_its_batch(sampler: Sampler) -> None:
    seeds, times = [11, 12, 13, 14], uniform(6)

    def drawn(chosen: list[int]) -> Tensor:
        x = masks(len(chosen), ENTRIES)
        return sample(EXACT, sampler, x, times, noise=Keyed(chosen))

    together = drawn(seeds)
    assert len({tuple(row) for row in together.tolist()}) > 1
    for seed, row in zip(seeds, together, strict=True):
        assert torch.equal(drawn([seed])[0], row)
    assert torch.equal(drawn(seeds[::-1]), together.flip(0))


@pytest.mark.parametrize("sampler", EVERY, ids=repr)
def test_no_mask_is_left_and_shapes_are_kept(sampler: Sampler) -> None:
    for size in ((), (5,), (3, 4), (2, 3, 2)):
        x = masks(3, *size)
        got = sample(Flat(MASKS), sampler, x, uniform(5), noise=Keyed([1, 2, 3]))
        assert got.shape == x.shape and got.dtype == torch.int64
        assert int(got.max()) < K and int(got.min()) >= 0


@pytest.mark.parametrize(
    "sampler",
    [Ancestral(), TauLeaping(), Remasking(), FirstHitting(), ConfidenceOrdered(choice=0)],
    ids=repr,
)
def test_temperature_zero_takes_the_likeliest(sampler: Sampler) -> None:
    probabilities = torch.ones(K, K, K).double() * 0.05
    probabilities[1, 2, 0] = 5
    law = Law(probabilities / probabilities.sum())
    cold = replace(sampler, temperature=0.0)  # type: ignore[type-var]
    got = sample(ExactCategorical(law, MASKS), cold, masks(20, ENTRIES), uniform(6), noise=Fresh())
    assert got.tolist() == [[1, 2, 0]] * 20


def test_temperature_is_a_power_of_the_probabilities() -> None:
    law = Law(tensor([0.2, 0.3, 0.5]))
    denoiser = ExactCategorical(law, MASKS)
    got = sample(denoiser, Ancestral(0.5), masks(COUNT, 1), uniform(3), noise=Fresh()).flatten()
    wanted = law.probabilities**2 / (law.probabilities**2).sum()
    found = torch.bincount(got, minlength=K) / COUNT
    assert variation(found, wanted) < chance_distance(wanted, COUNT)


ZEROS = torch.zeros(2, 3, dtype=torch.int64)
ALL = torch.ones(2, 3, dtype=torch.bool)
ON_UNIFORM = {"denoiser": ExactCategorical(LAW, Uniform(K)), "x": ZEROS}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"denoiser": Broken(MASKS)}, "not finite numbers"),
        ({"x": masks(2, 3).float()}, "int64"),
        ({"x": masks(2, 3) + 1}, "states from 0 to 3"),
        ({"fixed": ALL}, "where x is masked"),
        ({"fixed": ALL[:, :2]}, r"expected bool \(2, 3\)"),
        ({"fixed": ALL.float()}, "expected bool"),
        ({"times": tensor([0.0, 1.0])}, "decreasing"),
        ({**ON_UNIFORM, "fixed": ALL}, "expected an Absorbing chain"),
        ({**ON_UNIFORM, "sampler": FirstHitting()}, "expected an Absorbing chain"),
        ({**ON_UNIFORM, "sampler": TauLeaping()}, "starts below it"),
    ],
)
def test_bad_samplings_are_refused(change: dict[str, object], words: str) -> None:
    given: dict = {"denoiser": EXACT, "sampler": Ancestral(), "x": masks(2, 3)}
    given |= {"times": uniform(3), "fixed": None} | change
    fixed = given.pop("fixed")
    with pytest.raises(ValueError, match=words):
        sample(*given.values(), noise=Keyed([1, 2]), fixed=fixed)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Ancestral(-1.0), "temperature is -1"),
        (lambda: ConfidenceOrdered(choice=-1.0), "choice is -1"),
        (lambda: Remasking(1.5, "cap"), "strength is 1.5"),
        (lambda: Remasking(1.0, "often"), "rule is 'often'"),
        (lambda: PredictorCorrector(corrections=0), "corrections is 0"),
    ],
)
def test_bad_settings_are_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
