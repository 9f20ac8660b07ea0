"""Overhead per step of the samplers; their error is in sampler_errors.py.

    python benchmarks/core/samplers.py [--repeats 15]

Overhead: time of a sampling of 50 steps on 1 x 3 x 32 x 32 in float32 on one CPU thread, divided
by the steps, with a network that returns its input. It is CPU time, and the rounds go over all the
contenders in turn, so that other load on the machine matters little. For every method: the median
time of each library, and the median over the rounds of the ratio of ours to the fastest peer in
the same round. Each pays for its planning (set_timesteps) and for the conversion of the noise
prediction; diffusers and MONAI look it up in a table of 1000 entries, k-diffusion is given the
cheapest conversion there is. k-diffusion is left out where it is not installed: see
sampler_peers.py. Our stochastic samplers are timed with noise of torch's generator, as the peers
draw it, and with noise that is keyed by seed and step.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import azula.denoise
import azula.noise
import azula.sample
import diffusers
import monai.networks.schedulers as monai
import torch
from sampler_peers import k_diffusion
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
    Noise,
    RectifiedFlow,
    Sampler,
    TrigAdams,
    karras,
    log_snr,
    uniform,
)
from diff_core.denoiser import FromFlow
from diff_core.sample import Deis, DpmSolverPP2S, DpmSolverPP3M, Lms, UniPC, sample
from diff_core.tables import linear

STEPS = 50
TABLE = linear()
Run = Callable[[], Tensor]


class Echo(nn.Module):
    """A network that costs nothing."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        return x


def start() -> Tensor:
    """Noise, the same for all."""
    return Keyed([0])(-1, torch.empty(1, 3, 32, 32))


def from_torch(k: int, like: Tensor) -> Tensor:
    """Noise of torch's generator."""
    return torch.randn_like(like)


def ours(sampler: Sampler, noise: Noise | None = None, denoiser: nn.Module | None = None) -> Run:
    """One sampling, planning included."""
    x, times, own = start(), uniform(STEPS), denoiser or FromEps(Echo(), TABLE)
    return lambda: sample(own, sampler, x, times, noise=noise)


def from_diffusers(make: Callable[..., diffusers.SchedulerMixin], **keywords: float) -> Run:
    """One sampling with a diffusers scheduler, set_timesteps included."""
    scheduler, network, first = make(), Echo(), start()
    scale = getattr(scheduler, "scale_model_input", lambda x, t: x)

    def run() -> Tensor:
        x = first
        with torch.no_grad():
            scheduler.set_timesteps(STEPS)
            for t in scheduler.timesteps:
                given = scale(x, t)
                x = scheduler.step(network(given, t), t, x, **keywords).prev_sample
        return x

    return run


def from_monai(make: Callable[[], nn.Module], **keywords: float) -> Run:
    """One sampling with a MONAI scheduler, set_timesteps included."""
    scheduler, network, first = make(), Echo(), start()

    def run() -> Tensor:
        x = first
        with torch.no_grad():
            scheduler.set_timesteps(STEPS)
            for t in scheduler.timesteps:
                x = scheduler.step(network(x, t), int(t), x, **keywords)[0]
        return x

    return run


class AzulaEcho(azula.denoise.Denoiser):
    """The same network as a denoiser of azula."""

    def __init__(self, schedule: azula.noise.Schedule) -> None:
        super().__init__()
        self.schedule, self.network = schedule, Echo()

    def forward(self, x_t: Tensor, t: Tensor) -> azula.denoise.Posterior:
        alpha, sigma = self.schedule(t)
        return azula.denoise.DiracPosterior(
            mean=(x_t - sigma * self.network(x_t, t)) / alpha.clamp(min=1e-3)
        )


def from_azula(make: type[azula.sample.Sampler], flow: bool = False, **keywords: object) -> Run:
    """One sampling with azula, which stops just above t = 0."""
    schedule = azula.noise.RectifiedSchedule() if flow else azula.noise.VPSchedule()
    sampler = make(AzulaEcho(schedule), steps=STEPS, stop=1e-3, silent=True, **keywords)
    first = start()
    return lambda: sampler(first)


def from_k_diffusion(name: str, **keywords: float) -> Run:
    """One sampling with k-diffusion, whose grid is made anew as well."""
    peer, network, first = getattr(k_diffusion(), name), Echo(), start()

    def model(y: Tensor, sigma: Tensor) -> Tensor:
        return y - network(y, sigma) * sigma[:, None, None, None]

    def run() -> Tensor:
        levels = (-log_snr(TABLE, karras(TABLE, STEPS, sigma_min=0.02))).exp().float()
        return peer(model, first, levels, disable=True, **keywords)

    return run


def methods() -> dict[str, dict[str, Run]]:
    """The libraries by method, ours first."""
    d, a, k = diffusers, azula.sample, from_k_diffusion
    dpm = d.DPMSolverMultistepScheduler
    flow = FromFlow(Echo(), RectifiedFlow())
    keyed = Keyed([0])
    found = {
        "DDIM": {
            "ours": ours(Ddim()),
            "diffusers": from_diffusers(lambda: d.DDIMScheduler(clip_sample=False)),
            "azula": from_azula(a.DDIMSampler),
            "MONAI": from_monai(lambda: monai.DDIMScheduler(clip_sample=False)),
        },
        "Euler": {
            "ours": ours(Euler()),
            "diffusers": from_diffusers(d.EulerDiscreteScheduler),
            "azula": from_azula(a.EulerSampler),
            "k-diffusion": k("sample_euler"),
        },
        "Euler, flow": {
            "ours": ours(Euler(), denoiser=flow),
            "diffusers": from_diffusers(d.FlowMatchEulerDiscreteScheduler),
            "azula": from_azula(a.EulerSampler, flow=True),
            "MONAI": from_monai(monai.RFlowScheduler),
        },
        "Heun": {
            "ours": ours(Heun()),
            "azula": from_azula(a.HeunSampler),
            "k-diffusion": k("sample_heun"),
        },
        "DPM++2M": {
            "ours": ours(DpmSolverPP2M()),
            "diffusers": from_diffusers(dpm),
            "azula": from_azula(a.xEABSampler, order=2),
            "k-diffusion": k("sample_dpmpp_2m"),
        },
        "DPM++3M": {
            "ours": ours(DpmSolverPP3M()),
            "diffusers": from_diffusers(lambda: dpm(solver_order=3)),
            "azula": from_azula(a.xEABSampler, order=3),
            "k-diffusion": k("sample_dpmpp_3m_sde", eta=0.0),
        },
        "DPM++2S": {
            "ours": ours(DpmSolverPP2S()),
            "k-diffusion": k("sample_dpmpp_2s_ancestral", eta=0.0),
        },
        "UniPC 2": {
            "ours": ours(UniPC()),
            "diffusers": from_diffusers(d.UniPCMultistepScheduler),
        },
        "DEIS 2": {
            "ours": ours(Deis(order=2)),
            "diffusers": from_diffusers(d.DEISMultistepScheduler),
            "azula": from_azula(a.zEABSampler, order=2),
        },
        "LMS 4": {
            "ours": ours(Lms(order=4)),
            "diffusers": from_diffusers(d.LMSDiscreteScheduler),
            "azula": from_azula(a.zABSampler, order=4),
            "k-diffusion": k("sample_lms"),
        },
        "Adams, velocity": {
            "ours": ours(TrigAdams()),
            "azula": from_azula(a.vABSampler, order=3),
        },
        "DDPM": {
            "ours": ours(Ancestral(), from_torch),
            "ours, keyed": ours(Ancestral(), keyed),
            "diffusers": from_diffusers(lambda: d.DDPMScheduler(clip_sample=False)),
            "azula": from_azula(a.DDPMSampler),
            "MONAI": from_monai(lambda: monai.DDPMScheduler(clip_sample=False)),
        },
        "DDIM, eta 1": {
            "ours": ours(Ddim(eta=1.0), from_torch),
            "ours, keyed": ours(Ddim(eta=1.0), keyed),
            "diffusers": from_diffusers(lambda: d.DDIMScheduler(clip_sample=False), eta=1.0),
            "azula": from_azula(a.DDIMSampler, eta=1.0),
            "MONAI": from_monai(lambda: monai.DDIMScheduler(clip_sample=False), eta=1.0),
            "k-diffusion": k("sample_euler_ancestral"),
        },
        "DPM++2M SDE": {
            "ours": ours(DpmSolverPP2M(eta=1.0), from_torch),
            "ours, keyed": ours(DpmSolverPP2M(eta=1.0), keyed),
            "diffusers": from_diffusers(lambda: dpm(algorithm_type="sde-dpmsolver++")),
            "k-diffusion": k("sample_dpmpp_2m_sde"),
        },
    }
    if k_diffusion() is None:
        found = {
            method: {who: run for who, run in rows.items() if who != "k-diffusion"}
            for method, rows in found.items()
        }
    return found


def overhead(repeats: int) -> None:
    """Print microseconds a step, and ratios to the fastest peer."""
    table = methods()
    seconds = {method: {who: list[float]() for who in rows} for method, rows in table.items()}
    for turn in range(repeats + 2):
        for method, rows in table.items():
            for who, run in rows.items():
                begin = time.thread_time()
                run()
                if turn >= 2:
                    seconds[method][who].append(time.thread_time() - begin)
    print(
        f"microseconds a step of {STEPS}, 1x3x32x32 float32, CPU time of one thread, "
        f"median of {repeats} rounds"
    )
    names = ("ours", "ours, keyed", "diffusers", "azula", "MONAI", "k-diffusion")
    print(f"{'':18}" + "".join(f"{name:>13}" for name in names) + f"{'ours / fastest':>18}")
    for method, rows in seconds.items():
        micro = {who: 1e6 * statistics.median(took) / STEPS for who, took in rows.items()}
        cells = "".join(f"{micro[n]:13.1f}" if n in micro else " " * 13 for n in names)
        rounds = zip(*(took for who, took in rows.items() if "ours" not in who), strict=True)
        fastest = [min(peers) for peers in rounds]
        ratios = (mine / peer for mine, peer in zip(rows["ours"], fastest, strict=True))
        print(f"{method:18}{cells}{statistics.median(ratios):18.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="rounds of timing (default 15)")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    overhead(parser.parse_args().repeats)
