"""Chains, and a law small enough to enumerate, for the tests of discrete diffusion."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core import Cosine, VariancePreserving
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
    RateMatrix,
    Remasking,
    Sampler,
    TauLeaping,
    Uniform,
    neighbours,
)
from diff_core.discrete.sample import Factorised

K, ENTRIES = 3, 3

LOPSIDED = ((0.0, 2.0, 0.1), (0.3, 0.0, 1.0), (0.5, 0.2, 0.0))
"""Rates without detailed balance, whose eigenvalues are complex."""

CHAINS: dict[str, Chain] = {
    "absorbing": Absorbing(K),
    "absorbing-cosine": Absorbing(K, Cosine()),
    "uniform": Uniform(K),
    "uniform-vp": Uniform(K, VariancePreserving()),
    "neighbours": RateMatrix(rates=neighbours(K)),
    "lopsided": RateMatrix(rates=LOPSIDED),
}


def tensor(value: object) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def dependent_law(seed: int = 0) -> Law:
    """Three entries of three categories that depend on each other; no configuration is rare."""
    weights = torch.rand(K, K, K, generator=torch.Generator().manual_seed(seed)).double()
    weights = weights**2 + 0.05
    return Law(weights / weights.sum())


def generator_matrix(chain: Chain) -> Tensor:
    """Q by the words of the docs, for scipy to exponentiate."""
    if isinstance(chain, RateMatrix):
        return chain.generator
    law = chain.stationary()
    return law.expand(len(law), -1) - torch.eye(len(law), dtype=torch.float64)


def move_law(denoise, sampler: Factorised, k: int, plan, move: int, law: Tensor) -> Tensor:
    """The law (states^n,) after one move from `law`: no configuration is drawn."""
    states = Law.configurations(plan.chain.states, ENTRIES)
    likely = law > 0  # others have no posterior
    kernel = sampler.kernel(denoise, states[likely], k, plan, move)
    each = [kernel[:, :, i][:, states[:, i]] for i in range(ENTRIES)]
    return law[likely] @ torch.stack(each).prod(0)


def walk(denoiser, sampler: Factorised, times: Tensor, law: Tensor) -> Tensor:
    """The law after the whole walk of `sampler` from `law` at times[0], by enumeration."""
    plan = sampler.plan(denoiser.chain, times)

    def denoise(x: Tensor, k: int) -> Tensor:
        return denoiser(x, plan.time(k))

    for k in range(plan.steps):
        for move in range(sampler.moves(k, plan)):
            law = move_law(denoise, sampler, k, plan, move, law)
    return law


def variation(p: Tensor, q: Tensor) -> float:
    """Total variation distance of two laws."""
    return 0.5 * (p - q).abs().sum().item()


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
