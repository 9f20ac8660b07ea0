"""The likelihood of categories: a bound from above on -ln p(x_0)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.discrete.denoiser import CategoricalDenoiser
from diff_core.discrete.objective import per_entry

__all__ = ["bits_per_token", "evidence_bound"]


def evidence_bound(
    denoiser: CategoricalDenoiser,
    x_0: Tensor,
    *,
    draws: int = 32,
    cond: Condition | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """An unbiased estimate (B,), in nats an entry, of the continuous-time bound on -ln p(x_0).

    x_0: categories (B, *S) of dtype int64
    draws: calls of the denoiser, at one random time in each of as many equal intervals of (0, 1);
        the error falls as draws^-1.5 where the integrand is smooth. The order of the times is
        another for every row

    The bound is tight for the denoiser E[onehot(x_0) | x_t] of the data: in the mean over data it
    is their entropy. It includes KL(q(x_1 | x_0) || stationary law), 0 where alpha(1) = 0.
    Gradients are off. Raises ValueError if `draws` is below 1.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected at least 1")
    chain, rows = denoiser.chain, len(x_0)
    total = torch.zeros(rows, dtype=torch.float64, device=x_0.device)
    # rows that go through the intervals in orders of their own see all of (0, 1) at any time
    order = torch.rand(rows, draws, generator=generator).argsort(1)
    inner = torch.rand(rows, draws, generator=generator, dtype=torch.float64)
    times = ((order + inner.clamp(2**-40, 1 - 2**-40)) / draws).to(x_0.device)
    with torch.no_grad():
        for t in times.unbind(1):
            z = torch.randn(x_0.shape, generator=generator).to(x_0.device)
            x_t = chain.corrupt(x_0, t, z)
            p_0 = denoiser(x_t, t, cond)
            total += per_entry(chain.loss_rate(x_0, x_t, p_0.double(), t), _lengths(cond))
    gap = per_entry(chain.prior_gap(x_0), _lengths(cond))
    return total / draws + gap


def bits_per_token(nats: Tensor) -> float:
    """The mean of nats an entry (B,), in bits."""
    return nats.double().mean().item() / math.log(2)


def _lengths(cond: Condition | None) -> Tensor | None:
    return None if cond is None else cond.lengths
