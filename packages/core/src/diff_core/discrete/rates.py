"""A chain with rates of one's own, as for labels in an order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from diff_core.discrete.chain import Chain

__all__ = ["RateMatrix", "exponential", "neighbours"]

_LONG = 64.0
"""Clock after which nothing is left of the slowest mode, whose rate is 1: e^-64 < 2^-53."""

_TERMS = 20
"""Of the series of exp(A) for |A| <= 1: what is left out is below 1 / 20! = 4e-19 of the rest."""


@dataclass(frozen=True)
class RateMatrix(Chain):
    """A chain with the given rates, K rows of K numbers: row i, column j is the rate from i to j.

    The diagonal is not read: it is minus the sum of the rest of its row. The clock is scaled so
    that the slowest mode has rate 1 and falls as alpha(t): a common factor of the rates has no
    effect. `neighbours` has rates for labels in an order.

    Raises ValueError if the rates are not square, one is negative or infinite, or some category
    cannot be reached from every other.
    """

    categories: int = field(init=False)
    rates: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        table = tuple(tuple(float(rate) for rate in row) for row in self.rates)
        object.__setattr__(self, "rates", table)
        object.__setattr__(self, "categories", len(table))
        super().__post_init__()
        if any(len(row) != len(table) for row in table):
            raise ValueError(
                f"rates has rows of {[len(row) for row in table]} numbers; expected {len(table)}, "
                "one for each row"
            )
        for i, row in enumerate(table):
            for j, rate in enumerate(row):
                if i != j and not 0 <= rate < math.inf:
                    raise ValueError(f"rates[{i}][{j}] is {rate}; expected a number from 0 up")
        moves = torch.tensor(table, dtype=torch.float64).fill_diagonal_(1) > 0
        reached = torch.linalg.matrix_power(moves.double(), len(table) - 1) > 0
        if not bool(reached.all()):
            i, j = (int(n) for n in (~reached).nonzero()[0])
            raise ValueError(f"no rates lead from category {i} to {j}; expected a way to each")

    @cached_property
    def generator(self) -> Tensor:
        """Q (K, K) in float64: rows that sum to 0, the slowest mode of rate 1."""
        q = torch.tensor(self.rates, dtype=torch.float64).fill_diagonal_(0)
        q = q - q.sum(1).diag()
        decay = -torch.linalg.eigvals(q).real  # pyright: ignore
        return q / decay.sort().values[1]

    def stationary(self) -> Tensor:
        return exponential(self.generator, torch.tensor(_LONG, dtype=torch.float64))[0]

    def matrix(self, s: Tensor, t: Tensor) -> Tensor:
        """P_st, (K, K) for single times, else (B, K, K); float64."""
        clock = self.alpha(s.double()).log() - self.alpha(t.double()).log()
        return exponential(self.generator.to(clock.device), clock)

    def push(self, p: Tensor, s: Tensor, t: Tensor) -> Tensor:
        turn = self.matrix(s, t).mT.to(p.device, p.dtype)
        return (turn @ p.reshape(*p.shape[:2], -1)).reshape(p.shape)

    def column(self, x_t: Tensor, s: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
        into = self.matrix(s, t).mT.to(x_t.device, dtype)
        if into.ndim == 2:
            return into[x_t].movedim(-1, 1)
        rows = torch.arange(len(x_t), device=x_t.device).reshape(-1, *(1,) * (x_t.ndim - 1))
        return into[rows, x_t].movedim(-1, 1)

    def inflow(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return self._off(self.generator.mT, x, dtype)

    def outflow(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return self._off(self.generator, x, dtype)

    def _off(self, table: Tensor, x: Tensor, dtype: torch.dtype) -> Tensor:
        rows = table.clone().fill_diagonal_(0).to(x.device, dtype)
        return rows[x].movedim(-1, 1)


def neighbours(categories: int) -> tuple[tuple[float, ...], ...]:
    """Rates 1 between categories side by side: labels in an order, such as ages or stages.

    A walk that stays where it is at either end: its stationary law is uniform.
    """
    return tuple(
        tuple(float(abs(i - j) == 1) for j in range(categories)) for i in range(categories)
    )


def exponential(generator: Tensor, clock: Tensor) -> Tensor:
    """exp(clock * generator), (..., M, M), for rates (M, M) and times (...) >= 0, also infinite.

    Scaling and squaring of exp(-q h) exp(h (Q + q I)), with q the largest rate of leaving: no
    negative number comes up, so that small probabilities keep their digits (uniformisation;
    Jensen, 1953). Times beyond the reach of the slowest mode, of rate 1, are as good as infinite.
    """
    size = generator.shape[-1]
    rate = -generator.diagonal().min()
    clock = clock.clamp(min=0, max=_LONG)
    halvings = max(0, math.ceil(math.log2(max(float(clock.max() * rate), 1.0))))
    part = (clock / 2**halvings)[..., None, None]
    unit = torch.eye(size, dtype=generator.dtype, device=generator.device)
    moves = part * (generator + rate * unit)
    total = unit.expand_as(moves)
    for n in range(_TERMS, 0, -1):
        total = unit + moves @ total / n
    total = total * torch.exp(-rate * part)
    for _ in range(halvings):
        total = total @ total
    return total / total.sum(-1, keepdim=True)
