"""The training objective of the slice network: E[x_0 | x_t] of every slice of a slab."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.denoiser import Denoiser
from diff_medical.data.lesions import Lesions, draw_lesions

__all__ = ["SlabDenoising", "draw_sigma", "shading", "slab_noise"]


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
    zero_filled: share of samples whose noise lies only in an inner band of frequencies, as a
                 scanner leaves it that fills the rest of k-space with zeros
    shading:     share of samples that are shaded as by division by a map of the noise level;
                 only where noise is added here
    lesions:     small structures that are added to x_0 and y alike
    """

    low: float = 0.004
    high: float = 0.5
    middle: tuple[float, float] = (0.03, 0.25)
    outer: float = 0.3
    correlated: float = 0.15
    sigma_data: float = 0.5
    zero_filled: float = 0.0
    shading: float = 0.0
    lesions: Lesions = field(default_factory=Lesions)

    def __post_init__(self) -> None:
        for name in ("correlated", "zero_filled", "shading"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name} is {value}; expected a probability in [0, 1]")

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, slices = batch["x_0"], batch["slices"]
        y = batch.get("y", x_0)
        sigma = draw_sigma(x_0.shape[0], self, generator).to(x_0)
        noise = slab_noise(x_0, slices, self.correlated, generator, self.zero_filled)
        given = batch.get("sigma", torch.zeros_like(sigma)).to(x_0)
        if self.shading > 0:
            factor = shading(x_0, self.shading, generator)
            factor = torch.where(broadcast(given, x_0) > 0, torch.ones_like(factor), factor)
            x_0, y = x_0 * factor, y * factor
        added = torch.where(given > 0, 0, sigma)
        sigma = torch.where(given > 0, given.clamp(self.low, self.high), sigma)
        inside = torch.zeros_like(x_0)
        if self.lesions.share > 0:
            bumps, inside = draw_lesions(x_0, slices, self.lesions, generator)
            bumps = broadcast(sigma, x_0) * bumps
            x_0, y = x_0 + bumps, y + bumps
        x_t = y + broadcast(added, x_0) * noise
        estimate = denoiser(x_t, denoiser.schedule.time(-sigma.log()))
        out = sigma * self.sigma_data / torch.hypot(sigma, torch.full_like(sigma, self.sigma_data))
        error = ((estimate - x_0) / broadcast(out, x_0)).square()
        error = (error * (1 + self.lesions.weight * inside)).mean((2, 3))
        weight = torch.ones_like(error[0])
        weight[0] = weight[-1] = self.outer
        return error @ (weight / weight.sum())


def draw_sigma(count: int, objective: SlabDenoising, generator: torch.Generator) -> Tensor:
    """Return (count,) noise levels, stratified over the range so that each batch spans it."""
    order = torch.randperm(count, generator=generator)
    uniform = (order + torch.rand(count, generator=generator)) / count
    narrow = torch.rand(count, generator=generator) < 0.5
    wide = _between(objective.low, objective.high, uniform)
    return torch.where(narrow, _between(*objective.middle, uniform), wide)


def _between(low: float, high: float, uniform: Tensor) -> Tensor:
    return torch.exp(math.log(low) + (math.log(high) - math.log(low)) * uniform)


def slab_noise(
    like: Tensor,
    slices: Tensor,
    correlated: float,
    generator: torch.Generator,
    zero_filled: float = 0.0,
) -> Tensor:
    """Return unit normal noise of the shape of `like` (B, S, H, W), equal where `slices` (B, S) is
    equal.

    A share `correlated` of the samples is smoothed in plane with (a, 1, a) along both axes, a up
    to 0.5, and rescaled to unit variance. A share `zero_filled` keeps only 45 to 100 % of the
    frequencies of one or both axes in plane.
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
    if zero_filled > 0:
        filled = torch.rand(count, generator=generator) < zero_filled
        kept = 0.45 + 0.55 * torch.rand(count, 2, generator=generator)
        one_way = torch.rand(count, generator=generator) < 0.5
        kept[one_way, int(torch.randint(2, (1,), generator=generator))] = 1.0
        for item in filled.nonzero().flatten().tolist():
            noise[item] = _band(noise[item], kept[item].tolist())
    index = slices[:, :, None, None].expand_as(noise)
    return noise.gather(1, index)


def _band(noise: Tensor, kept: list[float]) -> Tensor:
    """Return noise (S, H, W) with only the inner shares `kept` of the frequencies along H and W;
    unit variance.
    """
    spectrum = torch.fft.rfft2(noise.float())
    rows = torch.fft.fftfreq(noise.shape[1], device=noise.device).abs() <= 0.5 * kept[0]
    columns = torch.fft.rfftfreq(noise.shape[2], device=noise.device).abs() <= 0.5 * kept[1]
    inner = torch.fft.irfft2(spectrum * (rows[:, None] & columns), noise.shape[1:])
    return (inner / inner.std().clamp(min=1e-6)).to(noise)


def shading(like: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return smooth positive factors of the shape of `like` (B, S, H, W), 1 but for a share of the
    slabs.

    The factors vary by up to about exp(1.3) either way, as maps of the noise of parallel imaging
    do. A scan divided by such a map has the same noise everywhere, and its signal is shaded.
    """
    count, _depth, height, width = like.shape
    which = (torch.rand(count, generator=generator) < share).to(like)
    phase = torch.rand(count, 2, generator=generator).to(like) * 2 * math.pi
    slope = (torch.rand(count, 2, generator=generator).to(like) - 0.5) * 1.6
    rows = torch.linspace(-0.5, 0.5, height).to(like).view(1, 1, height, 1)
    columns = torch.linspace(-0.5, 0.5, width).to(like).view(1, 1, 1, width)
    log = broadcast(slope[:, 0], like) * rows + broadcast(slope[:, 1], like) * columns
    log = log + 0.25 * torch.sin(2 * math.pi * rows + broadcast(phase[:, 0], like))
    log = log + 0.25 * torch.sin(2 * math.pi * columns + broadcast(phase[:, 1], like))
    return torch.exp(broadcast(which, like) * log).expand_as(like)
