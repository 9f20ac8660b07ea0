"""Error of the samplers for a number of network calls, beside diffusers and azula.

    python benchmarks/sampler_errors.py

Root mean square distance to the exact probability-flow map of a 1-D mixture of two Gaussians from
t = 1 to 0, on DDPM's linear table, calls counted. Every number is the best over three spacings,
uniform in t, uniform in log-SNR and Karras, and the letter beside it (u, l, k) says which.
diffusers' schedulers make their own grids from the table's integer entries ("trailing", with
use_exponential_sigmas and use_karras_sigmas); azula and ours work between the entries. azula's
samplers divide by sigma: they stop at the grid's last time above 0, and the estimate there is the
result, which is the same number of calls. The last line is the ratio of our best deterministic
sampler to the best of the peers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import azula.denoise
import azula.noise
import azula.sample
import diffusers
import torch
from torch import Tensor

from diff_core import Ddim, DpmSolverPP2M, Heun, Sampler, karras, uniform, uniform_log_snr
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import (
    Deis,
    Dpm2,
    DpmSolverPP2S,
    DpmSolverPP3M,
    DpmSolverPP3S,
    Lms,
    UniPC,
    sample,
)
from diff_core.tables import linear

COUNTS = (8, 16, 32)
SCHEDULE = linear()
MIXTURE = Mixture(
    *(torch.tensor(p, dtype=torch.float64) for p in ([0.3, 0.7], [-1.0, 0.8], [0.3, 0.4]))
)
DENOISER = ExactDenoiser(MIXTURE, SCHEDULE)
START = torch.linspace(-2.5, 2.5, 101, dtype=torch.float64)[:, None]
ONE, ZERO = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
EXACT = MIXTURE.flow(SCHEDULE, START, ONE, ZERO)
GRIDS: dict[str, Callable[[int], Tensor]] = {
    "u": uniform,
    "l": lambda n: torch.cat([uniform_log_snr(SCHEDULE, n - 1, 1.0, 1e-3), ZERO.reshape(1)]),
    "k": lambda n: karras(SCHEDULE, n, sigma_min=0.02),
}
DIFFUSERS = {"u": "", "l": "use_exponential_sigmas", "k": "use_karras_sigmas"}
Error = Callable[[int, str], float]


def distance(got: Tensor) -> float:
    """Root mean square over the starting points; infinite where a sampler fails."""
    error = (got - EXACT).square().mean().sqrt().item()
    return error if math.isfinite(error) else math.inf


def mine(sampler: Sampler, stages: int = 1, extra: int = 0) -> Error:
    """Ours, on the finest grid for which the calls suffice: a last step to 0 is one call."""

    def run(calls: int, grid: str) -> float:
        steps = (calls - extra - 1) // stages + 1
        return distance(sample(DENOISER, sampler, START, GRIDS[grid](steps)))

    return run


def from_diffusers(make: Callable[..., diffusers.SchedulerMixin], **keywords: object) -> Error:
    """A scheduler of diffusers on "trailing" timesteps, or noise levels of its own choice."""

    def run(calls: int, grid: str) -> float:
        scheduler = make(
            beta_schedule="linear",
            timestep_spacing="trailing",
            prediction_type="sample",
            **({DIFFUSERS[grid]: True} if DIFFUSERS[grid] else {}),
            **keywords,
        )
        scheduler.set_timesteps(calls)
        state = START
        for k, index in enumerate(scheduler.timesteps):
            t = (index.double() + 1) / 1000
            if hasattr(scheduler, "sigmas"):
                # not the rounded entry, but the level that the step itself assumes
                t = SCHEDULE.time(-scheduler.sigmas[k].double().log())
            state = scheduler.step(DENOISER(state, t), index, state).prev_sample.double()
        return distance(state)

    return run


class AzulaSchedule(azula.noise.Schedule):
    """Ours behind azula's interface."""

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return SCHEDULE.alpha(t), SCHEDULE.sigma(t)


class AzulaDenoiser(azula.denoise.Denoiser):
    """The exact denoiser behind azula's interface."""

    schedule = AzulaSchedule()

    def forward(self, x_t: Tensor, t: Tensor) -> azula.denoise.Posterior:
        return azula.denoise.DiracPosterior(mean=DENOISER(x_t, t))


def from_azula(make: type[azula.sample.Sampler], stages: int = 1, **keywords: object) -> Error:
    """A sampler of azula on our grids."""

    def run(calls: int, grid: str) -> float:
        times = GRIDS[grid]((calls - 1) // stages + 1)[:-1]

        class OnGrid(make):
            timesteps = times

        sampler = OnGrid(AzulaDenoiser(), steps=len(times) - 1, silent=True, **keywords)
        return distance(DENOISER(sampler(START), times[-1]))

    return run


def contenders() -> dict[str, Error]:
    """Peers first."""
    dpm = diffusers.DPMSolverMultistepScheduler
    zero = {"final_sigmas_type": "zero"}
    return {
        "diffusers DPM++2M": from_diffusers(dpm, **zero),
        "diffusers DPM++2M heun": from_diffusers(dpm, solver_type="heun", **zero),
        "diffusers DPM++3M": from_diffusers(dpm, solver_order=3, **zero),
        "diffusers UniPC 2": from_diffusers(diffusers.UniPCMultistepScheduler, **zero),
        "diffusers UniPC 3": from_diffusers(
            diffusers.UniPCMultistepScheduler, solver_order=3, **zero
        ),
        "azula DDIM": from_azula(azula.sample.DDIMSampler),
        "azula Heun": from_azula(azula.sample.HeunSampler, stages=2),
        "azula zAB 3": from_azula(azula.sample.zABSampler, order=3),
        "azula xEAB 2": from_azula(azula.sample.xEABSampler, order=2),
        "azula xEAB 3": from_azula(azula.sample.xEABSampler, order=3),
        "ours Ddim": mine(Ddim()),
        "ours Heun": mine(Heun(), stages=2),
        "ours Dpm2": mine(Dpm2(), stages=2),
        "ours DpmSolverPP2S": mine(DpmSolverPP2S(), stages=2),
        "ours DpmSolverPP3S": mine(DpmSolverPP3S(), stages=3),
        "ours DpmSolverPP2M": mine(DpmSolverPP2M()),
        "ours DpmSolverPP2M heun": mine(DpmSolverPP2M(correction="heun")),
        "ours DpmSolverPP3M": mine(DpmSolverPP3M(), extra=1),
        "ours Deis 2": mine(Deis(order=2)),
        "ours Deis 3": mine(Deis(order=3), extra=1),
        "ours Lms 4": mine(Lms(order=4), extra=4),
        "ours UniPC 2": mine(UniPC(p=2)),
        "ours UniPC 3": mine(UniPC(p=3), extra=2),
    }


def main() -> None:
    """Print the table and the ratios."""
    print(f"{'RMS error to the exact flow, calls':36}" + "".join(f"{n:>12}" for n in COUNTS))
    best: dict[bool, list[float]] = {True: [9.0] * len(COUNTS), False: [9.0] * len(COUNTS)}
    for name, run in contenders().items():
        found = [min((run(n, grid), grid) for grid in GRIDS) for n in COUNTS]
        print(f"{name:36}" + "".join(f"{error:10.2e} {grid}" for error, grid in found))
        ours = name.startswith("ours")
        best[ours] = [min(a, b) for a, (b, _) in zip(best[ours], found, strict=True)]
    print(f"{'our best / best peer':36}", end="")
    print("".join(f"{a / b:10.2f}  " for a, b in zip(best[True], best[False], strict=True)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    main()
