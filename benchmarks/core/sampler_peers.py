"""The samplers of diffusers, azula, MONAI and k-diffusion, behind one interface.

diffusers' schedulers make their own grids from the table's entries ("trailing", with
use_exponential_sigmas and use_karras_sigmas) or take the noise levels of ours, MONAI's DDIM makes
one of its own; azula and k-diffusion work between the entries, on the grids that ours are given.
azula's samplers, but for vAB, divide by sigma: they stop at the grid's last time above 0, and the
estimate there is the result, which is the same number of calls.

k-diffusion cannot be imported as it stands: its sampling module needs torchdiffeq, torchsde and,
for reading image folders, torchvision; the package as a whole also CLIP, kornia and wandb. Here
the module is loaded by itself, with nothing in torchvision's place. It is left out unless
installed with

    pip install --no-deps k-diffusion torchdiffeq torchsde trampoline
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import azula.denoise
import azula.noise
import azula.sample
import diffusers
import monai.networks.schedulers as monai
import torch
from sampler_problems import ONE, SCHEDULE, Contender, Problem
from torch import Tensor

from diff_core import Denoiser, log_snr

__all__ = ["diffusers_peers", "from_azula", "k_diffusion", "peers"]


def k_diffusion() -> Any:
    """The module k_diffusion.sampling, or None where it is not installed."""
    found = importlib.util.find_spec("k_diffusion")
    if found is None or found.submodule_search_locations is None:
        return None
    package = ModuleType("k_diffusion")
    package.__path__ = list(found.submodule_search_locations)
    transforms = ModuleType("torchvision.transforms")
    transforms.functional = None  # pyright: ignore[reportAttributeAccessIssue]
    stand_ins = {
        "k_diffusion": package,
        "torchvision": ModuleType("torchvision"),
        "torchvision.transforms": transforms,
    }
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        return import_module("k_diffusion.sampling")
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def from_diffusers(
    make: Callable[..., diffusers.SchedulerMixin], *, own: bool = True, **keywords: object
) -> Contender:
    """A scheduler of diffusers on "trailing" timesteps or noise levels of its own choice.

    On "f", and on every grid where `own` is false, it has the noise levels of our grid.
    """
    flags = {"l": {"use_exponential_sigmas": True}, "k": {"use_karras_sigmas": True}}

    def run(problem: Problem, calls: int, grid: str) -> Tensor:
        scheduler = make(
            beta_schedule="linear",
            timestep_spacing="trailing",
            prediction_type="sample",
            **(flags.get(grid, {}) if own else {}),
            **keywords,
        )
        scheduler.set_timesteps(calls)
        if grid == "f" or not own:
            scheduler.sigmas = (-log_snr(SCHEDULE, problem.grid(grid, calls))).exp()
            scheduler.timesteps = torch.arange(calls)
        state = problem.start
        for k, index in enumerate(scheduler.timesteps):
            # not the rounded entry, but the level that the step itself assumes
            t = SCHEDULE.time(-scheduler.sigmas[k].double().log())
            state = scheduler.step(problem.denoiser(state, t), index, state).prev_sample.double()
        return state

    return Contender(run, "ulkf")


def monai_ddim() -> Contender:
    """MONAI's DDIM, with the timesteps that it sets itself."""

    def run(problem: Problem, calls: int, grid: str) -> Tensor:
        scheduler = monai.DDIMScheduler(
            schedule="linear_beta",
            beta_start=1e-4,
            beta_end=0.02,
            prediction_type="sample",
            clip_sample=False,
        )
        scheduler.set_timesteps(calls)
        state = problem.start
        for index in scheduler.timesteps:
            t = (index.double() + 1) / 1000
            state = scheduler.step(problem.denoiser(state, t), int(index), state)[0]
        return state

    return Contender(run, "u")


class AzulaSchedule(azula.noise.Schedule):
    """Ours behind azula's interface."""

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return SCHEDULE.alpha(t), SCHEDULE.sigma(t)


class AzulaDenoiser(azula.denoise.Denoiser):
    """The exact denoiser behind azula's interface."""

    schedule = AzulaSchedule()

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x_t: Tensor, t: Tensor) -> azula.denoise.Posterior:
        return azula.denoise.DiracPosterior(mean=self.denoiser(x_t, t))


def from_azula(
    make: type[azula.sample.Sampler], stages: int = 1, grids: str = "ulk", **keywords: object
) -> Contender:
    """A sampler of azula on our grids; vAB is the one that takes a step to sigma = 0."""
    to_zero = make is azula.sample.vABSampler

    def run(problem: Problem, calls: int, grid: str) -> Tensor:
        times = problem.grid(grid, calls if to_zero else (calls - 1) // stages + 1)

        class OnGrid(make):
            timesteps = times if to_zero else times[:-1]

        sampler = OnGrid(
            AzulaDenoiser(problem.denoiser),
            steps=len(OnGrid.timesteps) - 1,
            silent=True,
            **keywords,
        )
        state = sampler(problem.start)
        return state if to_zero else problem.denoiser(state, times[-2])

    return Contender(run, grids)


def from_k_diffusion(name: str, stages: int = 1, **keywords: float) -> Contender:
    """A sampler of k-diffusion, which works on y = x / alpha at noise levels sigma / alpha."""
    peer = getattr(k_diffusion(), name)

    def run(problem: Problem, calls: int, grid: str) -> Tensor:
        times = problem.grid(grid, (calls - 1) // stages + 1)
        levels = (-log_snr(SCHEDULE, times)).exp()

        def model(y: Tensor, sigma: Tensor) -> Tensor:
            t = SCHEDULE.time(-sigma[0].log())
            return problem.denoiser(SCHEDULE.alpha(t) * y, t)

        return peer(model, problem.start / SCHEDULE.alpha(ONE), levels, disable=True, **keywords)

    return Contender(run)


def diffusers_peers(*, own: bool = True) -> dict[str, Contender]:
    """The multistep schedulers of diffusers, see `from_diffusers`."""
    dpm, unipc = diffusers.DPMSolverMultistepScheduler, diffusers.UniPCMultistepScheduler
    zero = {"final_sigmas_type": "zero", "own": own}
    return {
        "diffusers DPM++2M": from_diffusers(dpm, **zero),
        "diffusers DPM++2M heun": from_diffusers(dpm, solver_type="heun", **zero),
        "diffusers DPM++3M": from_diffusers(dpm, solver_order=3, **zero),
        "diffusers UniPC 2": from_diffusers(unipc, **zero),
        "diffusers UniPC 3": from_diffusers(unipc, solver_order=3, **zero),
    }


def peers() -> dict[str, Contender]:
    """The other libraries, on the grids that they offer or on ours of the same kind."""
    kept = azula.sample
    found = {
        **diffusers_peers(),
        "azula DDIM": from_azula(kept.DDIMSampler),
        "azula Heun": from_azula(kept.HeunSampler, stages=2),
        "azula zAB 3": from_azula(kept.zABSampler, order=3),
        "azula vAB 3": from_azula(kept.vABSampler, order=3),
        "azula vAB 4": from_azula(kept.vABSampler, order=4),
        "azula zEAB 3": from_azula(kept.zEABSampler, order=3),
        "azula xEAB 2": from_azula(kept.xEABSampler, order=2),
        "azula xEAB 3": from_azula(kept.xEABSampler, order=3),
        "azula REAB 3": from_azula(kept.REABSampler, order=3),
        "MONAI DDIM": monai_ddim(),
    }
    if k_diffusion() is not None:
        found |= {
            "k-diffusion Heun": from_k_diffusion("sample_heun", stages=2),
            "k-diffusion DPM2": from_k_diffusion("sample_dpm_2", stages=2),
            "k-diffusion LMS 4": from_k_diffusion("sample_lms"),
            "k-diffusion DPM++2M": from_k_diffusion("sample_dpmpp_2m"),
            "k-diffusion DPM++3M": from_k_diffusion("sample_dpmpp_3m_sde", eta=0.0),
        }
    return found
