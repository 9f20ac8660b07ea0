"""The objectives that denoisers are trained on.

Every usual loss is the squared error of E[x_0 | x_t] with a weight w(lambda), lambda the log of
alpha/sigma (Kingma and Gao, Understanding Diffusion Objectives as the ELBO with Simple Data
Augmentation, 2023). With the signal-to-noise ratio s = exp(2 lambda):

    noise prediction   w = s                     (Ho et al., DDPM, 2020)
    data prediction    w = 1
    v-prediction       w = s + 1                 (Salimans and Ho, Progressive Distillation, 2022)
    EDM                w = (1/s + d^2) s / d^2   (Karras et al., EDM, 2022; d = sigma_data)
    min-SNR            w = min(s, gamma)         (Hang et al., Min-SNR Weighting, 2023)
    P2                 w = s / (k + s)^gamma     (Choi et al., Perception Prioritized Training of
                                                  Diffusion Models, 2022)

`train.uncertainty` learns a weight: the inverse of the loss at each level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.forward import marginal
from diff_core.nn.lengths import blank, valid_cells
from diff_core.schedule import Schedule, log_snr
from diff_core.train.times import Times

__all__ = [
    "Denoising",
    "Objective",
    "Weight",
    "edm_weight",
    "eps_weight",
    "kept",
    "mean_square",
    "min_snr_weight",
    "p2_weight",
    "row_mean",
    "v_weight",
    "x0_weight",
]

Weight = Callable[[Tensor], Tensor]
"""A weight for each row of a loss, from its log-SNR (B,)."""


class Objective(Protocol):
    """Loss of each sample of a batch; all randomness comes from the generator."""

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor: ...


def eps_weight(log_snr: Tensor) -> Tensor:
    """exp(2 lambda)."""
    return torch.exp(2 * log_snr)


def x0_weight(log_snr: Tensor) -> Tensor:
    """1."""
    return torch.ones_like(log_snr)


def v_weight(log_snr: Tensor) -> Tensor:
    """exp(2 lambda) + 1."""
    return torch.exp(2 * log_snr) + 1


def edm_weight(sigma_data: float = 0.5) -> Weight:
    """(sigma^2 + d^2) / (sigma d)^2 with sigma = exp(-lambda)."""
    return lambda log_snr: torch.exp(2 * log_snr) + 1 / sigma_data**2


def min_snr_weight(gamma: float = 5.0) -> Weight:
    """min(exp(2 lambda), gamma)."""
    return lambda log_snr: torch.exp(2 * log_snr).clamp(max=gamma)


def p2_weight(gamma: float = 1.0, k: float = 1.0) -> Weight:
    """s / (k + s)^gamma with s = exp(2 lambda): the paper's weight of the error of
    eps is 1 / (k + s)^gamma.

    Less weight where the noise is small and what is left to learn cannot be seen. gamma = 0 is
    `eps_weight`.
    """
    return lambda log_snr: torch.exp(2 * log_snr - gamma * _log_sum(2 * log_snr, k))


def _log_sum(log_s: Tensor, k: float) -> Tensor:
    """ln(k + s), without overflow."""
    return torch.logaddexp(log_s, torch.full_like(log_s, k).log())


@dataclass(frozen=True)
class Denoising:
    """w(lambda_t) |D(x_t, t) - x_0|^2, mean over a sample's entries, t uniform in (t_min, 1].

    The batch holds `x_0` (B, C, *S) and, under their names, the fields of `Condition` that the
    network takes. With `lengths` the mean is over the valid entries of each sample: what is in the
    padding has no effect. `times` draws t from another density, see `diff_core.train.times`; t_min
    keeps weights finite that grow without bound at t = 0.
    """

    weight: Weight = x0_weight
    t_min: float = 1e-3
    times: Times | None = None

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        level, error = self.error(denoiser, batch, generator)
        return self.weight(level) * error

    def error(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The log-SNR drawn for each sample, and its squared error without the weight; (B,)."""
        x_0, x_t, t = self.draw(denoiser.schedule, batch, generator)
        cond = Condition.of(batch)
        error = mean_square(denoiser(x_t, t, cond) - x_0, cond.lengths)
        return log_snr(denoiser.schedule, t), error

    def draw(
        self, schedule: Schedule, batch: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x_0, x_t (B, C, *S) and the times t (B,) of a batch."""
        x_0 = batch["x_0"]
        uniform = torch.rand(x_0.shape[0], generator=generator)
        if self.times is None:
            t = (self.t_min + (1 - self.t_min) * (1 - uniform)).to(x_0)
        else:
            # `rand` may give 0, of which the inverse of a normal distribution is infinite
            inner = uniform.double().clamp(2**-25, 1 - 2**-25)
            t = self.times(schedule, inner).clamp(self.t_min, 1).to(x_0)
        noise = torch.randn(x_0.shape, generator=generator).to(x_0)
        return x_0, marginal(schedule, x_0, t, noise), t


def mean_square(difference: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Mean over the entries of each row of (B, C, *S), over the valid ones with `lengths` (B,)."""
    # NaN in the padding must be gone before the square, whose gradient it would spoil
    return row_mean(kept(difference, lengths).square(), lengths)


def row_mean(values: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Mean of each row of (B, C, *S), over the valid entries with `lengths` (B,)."""
    if lengths is None:
        return values.flatten(1).mean(1)
    total = kept(values, lengths).flatten(1).sum(1)
    return total / (lengths.to(total) * math.prod(values.shape[1:-1]))


def kept(x: Tensor, lengths: Tensor | None) -> Tensor:
    """x (B, C, *S) with zeros in the padding, whatever was there."""
    if lengths is None:
        return x
    return blank(x, valid_cells(lengths.to(x.device), 1, x.shape[-1], x.ndim))
