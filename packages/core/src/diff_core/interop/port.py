"""A pipeline of diffusers in one call: its network and scheduler as denoiser, sampler and grid.

    ported = port.pipeline(pipe.unet, pipe.scheduler, steps=25)
    x_0 = ported.sample(Keyed(seeds), like)

What comes out is what the pipeline's own loop computes, to rounding: the same method, the same
times, clipping as there. Where no sampler of this package does that, ValueError says in one line
why. A scheduler is not needed to sample a network of diffusers: `interop.diffusers.denoiser` goes
with any sampler and grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, FromNetwork
from diff_core.grid import check_times
from diff_core.guidance import Threshold
from diff_core.interop import diffusers
from diff_core.interop.schedulers import ClippedDdim, limit_of, name_of, refuse, sampler
from diff_core.noise import Noise
from diff_core.sample import DpmSolverPP2M, Sampler, sample
from diff_core.schedule import Schedule

__all__ = ["ClippedDdim", "Ported", "pipeline", "sampler"]

Settings = dict[str, Any]

_SCALED = ("EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "KDPM2Discrete", "EDM")
"""Schedulers whose state is x_t / alpha(t)."""


@dataclass(frozen=True)
class Ported:
    """Arguments of `sample`, and the deviation of the noise that the pipeline starts from."""

    denoiser: Denoiser
    sampler: Sampler
    times: Tensor
    start: float

    def sample(self, noise: Noise, like: Tensor, *, cond: Condition | None = None) -> Tensor:
        """Return x_0 from fresh noise of the shape, dtype and device of `like` (B, C, *S)."""
        x = self.start * noise(-1, like)
        return sample(self.denoiser, self.sampler, x, self.times, noise=noise, cond=cond)


def pipeline(network: nn.Module, scheduler: Any, steps: int, *, eta: float = 0.0) -> Ported:
    """Return the walk of a pipeline with this network and scheduler in so many steps.

    eta: of DDIM, which pipelines pass at every step; 0 for all other schedulers

    The scheduler is left as it is. Raises ValueError for a scheduler, or settings of one, that no
    sampler here equals.
    """
    name, settings = name_of(scheduler), diffusers.settings_of(scheduler)
    chosen = sampler(scheduler, steps=steps, eta=eta)
    model = diffusers.denoiser(network, scheduler)
    copy = type(scheduler).from_config(settings)
    copy.set_timesteps(steps)
    times = _times(name, copy, settings, model.schedule, steps)
    _check_told(name, copy, settings, model, times)
    if isinstance(chosen, DpmSolverPP2M):
        lowered = [
            k
            for k, row in enumerate(chosen.plan(model.schedule, times).coefficients[:-1])
            if k > 0 and row[2] == 0
        ]
        if lowered:
            refuse(
                name,
                f"step {lowered[0]} is so much longer than the step before it that "
                "DpmSolverPP2M lowers its order there",
            )
    limit = limit_of(name, settings)
    if limit is not None and not isinstance(chosen, ClippedDdim):
        model = Threshold(model, limit=limit)
    start = float(getattr(copy, "init_noise_sigma", 1.0))
    if name.startswith(_SCALED):
        start *= model.schedule.alpha(times[0]).item()
    return Ported(model, chosen, times, start)


def _times(name: str, copy: Any, settings: Settings, schedule: Schedule, steps: int) -> Tensor:
    """The ends of the steps of a scheduler whose timesteps are set."""
    if name.startswith(("DDPM", "DDIM")):
        times = diffusers.times(copy, steps)
        if name.startswith("DDIM"):
            entries = settings["num_train_timesteps"]
            gaps = (times[:-1] * entries).diff().neg().round()
            if bool((gaps != entries // steps).any()):
                refuse(
                    name,
                    f"its steps are of {entries // steps} entries, the gaps between its timesteps "
                    f"go up to {int(gaps.max())}; expected a number of steps that divides "
                    f"{entries}, and no 'linspace'",
                )
            if not settings["set_alpha_to_one"]:
                first = 1 / entries
                inner = times[times > first * 1.5]
                times = torch.cat([inner, inner.new_tensor([first])])
        return check_times(times)
    sigmas = torch.as_tensor(copy.sigmas, dtype=torch.float64).unique().flip(0)
    if name.startswith("FlowMatch"):
        return check_times(sigmas)
    times = schedule.time(-sigmas.log())
    return check_times(torch.where(sigmas > 0, times, 0.0))


def _check_told(name: str, copy: Any, settings: Settings, model: Denoiser, times: Tensor) -> None:
    """Make the network know the times that the scheduler tells it, or refuse."""
    if name.startswith(("EDM", "FlowMatch")) or not isinstance(model, FromNetwork):
        return
    network = model.network
    if not isinstance(network, diffusers.DiffusersNetwork):
        return
    told = (network.scale * times + network.offset).clamp(min=0)
    whole = not copy.timesteps.is_floating_point()
    expected = torch.as_tensor(copy.timesteps, dtype=torch.float64).unique().flip(0)
    if hasattr(copy, "sigmas_interpol"):
        return
    found = told[: len(expected)]
    gap = ((found.round() if whole else found) - expected[: len(found)]).abs().max().item()
    if gap > 0.05:
        refuse(name, f"its network is told times that are {gap:.2g} from those of its steps")
    network.whole_steps = whole
