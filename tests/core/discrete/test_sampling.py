"""The sampling loop of categories: infilling, keyed noise, temperature, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from categorical_cases import (
    COUNT,
    ENTRIES,
    EVERY,
    EXACT,
    LAW,
    MASKS,
    Broken,
    Flat,
    Fresh,
    K,
    chance_distance,
    masks,
    tensor,
    variation,
)
from diff_core import Keyed, uniform
from diff_core.discrete import (
    Ancestral,
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
from diff_core.discrete.sample import sample


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
