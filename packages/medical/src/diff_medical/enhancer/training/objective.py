"""The training objective of the slice network: E[x_0 | x_t] of every slice of a slab."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.denoiser import Denoiser

__all__ = ["SlabDenoising", "draw_sigma", "slab_noise"]


@dataclass(frozen=True)
class SlabDenoising:
    """EDM's loss on slabs: |D(x_0 + sigma z; sigma) - x_0|^2 / c_out^2, mean over pixels.

    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), eq. 5
    to 8: with c_out = sigma s_d / sqrt(sigma^2 + s_d^2) every noise level weighs the same.

    The batch holds `x_0` (B, S, H, W) and `slices` (B, S): slices of a sample with the same number
    are one slice repeated, and get the same noise. It may also hold `y` and `sigma` (B,), a worse
    scan of x_0 and how noisy it is (`diff_medical.data.patches`): where sigma is above 0 the
    network gets y as it is, with that sigma, and so learns E[x_0 | y] of noise that is not white;
    where it is 0, noise is added to y. The outermost slices, which lack context on one side and
    are used only at the ends of a stack, count `outer` times as much as the others.

    low, high:   range of sigma, drawn log-uniformly; the network ends at `high`
    middle:      half of the samples come from this narrower range, where most scans are
    correlated:  share of samples whose noise is mildly correlated between neighbouring pixels, as
                 an interpolating scanner leaves it
    """

    low: float = 0.004
    high: float = 0.5
    middle: tuple[float, float] = (0.03, 0.25)
    outer: float = 0.3
    correlated: float = 0.15
    sigma_data: float = 0.5

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0 = batch["x_0"]
        sigma = draw_sigma(x_0.shape[0], self, generator).to(x_0)
        noise = slab_noise(x_0, batch["slices"], self.correlated, generator)
        given = batch.get("sigma", torch.zeros_like(sigma)).to(x_0)
        x_t = batch.get("y", x_0) + broadcast(torch.where(given > 0, 0, sigma), x_0) * noise
        sigma = torch.where(given > 0, given.clamp(self.low, self.high), sigma)
        t = denoiser.schedule.time(-sigma.log())
        estimate = denoiser(x_t, t)
        out = sigma * self.sigma_data / torch.hypot(sigma, torch.full_like(sigma, self.sigma_data))
        error = ((estimate - x_0) / broadcast(out, x_0)).square().mean((2, 3))
        weight = torch.ones_like(error[0])
        weight[0] = weight[-1] = self.outer
        return error @ (weight / weight.sum())


def draw_sigma(count: int, objective: SlabDenoising, generator: torch.Generator) -> Tensor:
    """(count,) noise levels, stratified over the range so that each batch spans it."""
    order = torch.randperm(count, generator=generator)
    uniform = (order + torch.rand(count, generator=generator)) / count
    narrow = torch.rand(count, generator=generator) < 0.5
    wide = _between(objective.low, objective.high, uniform)
    return torch.where(narrow, _between(*objective.middle, uniform), wide)


def _between(low: float, high: float, uniform: Tensor) -> Tensor:
    return torch.exp(math.log(low) + (math.log(high) - math.log(low)) * uniform)


def slab_noise(
    like: Tensor, slices: Tensor, correlated: float, generator: torch.Generator
) -> Tensor:
    """Unit normal noise of the shape of `like` (B, S, H, W), equal where `slices` (B, S) is equal.

    A share `correlated` of the samples is smoothed in plane with (a, 1, a) along both axes, a up
    to 0.5, and rescaled to unit variance.
    """
    count = like.shape[0]
    noise = torch.randn(like.shape, generator=generator).to(like)
    which = torch.rand(count, generator=generator) < correlated
    tap = (0.5 * torch.rand(count, generator=generator) * which).to(like)
    if bool(which.any()):
        a = tap[which][:, None, None, None]
        part = noise[which]
        for axis in (2, 3):
            part = (part + a * (part.roll(1, axis) + part.roll(-1, axis))) / (1 + 2 * a * a).sqrt()
        noise[which] = part
    index = slices[:, :, None, None].expand_as(noise)
    return noise.gather(1, index)
