r"""Forward processes on categories: continuous-time Markov chains in closed form.

Every entry of x_0 is one of K categories and jumps on its own, whatever its neighbours do. With
the rates Q (row: from, column: to; rows sum to 0) and the clock b(t) = -ln alpha(t), the law of
x_t given x_s, s < t, is the row x_s of

    P_st = exp((b(t) - b(s)) Q) .

alpha is that of any schedule of the Gaussian core that falls from 1: where one jump forgets
everything it is the probability that an entry has not jumped, elsewhere the correlation that is
left in a mode of rate 1. Given the probabilities p_0 of x_0, Bayes' rule gives all that a sampler
or a loss needs:

    q(x_s | x_t) = P_st(x_s, x_t)  sum_{x_0} p_0(x_0) P_0s(x_0, x_s) / P_0t(x_0, x_t)
    score(y)     = sum_{x_0} p_0(x_0) P_0t(x_0, y) / P_0t(x_0, x_t)  =  q_t(y) / q_t(x_t)
    rate(x_t, y) = b'(t) Q(y, x_t) score(y)                         of the walk back, per unit of t

Austin et al., Structured Denoising Diffusion Models in Discrete State-Spaces (2021), equation 3;
Campbell et al., A Continuous Time Framework for Discrete Denoising Models (2022), proposition 1.

Probabilities are (B, K, *S), states (B, *S) of dtype int64, times () or (B,). Coefficients are
computed in the dtype of the times: give them in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.discrete.draw import categorical, one_hot
from diff_core.schedule import RectifiedFlow, Schedule

__all__ = ["Chain"]


@dataclass(frozen=True)
class Chain:
    """The base of the chains: what follows from the two maps `push` and `column`.

    categories: K, of x_0
    schedule:   any with alpha(0) = 1 and alpha falling; its sigma plays no part

    Raises ValueError for fewer than 2 categories or a schedule whose alpha does not fall.
    """

    categories: int
    schedule: Schedule = RectifiedFlow()

    timeless: ClassVar[bool] = False
    """True where the law of x_0 given x_t is the same at every t."""

    def __post_init__(self) -> None:
        if self.categories < 2:
            raise ValueError(f"categories is {self.categories}; expected at least 2")
        ends = self.schedule.alpha(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)).tolist()
        if not (abs(ends[0] - 1) < 1e-9 and ends[0] > ends[1] > ends[2] >= 0):
            raise ValueError(
                f"{self.schedule} has alpha {ends[0]:g}, {ends[1]:g}, {ends[2]:g} at t = 0, 0.5, "
                "1; expected a schedule whose alpha falls from 1, such as RectifiedFlow()"
            )

    @property
    def states(self) -> int:
        """The number of states of x_t, with which `push` and `column` deal."""
        return self.categories

    def alpha(self, t: Tensor) -> Tensor:
        """alpha(t) = exp(-b(t)), of the schedule."""
        return self.schedule.alpha(t)

    def speed(self, t: Tensor) -> Tensor:
        """-alpha'(t), by automatic differentiation of the schedule."""
        with torch.enable_grad():
            time = t.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.schedule.alpha(time).sum(), time)
        return -slope

    def stationary(self) -> Tensor:
        """The law of x_t after infinite time, (states,) in float64."""
        raise NotImplementedError

    def push(self, p: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """sum_x p(x) P_st(x, y): the law at t of a state that has the law p at s < t."""
        raise NotImplementedError

    def column(self, x_t: Tensor, s: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
        """P_st(y, x_t) for every y, (B, states, *S)."""
        raise NotImplementedError

    def inflow(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The rates Q(y, x) into x from every y, 0 for y = x; (B, states, *S)."""
        raise NotImplementedError

    def outflow(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The rates Q(x, y) from x to every y, 0 for y = x; (B, states, *S)."""
        raise NotImplementedError

    def start(self, z: Tensor) -> Tensor:
        """A draw (B, *S) of the stationary law, for z (B, *S) standard normal: a state at t = 1.

        It is the law of x_1 where alpha(1) = 0, and close to it where alpha(1) is small.
        """
        law = self.stationary().to(z.device)
        return categorical(law.reshape(1, -1, *(1,) * (z.ndim - 1)).expand(-1, -1, *z[0].shape), z)

    def marginal(self, x_0: Tensor, t: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """q(x_t | x_0), (B, states, *S)."""
        return self.push(one_hot(x_0, self.states, dtype), torch.zeros_like(t), t)

    def corrupt(self, x_0: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """A draw (B, *S) of q(x_t | x_0), for z (B, *S) standard normal."""
        return categorical(self.marginal(x_0, t), z)

    def known(self, p_0: Tensor, x_t: Tensor) -> Tensor:
        """p_0 (B, K, *S) with what x_t alone says of x_0 put in; here nothing."""
        return p_0

    def posterior(self, x_t: Tensor, p_0: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """q(x_s | x_t) for s < t, (B, states, *S), where p_0 (B, K, *S) is the law of x_0.

        With p_0 certain of x_0 it is the bridge q(x_s | x_t, x_0).
        """
        reached = self.push(self._lifted(x_t, p_0, t), torch.zeros_like(s), s)
        law = reached * self.column(x_t, s, t, p_0.dtype)
        return law / law.sum(1, keepdim=True)

    def score(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """q_t(y) / q_t(x_t) for every state y, (B, states, *S); 1 at y = x_t."""
        return self.push(self._lifted(x_t, p_0, t), torch.zeros_like(t), t)

    def backflow(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """The rates of the walk back from x_t to every y, per unit of the clock b.

        (B, states, *S), 0 at y = x_t.
        """
        return self.inflow(x_t, p_0.dtype) * self.score(x_t, p_0, t)

    def reverse_rates(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """The rates of the walk back from x_t to every y, per unit of t; (B, states, *S)."""
        flow = self.backflow(x_t, p_0, t)
        return broadcast(self.speed(t) / self.alpha(t), flow) * flow

    def loss_rate(self, x_0: Tensor, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """The integrand of the bound on -ln p(x_0), (B, *S), in nats per unit of t.

        b'(t) sum_{y != x_t} Q(y, x_t) (s - r - r ln(s / r)), with s the score by p_0 and r that
        by x_0 itself: the score entropy of Discrete Diffusion Modeling by Estimating the Ratios of
        the Data Distribution (Lou et al., 2024), equation 11. It is 0 or more.
        """
        pace = self.speed(t) / self.alpha(t)
        s = self.score(x_t, p_0, t)
        r = self.score(x_t, one_hot(x_0, self.states, p_0.dtype), t)
        excess = s - r
        # no difference of large terms is left; a floor keeps the logarithm of a vanishing s finite
        ratio = (excess / r).clamp(min=-1 + torch.finfo(s.dtype).eps)
        entropy = self.inflow(x_t, p_0.dtype) * (excess - r * torch.log1p(ratio))
        total = entropy.sum(1)
        return broadcast(pace, total) * total

    def prior_gap(self, x_0: Tensor) -> Tensor:
        """KL(q(x_1 | x_0) || stationary law), (B, *S), in nats: what `start` leaves out."""
        end = torch.ones((), dtype=torch.float64, device=x_0.device)
        law = self.marginal(x_0, end, torch.float64)
        prior = self.stationary().to(x_0.device).reshape(1, -1, *(1,) * (x_0.ndim - 1))
        return (torch.xlogy(law, law) - torch.xlogy(law, prior)).sum(1)

    def _lifted(self, x_t: Tensor, p_0: Tensor, t: Tensor) -> Tensor:
        """p_0(x_0) / P_0t(x_0, x_t); an x_0 from which x_t cannot be reached is left out."""
        column = self.column(x_t, torch.zeros_like(t), t, p_0.dtype)
        possible = column > 0
        return torch.where(possible, p_0 / torch.where(possible, column, 1.0), 0.0)
