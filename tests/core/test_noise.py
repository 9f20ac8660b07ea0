"""Keyed noise: a function of the seed and the step."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diff_core import Keyed

seeds = st.integers(0, 2**64 - 1)


@given(batch=st.lists(seeds, min_size=1, max_size=6), k=st.integers(-1, 1000), data=st.data())
def test_a_row_knows_nothing_of_its_batch(batch: list[int], k: int, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(batch) - 1))
    together = Keyed(batch)(k, torch.empty(len(batch), 2, 7))
    alone = Keyed([batch[row]])(k, torch.empty(1, 2, 7))
    assert torch.equal(together[row : row + 1], alone)


@given(first=st.tuples(seeds, st.integers(-1, 99)), other=st.tuples(seeds, st.integers(-1, 99)))
def test_other_seed_or_step_gives_other_noise(
    first: tuple[int, int], other: tuple[int, int]
) -> None:
    draws = [Keyed([seed])(k, torch.empty(1, 8)) for seed, k in (first, other)]
    assert torch.equal(*draws) == (first == other)


def test_dtype_changes_the_rounding_only() -> None:
    like = torch.empty(2, 64)
    single = Keyed([3, 4])(0, like)
    assert torch.equal(Keyed([3, 4])(0, like.double()), single.double())
    assert torch.equal(Keyed([3, 4])(0, like.bfloat16()), single.bfloat16())


def test_standard_normal() -> None:
    # Kolmogorov-Smirnov distance of n draws, below 1.63 / sqrt(n) in 99 of 100 cases
    n = 100_000
    draws = Keyed([7])(5, torch.empty(1, n)).double().flatten().sort().values
    uniform = torch.special.ndtr(draws)
    rank = torch.arange(1, n + 1, dtype=torch.float64) / n
    assert (uniform - rank).abs().max() < 1.63 / math.sqrt(n)
    # neighbouring keys are uncorrelated, within 4 standard errors
    pair = torch.cat([Keyed([7])(6, torch.empty(1, n)), Keyed([8])(5, torch.empty(1, n))])
    both = torch.cat([Keyed([7])(5, torch.empty(1, n)), pair])
    correlation = torch.corrcoef(both) - torch.eye(3)
    assert correlation.abs().max() < 4 / math.sqrt(n)


def test_errors() -> None:
    with pytest.raises(ValueError, match="-1"):
        Keyed([-1])
    with pytest.raises(ValueError, match=r"3 rows; expected 2"):
        Keyed([0, 1])(0, torch.empty(3, 4))
    for seeds in (4, [1.5], ["a"]):
        with pytest.raises(TypeError, match="expected a sequence of integers"):
            Keyed(seeds)  # type: ignore[arg-type]
