"""The forward process: clean to noisy, at once or one Markov step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from diff_core.coefficients import broadcast, check_time, floats
from diff_core.schedule import Schedule, log_snr

__all__ = ["marginal", "transition"]


def marginal(schedule: Schedule, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """A draw of x_t given x_0.

        q(x_t | x_0) = N(alpha(t) x_0, sigma(t)^2 I)

    x_0 and noise (standard normal) have shape (B, ...); t has shape () or (B,), in [0, 1].
    Raises ValueError if the shapes differ or t is out of range.
    """
    _check_noise(noise, x_0)
    check_time("t", t, x_0)
    return broadcast(schedule.alpha(t), x_0) * x_0 + broadcast(schedule.sigma(t), x_0) * noise


def transition(schedule: Schedule, x_s: Tensor, s: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """A draw of q(x_t | x_s) for s < t: one step of the Markov chain that `marginal` composes.

        q(x_t | x_s) = N((alpha_t / alpha_s) x_s, sigma_t^2 (1 - SNR_t / SNR_s) I)

    Section 2 of Variational Diffusion Models (Kingma et al., 2021). Small steps lose digits in
    float32: give s and t in float64, the answer has the dtype of x_s all the same.
    Raises ValueError if the shapes differ, a time is out of range, or s is not before t.
    """
    _check_noise(noise, x_s)
    check_time("s", s, x_s)
    check_time("t", t, x_s)
    if t.device.type == "cpu" and not bool((s < t).all()):
        raise ValueError(f"s = {floats(s)} is not before t = {floats(t)}; expected s < t")
    scale = schedule.alpha(t) / schedule.alpha(s)
    fresh = -torch.expm1(2 * (log_snr(schedule, t) - log_snr(schedule, s)))
    deviation = schedule.sigma(t) * fresh.sqrt()
    return broadcast(scale, x_s) * x_s + broadcast(deviation, x_s) * noise


def _check_noise(noise: Tensor, x: Tensor) -> None:
    if noise.shape != x.shape:
        raise ValueError(
            f"noise has shape {tuple(noise.shape)}; expected that of the signal, {tuple(x.shape)}"
        )
