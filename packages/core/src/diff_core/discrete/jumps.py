r"""Chains in which one jump forgets everything.

    P_st = a I + (1 - a) 1 pi^T ,   a = alpha_t / alpha_s

An entry jumps with rate b'(t), to a state drawn from pi whatever it was before. `Absorbing` has
all of pi at one further state, the mask; `Uniform` has it equal over the categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.discrete.chain import Chain
from diff_core.discrete.draw import one_hot, pick

__all__ = ["Absorbing", "Uniform"]


@dataclass(frozen=True)
class _Jumps(Chain):
    def _law(self, like: Tensor) -> Tensor:
        """pi beside probabilities (B, states, *S)."""
        return self.stationary().to(like).reshape(1, -1, *(1,) * (like.ndim - 2))

    def _kept(self, s: Tensor, t: Tensor) -> Tensor:
        return self.alpha(t) / self.alpha(s)

    def push(self, p: Tensor, s: Tensor, t: Tensor) -> Tensor:
        kept = self._kept(s, t)
        spread = broadcast(1 - kept, p) * p.sum(1, keepdim=True)
        return broadcast(kept, p) * p + spread * self._law(p)

    def column(self, x_t: Tensor, s: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
        kept, here = self._kept(s, t), one_hot(x_t, self.states, dtype)
        chance = self.stationary().to(x_t.device, dtype)[x_t][:, None]
        return broadcast(kept, here) * here + broadcast(1 - kept, chance) * chance

    def inflow(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        chance = self.stationary().to(x.device, dtype)[x][:, None]
        return chance * (1 - one_hot(x, self.states, dtype))

    def outflow(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        elsewhere = 1 - one_hot(x, self.states, dtype)
        return self._law(elsewhere) * elsewhere


@dataclass(frozen=True)
class Uniform(_Jumps):
    """A jump goes to any of the K categories with the same probability.

    The uniform chain of Structured Denoising Diffusion Models in Discrete State-Spaces (Austin et
    al., 2021), in continuous time.
    """

    def stationary(self) -> Tensor:
        return torch.full((self.states,), 1 / self.states, dtype=torch.float64)


@dataclass(frozen=True)
class Absorbing(_Jumps):
    """A jump goes to the mask, state K, and no jump leaves it.

    x_t says of an entry either its category or nothing, so that the law of x_0 given x_t does not
    depend on t (Zheng et al., Masked Diffusion Models are Secretly Time-Agnostic Masked Models and
    Exploit Inaccurate Categorical Sampling, 2024, proposition 1). Bayes' rule becomes

        q(x_s | x_t = mask) = (1 - alpha_s) / (1 - alpha_t) at the mask,
                              (alpha_s - alpha_t) / (1 - alpha_t) p_0 elsewhere ,

    equation 6 of Simple and Effective Masked Diffusion Language Models (Sahoo et al., 2024), and
    an entry that is not masked stays. Raises ValueError unless alpha(1) = 0: sampling starts from
    nothing but masks.
    """

    timeless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        end = self.alpha(torch.ones((), dtype=torch.float64)).item()
        if end > 0:
            raise ValueError(
                f"{self.schedule} has alpha(1) = {end:g}; expected 0, as in RectifiedFlow() or "
                "Cosine(): an absorbing chain ends in nothing but masks"
            )

    @property
    def states(self) -> int:
        return self.categories + 1

    @property
    def mask(self) -> int:
        """The state that takes everything in: K."""
        return self.categories

    def stationary(self) -> Tensor:
        law = torch.zeros(self.states, dtype=torch.float64)
        law[self.mask] = 1
        return law

    def known(self, p_0: Tensor, x_t: Tensor) -> Tensor:
        masked = (x_t == self.mask)[:, None]
        certain = one_hot(x_t, self.states, p_0.dtype)[:, : self.categories]
        return torch.where(masked, p_0, certain)

    def posterior(self, x_t: Tensor, p_0: Tensor, s: Tensor, t: Tensor) -> Tensor:
        hidden = (1 - self.alpha(s)) / (1 - self.alpha(t))
        tokens = broadcast(1 - hidden, p_0) * p_0
        still = broadcast(hidden, p_0).expand_as(p_0[:, :1])
        drawn = torch.cat([tokens, still], dim=1)
        masked = (x_t == self.mask)[:, None]
        return torch.where(masked, drawn, one_hot(x_t, self.states, p_0.dtype))

    def score(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """Raise TypeError: a shown entry has q_t(mask) / q_t(x_t), which p_0 does not give."""
        raise TypeError("an absorbing chain has no score of a shown entry; see `backflow`")

    def backflow(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """From the mask to y with alpha / (1 - alpha) p_0(y)."""
        return self._unmasking(x_t, p_0, self.alpha(t) / (1 - self.alpha(t)))

    def reverse_rates(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """From the mask to y with -alpha' / (1 - alpha) p_0(y): finite at t = 1 as well."""
        return self._unmasking(x_t, p_0, self.speed(t) / (1 - self.alpha(t)))

    def _unmasking(self, x_t: Tensor, p_0: Tensor, pace: Tensor) -> Tensor:
        masked = (x_t == self.mask)[:, None]
        tokens = torch.where(masked, broadcast(pace, p_0) * p_0, 0.0)
        return torch.cat([tokens, torch.zeros_like(tokens[:, :1])], dim=1)

    def loss_rate(self, x_0: Tensor, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """-alpha' / (1 - alpha) times -ln p_0(x_0), where masked (Sahoo et al., equation 10)."""
        pace = self.speed(t) / (1 - self.alpha(t))
        chance = pick(p_0, x_0)
        surprise = -chance.clamp(min=torch.finfo(p_0.dtype).tiny).log()
        return torch.where(x_t == self.mask, broadcast(pace, surprise) * surprise, 0.0)
