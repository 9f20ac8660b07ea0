"""Overhead per step of the samplers; their error is in sampler_errors.py.

    python benchmarks/samplers.py [--repeats 15]

Overhead: time of a sampling of 50 steps on 1 x 3 x 32 x 32 in float32 on one CPU thread, divided
by the steps, with a network that returns its input. It is CPU time, and the rounds go over all the
contenders in turn, so that other load on the machine matters little; printed are the medians over
the rounds of the time and of its ratio to diffusers' DDIM in the same round. Each pays for its
planning (set_timesteps) and for the conversion of the noise prediction on its 1000-entry table.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import diffusers
import torch
from torch import Tensor, nn

from diff_core import (
    Ancestral,
    Condition,
    Ddim,
    DpmSolverPP2M,
    Euler,
    FromEps,
    Heun,
    Keyed,
    RectifiedFlow,
    Sampler,
    Tabulated,
    uniform,
)
from diff_core.denoiser import FromFlow
from diff_core.sample import Deis, DpmSolverPP2S, DpmSolverPP3M, UniPC, sample

STEPS = 50
PEER = "diffusers DDIM"


class Echo(nn.Module):
    """A network that costs nothing."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        return x


def table() -> Tabulated:
    """DDPM's linear table."""
    alphas = diffusers.DDIMScheduler(beta_schedule="linear").alphas_cumprod
    return Tabulated(tuple(alphas.double().tolist()))


def ours(sampler: Sampler, denoiser: nn.Module) -> Callable[[], Tensor]:
    """One sampling, planning included."""
    noise = Keyed([0])
    x, times = noise(-1, torch.empty(1, 3, 32, 32)), uniform(STEPS)
    return lambda: sample(denoiser, sampler, x, times, noise=noise)


def theirs(
    make: Callable[[], diffusers.SchedulerMixin], **keywords: float
) -> Callable[[], Tensor]:
    """One sampling with a diffusers scheduler, set_timesteps included."""
    scheduler, network = make(), Echo()
    start = Keyed([0])(-1, torch.empty(1, 3, 32, 32))

    def run() -> Tensor:
        x = start
        with torch.no_grad():
            scheduler.set_timesteps(STEPS)
            for t in scheduler.timesteps:
                x = scheduler.step(network(x, t), t, x, **keywords).prev_sample
        return x

    return run


def contenders() -> dict[str, tuple[Callable[[], Tensor], int]]:
    """What is timed, and its network calls in a sampling."""
    eps = FromEps(Echo(), table())
    flow = FromFlow(Echo(), RectifiedFlow())
    return {
        PEER: (theirs(lambda: diffusers.DDIMScheduler(clip_sample=False)), STEPS),
        "diffusers DDIM eta=1": (
            theirs(lambda: diffusers.DDIMScheduler(clip_sample=False), eta=1.0),
            STEPS,
        ),
        "diffusers DDPM": (theirs(lambda: diffusers.DDPMScheduler(clip_sample=False)), STEPS),
        "diffusers DPM++2M": (theirs(diffusers.DPMSolverMultistepScheduler), STEPS),
        "diffusers DPM++2M SDE": (
            theirs(
                lambda: diffusers.DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++")
            ),
            STEPS,
        ),
        "diffusers DPM++3M": (
            theirs(lambda: diffusers.DPMSolverMultistepScheduler(solver_order=3)),
            STEPS,
        ),
        "diffusers UniPC": (theirs(diffusers.UniPCMultistepScheduler), STEPS),
        "diffusers DEIS": (theirs(diffusers.DEISMultistepScheduler), STEPS),
        "diffusers FlowMatchEuler": (theirs(diffusers.FlowMatchEulerDiscreteScheduler), STEPS),
        "ours Ddim": (ours(Ddim(), eps), STEPS),
        "ours Ddim eta=1": (ours(Ddim(eta=1.0), eps), STEPS),
        "ours Ancestral": (ours(Ancestral(), eps), STEPS),
        "ours Euler": (ours(Euler(), eps), STEPS),
        "ours DpmSolverPP2M": (ours(DpmSolverPP2M(), eps), STEPS),
        "ours DpmSolverPP2M eta=1": (ours(DpmSolverPP2M(eta=1.0), eps), STEPS),
        "ours DpmSolverPP3M": (ours(DpmSolverPP3M(), eps), STEPS + 1),
        "ours UniPC": (ours(UniPC(), eps), STEPS),
        "ours Deis 2": (ours(Deis(order=2), eps), STEPS),
        "ours DpmSolverPP2S (2 calls)": (ours(DpmSolverPP2S(), eps), 2 * STEPS - 1),
        "ours Heun (2 calls a step)": (ours(Heun(), eps), 2 * STEPS - 1),
        "ours Euler, flow": (ours(Euler(), flow), STEPS),
    }


def overhead(repeats: int) -> None:
    """Print microseconds a step and their ratio to the peer."""
    runs = contenders()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 2):
        for name, (run, _) in runs.items():
            begin = time.thread_time()
            run()
            if turn >= 2:
                seconds[name].append(time.thread_time() - begin)
    print(
        f"overhead, {STEPS} steps, 1x3x32x32 float32, CPU time of one thread, "
        f"median of {repeats} rounds"
    )
    print(f"{'':28}{'us/step':>10}{'us/call':>10}{'x ' + PEER:>18}")
    for name, (_, calls) in runs.items():
        micro = 1e6 * statistics.median(seconds[name])
        rounds = zip(seconds[name], seconds[PEER], strict=True)
        ratio = statistics.median(mine / peer for mine, peer in rounds)
        print(f"{name:28}{micro / STEPS:10.1f}{micro / calls:10.1f}{ratio:18.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="rounds of timing (default 15)")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="diffusers")
    overhead(parser.parse_args().repeats)
