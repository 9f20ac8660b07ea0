r"""Objectives of denoisers of categories: two bounds on -ln p(x_0).

The continuous-time bound (Campbell et al., A Continuous Time Framework for Discrete Denoising
Models, 2022) is the integral over t of `Chain.loss_rate`:

    -ln p(x_0)  <=  int_0^1 E[ b'(t) sum_y Q(y, x_t) (s - r - r ln(s / r)) ] dt  +  KL(q(x_1 | x_0)
    || stationary law) ,

the score entropy of SEDD (Lou et al., 2024). On an absorbing chain its integrand is the
cross-entropy of the masked entries times -alpha' / (1 - alpha): the bound of MDLM (Sahoo et al.,
2024), the same for every schedule. D3PM's is the bound of a walk of N steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.discrete.denoiser import CategoricalDenoiser
from diff_core.discrete.draw import one_hot, pick
from diff_core.nn.lengths import valid_cells

__all__ = ["EvidenceBound", "Hybrid", "per_entry"]


@dataclass(frozen=True)
class EvidenceBound:
    """The continuous-time bound in nats an entry, t uniform in (margin, 1 - margin).

    The batch holds `x_0` (B, *S), categories of dtype int64, and, under their names, the fields of
    `Condition` that the network takes. With `lengths` the mean is over the valid entries of each
    row. The times of a batch are spread evenly, a random one in each of B equal intervals, which
    makes the loss of a batch less noisy (Kingma et al., Variational Diffusion Models, 2021,
    appendix I.1). margin keeps the weight finite; 0 is unbiased. What the ends leave out is of the
    size of margin.

    Raises ValueError unless 0 <= margin < 0.5.
    """

    margin: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 0.5:
            raise ValueError(f"margin is {self.margin}; expected a number from 0 to 0.5")

    def __call__(
        self, denoiser: CategoricalDenoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, cond = batch["x_0"], Condition.of(batch)
        spread = even_times(len(x_0), generator)
        t = (self.margin + (1 - 2 * self.margin) * spread).to(x_0.device)
        z = torch.randn(x_0.shape, generator=generator).to(x_0.device)
        x_t = denoiser.chain.corrupt(x_0, t, z)
        rate = denoiser.chain.loss_rate(x_0, x_t, denoiser(x_t, t, cond), t)
        return per_entry(rate, cond.lengths)


@dataclass(frozen=True)
class Hybrid:
    """D3PM's loss: the bound of a walk of `steps` equal steps, plus `share` of a cross-entropy.

        steps KL(q(x_s | x_t, x_0) || p(x_s | x_t)) - share ln p_0(x_0) ,

    t uniform among 1 / steps, ..., 1 and s the time before, in nats an entry. Equation 5 of
    Structured Denoising Diffusion Models in Discrete State-Spaces (Austin et al., 2021). With
    share = 0 it is a bound on -ln p(x_0), which falls to that of `EvidenceBound` as steps grow. A
    batch is as `EvidenceBound` takes it. Raises ValueError for steps below 1 or a negative share.
    """

    steps: int = 1000
    share: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.share >= 0:
            raise ValueError(f"given {self}; expected steps >= 1 and share >= 0")

    def __call__(
        self, denoiser: CategoricalDenoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, cond, chain = batch["x_0"], Condition.of(batch), denoiser.chain
        step = (even_times(len(x_0), generator) * self.steps).floor().clamp(max=self.steps - 1)
        s, t = (end.to(x_0.device) / self.steps for end in (step, step + 1))
        z = torch.randn(x_0.shape, generator=generator).to(x_0.device)
        x_t = chain.corrupt(x_0, t, z)
        p_0 = denoiser(x_t, t, cond)
        loss = self.steps * step_gap(denoiser, x_0, x_t, p_0, s, t)
        if self.share:
            loss = loss - self.share * _log(pick(p_0, x_0))
        return per_entry(loss, cond.lengths)


def step_gap(
    denoiser: CategoricalDenoiser, x_0: Tensor, x_t: Tensor, p_0: Tensor, s: Tensor, t: Tensor
) -> Tensor:
    """KL(q(x_s | x_t, x_0) || q(x_s | x_t) by p_0), (B, *S), in nats."""
    chain = denoiser.chain
    certain = one_hot(x_0, chain.categories, p_0.dtype)
    true = chain.posterior(x_t, certain, s, t)
    model = chain.posterior(x_t, p_0, s, t)
    return (torch.xlogy(true, true) - true * _log(model)).sum(1)


def even_times(count: int, generator: torch.Generator) -> Tensor:
    """`count` numbers (count,) in (0, 1), one uniform in each interval of a row, in float64."""
    inner = torch.rand(count, generator=generator, dtype=torch.float64).clamp(2**-40, 1 - 2**-40)
    return (torch.arange(count) + inner) / count


def per_entry(loss: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean (B,) over the entries of each row (B, *S), the valid ones if `lengths` is given."""
    if lengths is None:
        return loss.reshape(len(loss), -1).mean(1)
    lengths = lengths.to(loss.device)
    valid = valid_cells(lengths, 1, loss.shape[-1], loss.ndim)
    total = torch.where(valid, loss, 0.0).flatten(1).sum(1)
    return total / (lengths * (loss[0].numel() // loss.shape[-1]))


def _log(p: Tensor) -> Tensor:
    """The logarithm of probabilities, finite at 0."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
