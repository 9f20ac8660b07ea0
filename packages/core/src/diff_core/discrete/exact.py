"""Laws of few categories over few entries, whose diffusion is known by enumeration."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from diff_core.coefficients import check_time
from diff_core.condition import Condition
from diff_core.discrete.chain import Chain
from diff_core.discrete.denoiser import CategoricalDenoiser
from diff_core.discrete.draw import one_hot

__all__ = ["ExactCategorical", "Law"]


class Law:
    """A law of n entries of K categories each: probabilities (K, ..., K), n axes, in float64.

    Raises ValueError unless the axes are equal and the probabilities sum to 1.
    """

    def __init__(self, probabilities: Tensor) -> None:
        sizes = set(probabilities.shape)
        if len(sizes) != 1:
            raise ValueError(
                f"probabilities is {tuple(probabilities.shape)}; expected one size on all axes"
            )
        if bool((probabilities < 0).any()) or abs(probabilities.sum().item() - 1) > 1e-6:
            raise ValueError(f"probabilities sum to {probabilities.sum():g}; expected a law")
        self.categories = int(probabilities.shape[0])
        self.entries = probabilities.ndim
        self.probabilities = probabilities.double().flatten()

    @staticmethod
    def configurations(states: int, entries: int) -> Tensor:
        """All states^entries configurations in the order of a flattened law, (N, entries)."""
        return torch.tensor(list(itertools.product(range(states), repeat=entries)))

    def at(self, chain: Chain, t: Tensor) -> Tensor:
        """The law of x_t over all configurations of the chain's states, (states^n,)."""
        seen = self.configurations(chain.states, self.entries)
        return self.probabilities @ self.chances(chain, seen, t)

    def posterior(self, chain: Chain, x_t: Tensor, t: Tensor) -> Tensor:
        """The probabilities (B, K, n) of each entry of x_0 given x_t (B, n), t () or (B,)."""
        clean = self.configurations(self.categories, self.entries)
        weight = self.probabilities[:, None] * self.chances(chain, x_t, t)
        weight = weight / weight.sum(0)
        return torch.einsum("nb,nkl->bkl", weight, one_hot(clean, self.categories, weight.dtype))

    def chances(self, chain: Chain, x_t: Tensor, t: Tensor) -> Tensor:
        """q(x_t | x_0) for every x_0, in the order of the law, and every row of x_t; (N, B)."""
        t, rows = t.double().reshape(-1), len(x_t)
        clean = self.configurations(self.categories, self.entries)
        # the marginal from every category, one column each: (1 or B, states, K)
        certain = torch.eye(chain.states, self.categories, dtype=torch.float64)
        table = chain.push(certain.expand(len(t), -1, -1), torch.zeros_like(t), t).expand(
            rows, -1, -1
        )
        here = torch.arange(rows)
        each = [table[here, x_t[:, i]][:, clean[:, i]] for i in range(self.entries)]
        return torch.stack(each).prod(0).mT

    def entropy(self) -> float:
        """The entropy of the whole law, in nats."""
        return -torch.xlogy(self.probabilities, self.probabilities).sum().item()

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws, (count, n)."""
        drawn = torch.multinomial(self.probabilities, count, True, generator=generator)
        return self.configurations(self.categories, self.entries)[drawn]


class ExactCategorical(CategoricalDenoiser):
    """The posterior of a known law on any chain, in float64; conditions are ignored.

    NaN for an x_t that the law cannot have.
    """

    def __init__(self, law: Law, chain: Chain) -> None:
        super().__init__(chain)
        self.law = law

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        check_time("t", t, x_t)
        if self.chain.timeless:  # any time will do, and at t = 1 nothing but masks is possible
            return self.law.posterior(self.chain, x_t, torch.tensor(0.5, dtype=torch.float64))
        return self.law.posterior(self.chain, x_t, t)
