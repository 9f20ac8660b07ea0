"""The frame of the stages that diffuse numbers: network, statistics and sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diff_core import grid as grids
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, Preconditioned
from diff_core.guidance.autoguidance import Autoguidance
from diff_core.guidance.cfg import Cfg
from diff_core.guidance.repaint import RePaint
from diff_core.nn import UNet
from diff_core.noise import Keyed
from diff_core.sample import Ancestral, Sampler, TrigAdams, sample
from diff_core.schedule import Edm
from diff_medical.brain.grid import Grid
from diff_medical.brain.places import Shape, waves
from diff_medical.brain.sampling import check_strength

__all__ = [
    "Gains", "Guidance", "Known", "Near", "Progress", "Put", "Stage", "again", "check_channels",
    "fast", "shares_given",
]  # fmt: skip

Progress = Callable[[float], None]
"""Called with the share of a sampling that is done."""

Put = Callable[[Tensor], Tensor]
"""Puts what is known into an estimate of x_0 (B, count, *S)."""

SAMPLER: Sampler = TrigAdams(order=2, sigma_data=1.0)
SIGMA_MIN, RHO = 0.03, 5.0  # of the grid of noise levels
AGAIN = 5
MEAN, SPREAD = 0.2, 0.35  # of fractions, as networks are given them


@dataclass(frozen=True)
class Near:
    """Data whose relatives a stage draws: noise is added to them, and removed.

    Meng et al., SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations
    (2022), section 3.2.

    x:        (B, count, *S) as the stage diffuses it
    strength: above 0, at most 1. The noise is tan(strength pi / 2) deviations of the data: the
              angle between data and noise, as a share of a right angle

    Raises ValueError for a strength out of range.
    """

    x: Tensor
    strength: float

    def __post_init__(self) -> None:
        check_strength(self.strength)

    @property
    def sigma(self) -> float:
        """The level of the noise."""
        return max(math.tan(min(self.strength, 0.9999) * math.pi / 2), 2 * SIGMA_MIN)

    def share_of(self, steps: int) -> int:
        """Return the steps that a sampling from this noise takes, of those of one from noise."""
        return max(1, math.ceil(self.strength * steps))


@dataclass(frozen=True)
class Guidance:
    """The guidance of a stage as it samples.

    words: weight of classifier-free guidance towards `Condition.vector`; 1 is none
    weak:  a smaller and less trained version of the stage, away from which it is guided
           (`diff_core.guidance.autoguidance`); None for none
    away:  the weight of that; 1 is none
    """

    words: float = 1.0
    weak: Denoiser | None = None
    away: float = 1.0

    def of(self, stage: Denoiser, cond: Condition) -> Denoiser:
        """Return the guided denoiser."""
        found = stage
        if self.words != 1:
            assert cond.vector is not None
            null = Condition(vector=torch.zeros_like(cond.vector), channels=cond.channels)
            found = Cfg(found, null=null, weight=self.words)
        if self.weak is not None and self.away != 1:
            found = Autoguidance(found, weak=self.weak, weight=self.away)
        return found


class Gains(nn.Module):
    """a + b x of a network that predicts a and b, channel by channel: (B, C, *S) -> the same.

    Where little noise is left, all of it has to be handed through to be subtracted, and a network
    whose width is near the number of channels has no room for that. b x does it, as a local
    shrinkage.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """x (B, C, *S), time (B,); the network returns (B, 2 C, *S)."""
        made, gain = self.network(x, time, cond).to(x.dtype).chunk(2, 1)
        return made + gain * x


class Known(Denoiser):
    """A denoiser in whose estimates the part that is known is put in place.

    The null-space step of Wang et al., Zero-Shot Image Restoration Using Denoising Diffusion
    Null-Space Model (2023), equation 13, for a transform of what is known in parts.
    """

    def __init__(self, denoiser: Denoiser, put: Put) -> None:
        super().__init__(denoiser.schedule)
        self.denoiser, self.put = denoiser, put

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """`put` of the denoiser's E[x_0 | x_t]."""
        return self.put(self.denoiser(x_t, t, cond))


def again(like: Tensor) -> Sampler:
    """Return a sampler for `Known` that goes each step `AGAIN` times, so that what is drawn comes
    to terms with what is known: of what one passage misses of its mean, a fifth is left.

    Lugmayr et al., RePaint: Inpainting using Denoising Diffusion Probabilistic Models (2022),
    algorithm 1; what is known is put into the estimates, so that the mask of `RePaint` is empty.
    """
    return RePaint(like.new_zeros(1), torch.zeros_like(like), Ancestral(), resamplings=AGAIN)


class Stage(Preconditioned):
    """E[x_0 | x_t] of one stage: EDM's preconditioning around a U-Net, data of unit variance.

    network: takes `count` channels, `given` channels beside them and a vector of `words` numbers,
             and returns 2 `count`: for `Gains`
    grid:    of the volumes
    schedule: sigma(t) = sigma_max t

    The statistics of a stage are buffers, so that they are in its checkpoint. Raises ValueError
    for a network of other channels.
    """

    count: int
    given: int
    words: int

    def __init__(self, network: UNet, grid: Grid, schedule: Edm) -> None:
        super().__init__(Gains(network), schedule, sigma_data=1.0)
        check_channels(network, self.count, 2 * self.count, self.given, self.words)
        self.grid = grid
        self.config = {"network": network, "grid": grid, "schedule": schedule}

    def keep(self, **statistics: Tensor) -> None:
        """Take statistics of the training data, of the shapes that the stage has for them."""
        for name, value in statistics.items():
            self.get_buffer(name).copy_(value)

    def drawn(
        self,
        shape: Sequence[int],
        seeds: Sequence[int],
        steps: int,
        cond: Condition,
        *,
        stream: int,
        temperature: float = 1.0,
        top: float | None = None,
        guidance: Guidance = Guidance(),  # noqa: B008
        near: Near | None = None,
        put: Put | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return samples (B, count, *shape), float32, one for each seed.

        stream: of the noise of a seed
        top:    noise level of the start; default: that of the schedule at t = 1
        near:   data of which relatives are drawn; None draws from noise
        put:    of a sample of which a part is known; it takes `AGAIN` times the steps
        """
        device = next(self.parameters()).device
        like = torch.empty(len(seeds), self.count, *shape, device=device)
        top = float(self.schedule.sigma(torch.ones(()))) if top is None else top
        if near is not None:
            top, steps = min(top, near.sigma), near.share_of(steps)
        times = grids.karras(self.schedule, steps, SIGMA_MIN, top, RHO)
        x = Keyed(seeds)(stream, like) * top * temperature
        if near is not None:
            x = x + near.x.to(x)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        denoiser = guidance.of(self, cond)
        sampler, noise = SAMPLER, None
        if put is not None:
            denoiser, sampler, noise = Known(denoiser, put), again(x), Keyed(seeds)

        def on_step(k: int, _x: Tensor, _x_0: Tensor) -> None:
            if progress:
                progress((k + 1) / steps)

        with fast(device):
            drawn = sample(denoiser, sampler, x, times, noise=noise, cond=cond, on_step=on_step)
            return drawn.float()


def check_channels(network: UNet, into: int, out: int, given: int, words: int) -> None:
    """Raise ValueError unless the network has these channels, and lay it out for convolutions."""
    wanted = {"in_channels": into, "out_channels": out, "cond_channels": given}
    wanted |= {"vector_dim": words, "spatial": 3}
    wrong = [f"{n} is {network.config[n]}" for n in wanted if network.config[n] != wanted[n]]
    if wrong:
        raise ValueError(f"{wrong[0]}; expected {wanted[wrong[0].split()[0]]}")
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def shares_given(shares: Tensor, noise: Tensor, blur: float, start: Shape, whole: Shape) -> Tensor:
    """`Condition.channels` (B, 17, *S) of a stage that is given fractions (B, 5, *S).

    noise: standard normal, of which `blur` times is added, so that the stage forgives the errors
           of the one before: Ho et al., Cascaded Diffusion Models for High Fidelity Image
           Generation (2022), section 4.2
    """
    x, y, z = shares.shape[2:]
    place = waves((x, y, z), start, whole).to(shares).expand(len(shares), -1, -1, -1, -1)
    return torch.cat([(shares + blur * noise - MEAN) / SPREAD, place], 1)


def fast(device: torch.device) -> Any:
    """A context in which networks run in bfloat16 where the device is fast at it."""
    from diff_core.train.precision import narrow_dtype

    dtype = narrow_dtype("auto", device)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)
