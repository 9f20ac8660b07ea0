r"""Denoisers: E[x_0 | x_t], and the networks that they are made from.

A *network* is any module called as network(x, time, cond) with x (B, C, *S) and time (B,); what it
predicts is a matter of its training. A *denoiser* is called as denoiser(x_t, t, cond), with t of
shape () or (B,), and returns the posterior mean D = E[x_0 | x_t]. The conversion happens here and
nowhere else: with x_t = alpha x_0 + sigma z every target is affine in D,

    noise     eps   = (x_t - alpha D) / sigma
    velocity  v     = alpha eps - sigma D
    flow      u     = eps - D
    score     s     = (alpha D - x_t) / sigma^2

and D, unlike eps and the score, is finite and informative at all SNRs from zero to infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diff_core.coefficients import broadcast, check_time, floats
from diff_core.condition import Condition
from diff_core.schedule import Schedule

__all__ = [
    "Denoise",
    "Denoiser",
    "FromEps",
    "FromFlow",
    "FromNetwork",
    "FromScore",
    "FromV",
    "FromX0",
    "Preconditioned",
    "beside",
]

Denoise = Callable[[Tensor, int], Tensor]
"""denoise(x, k) = E[x_0 | x at times[k]], for a grid of times known to it."""


class Denoiser(nn.Module):
    """Base of all denoisers: `schedule`, and forward(x_t, t, cond) -> E[x_0 | x_t].

    `config` holds the keywords of the constructor, from which `diff_core.io` rebuilds it.
    """

    schedule: Schedule
    config: dict[str, Any]

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """E[x_0 | x_t] with the shape of x_t (B, C, *S); t in [0, 1] has shape () or (B,).

        The denoisers of this package raise ValueError for another t (see `check_time`).
        """
        raise NotImplementedError

    def check(self, times: Tensor) -> None:
        """Raise ValueError if the denoiser is not defined at one of `times`, a tensor on the CPU.

        Samplers call it once, before the first step, so that nothing need be checked on the way.
        """

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        """The same answers for the states x, of the shape of `like`, at the given times.

        What depends on the times (float64, on the CPU) alone is made here, once for a sampling.
        """
        moments = beside(times, like).unbind()
        return lambda x, k: self(x, moments[k], cond)


class FromNetwork(Denoiser):
    """Base of the denoisers that a network is made into: `network`, and the two steps to D."""

    def __init__(self, network: nn.Module, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.network = network
        self.config = {"network": network, "schedule": schedule}

    def predict(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """The network's own answer; arguments and errors are those of `forward`."""
        raise NotImplementedError

    def convert(self, x_t: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        """D from the network's answer, of the shape of x_t, at (x_t, t)."""
        raise NotImplementedError

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.convert(x_t, t, self.predict(x_t, t, cond))


class FromX0(FromNetwork):
    """The network predicts x_0 (data prediction). It is given t itself as its time."""

    def predict(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        check_time("t", t, x_t)
        return self.network(x_t, _rows(beside(t, x_t), x_t), cond)

    def convert(self, x_t: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        return prediction


class _Affine(FromNetwork):
    """D = skip x_t + out F(scale x_t, time), with numbers that depend on t."""

    def _outer(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """skip and out."""
        raise NotImplementedError

    def _inner(self, alpha: Tensor, sigma: Tensor, t: Tensor) -> tuple[Tensor | None, Tensor]:
        """scale (None for 1) and the network's time."""
        return None, t

    def predict(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        check_time("t", t, x_t)
        scale, time = self._inner(self.schedule.alpha(t), self.schedule.sigma(t), t)
        scaled = x_t if scale is None else broadcast(scale, x_t) * x_t
        return self.network(scaled, _rows(beside(time, x_t), x_t), cond)

    def convert(self, x_t: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        skip, out = self._outer(self.schedule.alpha(t), self.schedule.sigma(t))
        return broadcast(skip, x_t) * x_t + broadcast(out, x_t) * prediction

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        """`Denoiser.on_grid`; it calls the network itself: compile or hook that, not this."""
        own = type(self)
        if (own.forward, own.predict, own.convert) != (
            FromNetwork.forward,
            _Affine.predict,
            _Affine.convert,
        ):
            return super().on_grid(times, like, cond)
        alpha, sigma = self.schedule.alpha(times), self.schedule.sigma(times)
        skip, out = (floats(weight) for weight in self._outer(alpha, sigma))
        scale, time = self._inner(alpha, sigma, times)
        scales = None if scale is None else floats(scale)
        rows = beside(time, like)[:, None].expand(-1, like.shape[0]).unbind()

        def denoise(x: Tensor, k: int) -> Tensor:
            prediction = self.network(x if scales is None else x * scales[k], rows[k], cond)
            return (x * skip[k]).add_(prediction, alpha=out[k])

        return denoise


class FromV(_Affine):
    """The network predicts v = alpha z - sigma x_0. It is given t itself as its time.

    Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022),
    appendix D. With any alpha and sigma, D = (alpha x_t - sigma v) / (alpha^2 + sigma^2).
    """

    def _outer(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        power = alpha * alpha + sigma * sigma
        return alpha / power, -sigma / power


class FromFlow(_Affine):
    """The network predicts z - x_0, which is dx_t/dt on the straight path of `RectifiedFlow`.

    Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow (Liu et al.,
    2022), equation 1. With any alpha and sigma, D = (x_t - sigma u) / (alpha + sigma). The network
    is given t itself as its time.
    """

    def _outer(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return 1 / (alpha + sigma), -sigma / (alpha + sigma)


class _OverAlpha(_Affine):
    """A network whose prediction says nothing of x_0 where alpha is 0: D divides by alpha."""

    def check(self, times: Tensor) -> None:
        """Raise ValueError where alpha is 0."""
        vanishing = times[self.schedule.alpha(times) == 0]
        if vanishing.numel():
            raise ValueError(
                f"t = {vanishing.flatten()[0].item():g} has alpha = 0, where "
                f"{type(self).__name__} cannot recover x_0; expected times with alpha > 0 (start "
                "the grid below it), or a network that predicts x_0, v or flow"
            )


class FromEps(_OverAlpha):
    """The network predicts the noise z: D = (x_t - sigma eps) / alpha.

    Denoising Diffusion Probabilistic Models (Ho et al., 2020), equation 15. It is given t itself
    as its time. Not defined at alpha = 0: samplers raise ValueError before they start, a direct
    call returns Inf or NaN.
    """

    def _outer(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return 1 / alpha, -sigma / alpha


class FromScore(_OverAlpha):
    """The network predicts the score grad log p_t: D = (x_t + sigma^2 s) / alpha.

    Tweedie's formula, as in Score-Based Generative Modeling through Stochastic Differential
    Equations (Song et al., 2021). Time and the case alpha = 0 are as in `FromEps`.
    """

    def _outer(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return 1 / alpha, sigma * sigma / alpha


class Preconditioned(_Affine):
    r"""EDM's preconditioning, for any schedule.

    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
    table 1, applied to x_t / alpha at noise level sigma / alpha and multiplied out:

        D = alpha s_d^2 / n^2 x_t  +  sigma s_d / n F(x_t / n, ln(sigma / alpha) / 4)

    with s_d = sigma_data, the standard deviation of the data, and n^2 = sigma^2 + alpha^2 s_d^2,
    the variance of x_t. The network F sees and predicts unit variance, and knows the noise level
    but not the schedule, so that it can be sampled with another one. Finite everywhere: at
    sigma = 0 it returns x_t / alpha, at alpha = 0 a multiple of F. The network's time is kept
    within +-5 (sigma / alpha from e^-20 to e^20).
    """

    def __init__(self, network: nn.Module, schedule: Schedule, sigma_data: float = 0.5) -> None:
        """Raise ValueError unless sigma_data is above 0."""
        super().__init__(network, schedule)
        if not sigma_data > 0:
            raise ValueError(f"sigma_data is {sigma_data}; expected a number above 0")
        self.sigma_data = sigma_data
        self.config["sigma_data"] = sigma_data

    def _norm(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return torch.hypot(sigma, alpha * self.sigma_data)

    def _outer(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        ratio = self.sigma_data / self._norm(alpha, sigma)
        return alpha * ratio * ratio, sigma * ratio

    def _inner(self, alpha: Tensor, sigma: Tensor, t: Tensor) -> tuple[Tensor | None, Tensor]:
        time = (sigma.log() - alpha.log()).clamp(-20, 20) / 4
        return 1 / self._norm(alpha, sigma), time


def beside(t: Tensor, x: Tensor) -> Tensor:
    """t on the device of x and in its dtype, but never below float32."""
    return t.to(x.device, torch.promote_types(x.dtype, torch.float32))


def _rows(t: Tensor, x: Tensor) -> Tensor:
    """t of shape () or (B,) as (B,)."""
    return t.expand(x.shape[0])
