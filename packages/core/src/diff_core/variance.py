r"""Denoisers that know the variance of x_0 beside its mean.

The reverse step from x_t to s < t that is Gaussian, and has the mean of DDPM, is best with the
variance

    Sigma = b + c^2 V ,    V = Var[x_0 | x_t] ,

where b = sigma_s^2 (1 - r^2), r^2 = SNR_t / SNR_s, is the variance of q(x_s | x_t, x_0), and
c = alpha_s (1 - r^2) the weight of x_0 in its mean: theorem 1 of Analytic-DPM: an Analytic
Estimate of the Optimal Reverse Variance in Diffusion Probabilistic Models (Bao et al., 2022), here
for every entry and every x_t. V depends on x_t and t alone, so that a V that is learned once
serves every grid.

Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), equation 15, learn
v of Sigma = B^v b^(1 - v) instead, with B the variance for data N(0, I), where V = sigma^2 /
(alpha^2 + sigma^2). In the limit of short steps on a variance-preserving schedule the two agree,
as V = v sigma^2; for longer ones v belongs to the grid that it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, FromNetwork, beside
from diff_core.schedule import Schedule, log_snr

__all__ = ["DenoiseMoments", "MomentDenoiser", "WithVariance", "step_divergence"]

Pair = tuple[Tensor, Tensor]

_RANGE = 20.0


@dataclass(frozen=True)
class DenoiseMoments:
    """A `Denoise` that knows the variance: a call gives the mean alone, `moments` both."""

    moments: Callable[[Tensor, int], Pair]

    def __call__(self, x: Tensor, k: int) -> Tensor:
        return self.moments(x, k)[0]


class MomentDenoiser(Denoiser):
    """Base of the denoisers that know Var[x_0 | x_t]: `moments`."""

    def moments(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Pair:
        """E[x_0 | x_t] and the variance of each entry, both of the shape of x_t (B, C, *S).

        Arguments and errors are those of `forward`.
        """
        raise NotImplementedError

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.moments(x_t, t, cond)[0]

    def on_grid(
        self, times: Tensor, like: Tensor, cond: Condition | None = None
    ) -> DenoiseMoments:
        """`Denoiser.on_grid`, with the variances."""
        rows = beside(times, like).unbind()
        return DenoiseMoments(lambda x, k: self.moments(x, rows[k], cond))


class WithVariance(MomentDenoiser):
    """A denoiser whose network has a second output, the logarithm of the variance.

    denoiser:   any of those that are made from a network (`FromV`, `Preconditioned`, ...); here
                its network answers (B, 2 C, *S), first what it predicts, then v
    sigma_data: s, the standard deviation of the data

    V = exp(v) r_t^2, where r_t^2 = sigma^2 s^2 / (sigma^2 + alpha^2 s^2) is the variance for
    Gaussian data of deviation s; v is kept within +-20. Train it with `train.Hybrid`, sample it
    with `Ancestral(variance="learned")`, or with any other sampler for its mean alone. Raises
    ValueError for another denoiser, an s that is not above 0, or a network that answers another
    number of channels.
    """

    def __init__(self, denoiser: Denoiser, sigma_data: float = 1.0) -> None:
        super().__init__(denoiser.schedule)
        if not isinstance(denoiser, FromNetwork):
            raise ValueError(
                f"denoiser is a {type(denoiser).__name__}; expected one that is made from a "
                "network, such as FromV"
            )
        if not sigma_data > 0:
            raise ValueError(f"sigma_data is {sigma_data}; expected a number above 0")
        self.denoiser = denoiser
        self.sigma_data = sigma_data
        self.config = {"denoiser": denoiser, "sigma_data": sigma_data}

    def moments(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Pair:
        answer = self.denoiser.predict(x_t, t, cond)
        expected = (len(x_t), 2 * x_t.shape[1], *x_t.shape[2:])
        if answer.shape != expected:
            raise ValueError(
                f"the network returned shape {tuple(answer.shape)}; expected {expected}: a "
                "prediction and the logarithm of a variance for each entry of x_t"
            )
        prediction, log_ratio = answer.chunk(2, dim=1)
        mean = self.denoiser.convert(x_t, t, prediction)
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        widest = (sigma * self.sigma_data / torch.hypot(sigma, alpha * self.sigma_data)).square()
        return mean, log_ratio.clamp(-_RANGE, _RANGE).exp() * broadcast(widest, x_t)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)


def step_divergence(
    schedule: Schedule, t: Tensor, s: Tensor, error: Tensor, variance: Tensor
) -> Tensor:
    """Return the term of the variational bound for the step from t to s < t, (B, C, *S), in nats.

    For s > 0 it is KL(q(x_s | x_t, x_0) || N(., Sigma)), L_(t-1) of Denoising Diffusion
    Probabilistic Models (Ho et al., 2020), equation 5, which with u = SNR_s - SNR_t = c^2 / b is

        (log(1 + u V) + u (e - V) / (1 + u V)) / 2 ,    e = (x_0 - D)^2 .

    To s = 0 it is -log N(x_0; D, V). In the mean it is least at V = E[e | x_t], whatever the step.

    t, s: float64, of shape () or (B,)
    error: e; variance: V, of the same shape (B, C, *S), above 0 where s is 0
    """
    rise = (2 * log_snr(schedule, s)).exp() - (2 * log_snr(schedule, t)).exp()
    last = broadcast(rise.isinf().to(error), error) > 0
    u = broadcast(rise.nan_to_num(posinf=0.0), error)
    inner = torch.log1p(u * variance) + u * (error - variance) / (1 + u * variance)
    # where a step is not the last its variance may be 0
    safe = torch.where(last, variance, 1.0)
    return 0.5 * torch.where(last, (2 * math.pi * safe).log() + error / safe, inner)
