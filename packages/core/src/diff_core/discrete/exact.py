"""Laws of few categories over few entries, whose diffusion is known by enumeration."""

from __future__ import annotations

import itertools
import math

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
        clean = self.configurations(self.categories, self.entries)
        seen = self.configurations(chain.states, self.entries)
        return self.probabilities @ self._chances(chain, clean, seen, t)

    def posterior(self, chain: Chain, x_t: Tensor, t: Tensor) -> Tensor:
        """The probabilities (B, K, n) of each entry of x_0 given x_t (B, n)."""
        clean = self.configurations(self.categories, self.entries)
        weight = self.probabilities[:, None] * self._chances(chain, clean, x_t, t)
        weight = weight / weight.sum(0)
        return torch.einsum("nb,nkl->bkl", weight, one_hot(clean, self.categories, weight.dtype))

    def _chances(self, chain: Chain, clean: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """q(x_t | x_0) for every pair, (N, B)."""
        law = chain.marginal(clean, t, torch.float64)
        chances = [
            law[:, :, i].gather(1, x_t[None, :, i].expand(len(clean), -1))
            for i in range(self.entries)
        ]
        return torch.stack(chances).prod(0)

    def entropy(self) -> float:
        """Of the whole law, in nats."""
        return -torch.xlogy(self.probabilities, self.probabilities).sum().item()

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws, (count, n)."""
        drawn = torch.multinomial(self.probabilities, count, True, generator=generator)
        return self.configurations(self.categories, self.entries)[drawn]


class ExactCategorical(CategoricalDenoiser):
    """The posterior of a known law on any chain, in float64; conditions are ignored.

    It takes a single time for all rows.
    """

    def __init__(self, law: Law, chain: Chain) -> None:
        super().__init__(chain)
        self.law = law

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        check_time("t", t, x_t)
        if t.ndim:
            each = [self.law.posterior(self.chain, x[None], s) for x, s in zip(x_t, t, strict=True)]
            return torch.cat(each)
        return self.law.posterior(self.chain, x_t, t.double())
