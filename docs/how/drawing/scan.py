"""The scan: a slab of five axial slices of the phantom in examples/, noised and denoised."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_core import (
    Ancestral,
    Cosine,
    Denoiser,
    Edm,
    Keyed,
    RectifiedFlow,
    Schedule,
    VariancePreserving,
    karras,
    log_snr,
    marginal,
)
from diff_core.sample import sample

from .chain import chain
from .look import Panel, decibels, panels

__all__ = ["by_schedule", "forward", "reverse", "seeds"]

ROOT = Path(__file__).resolve().parents[3]
SLAB = slice(48, 53)  # the network's five slices
MIDDLE = 2
NOISE = 0.15  # of the bright level, which is 1
STEPS, DRAWS = 16, 8
LESION = (24.9, 37.9)  # column and row in the crop of `seeds`
GREY = {"cmap": "gray", "vmin": 0.0, "vmax": 1.08, "interpolation": "nearest"}
SCHEDULES: dict[str, Schedule] = {
    "cosine": Cosine(),
    "VP (DDPM)": VariancePreserving(),
    "EDM": Edm(),
    "rectified flow": RectifiedFlow(),
}


def slab() -> Tensor:
    """The phantom without noise, (1, 5, X, Y), its bright level 1 as the enhancer has it."""
    from diff_medical.scan.intensity import scale

    make: Any = runpy.run_path(str(ROOT / "examples" / "make_phantom.py"))
    values = make["phantom"](SLAB).astype(np.float32)
    values = scale(values, "mr").normalise(values)
    return torch.from_numpy(values).movedim(-1, 0)[None]


def view(x: Tensor) -> NDArray[np.float32]:
    """The middle slice of (5, X, Y), nose up."""
    return np.rot90(x[MIDDLE].numpy())


def standard() -> Tensor:
    """The slab with mean 0 and deviation 1, so that alpha / sigma is a ratio of amplitudes."""
    x_0 = slab()
    return (x_0 - x_0.mean()) / x_0.std()


def forward(out: Path) -> None:
    """A hundred steps of noise, six of them shown."""
    shown: list[Panel] = []
    schedule = Cosine()
    for t, x_t in chain(schedule, standard(), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)):
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
        level = decibels(log_snr(schedule, time).item())
        title = f"t = {t:.1f}\nα {alpha:.2f}  σ {sigma:.2f}\nSNR {level}"
        limits = {"vmin": -1.2, "vmax": 2.2}
        shown.append(Panel(view(x_t[0]), title, GREY | limits))
    panels(shown, out / "scan-forward", wide=6, narrow=3, aspect=112 / 96)


def by_schedule(out: Path) -> None:
    """The same scan and noise at the same times of four schedules, scaled to one deviation."""
    x_0 = standard()
    z = Keyed([1])(0, x_0)
    shown: list[Panel] = []
    for schedule in SCHEDULES.values():
        for t in (0.1, 0.3, 0.5, 0.7, 0.9):
            time = torch.tensor(t, dtype=torch.float64)
            size = torch.hypot(schedule.alpha(time), schedule.sigma(time)).item()
            image = view(marginal(schedule, x_0, time, z)[0] / size)[36:84, 10:86]
            title = f"t = {t:.1f}\n{decibels(log_snr(schedule, time).item())}"
            shown.append(Panel(image, title, GREY | {"vmin": -1.2, "vmax": 2.2}))
    panels(shown, out / "schedules-scan", wide=5, narrow=5, aspect=48 / 76, rows=list(SCHEDULES))


def network() -> Denoiser:
    """The enhancer's own: D(x_t; t) of slabs (B, 5, X, Y)."""
    from diff_medical import Enhancer

    return Enhancer.from_pretrained(device="cpu").denoiser


def rms(difference: Tensor) -> float:
    """Root mean square in the middle slice, in percent of the bright level."""
    return 100 * difference[MIDDLE].square().mean().sqrt().item()


def reverse(out: Path) -> None:
    """One posterior sample, step by step: the state above, the estimate below."""
    denoiser, x_0 = network(), slab()
    noisy = x_0 + NOISE * Keyed([1000])(0, x_0)
    times = karras(denoiser.schedule, STEPS, sigma_min=NOISE / 30, sigma_max=NOISE)
    levels = 100 * denoiser.schedule.sigma(times)
    states, estimates = [noisy], []

    def keep(k: int, x: Tensor, estimate: Tensor) -> None:
        states.append(x)
        estimates.append(estimate)

    sample(denoiser, Ancestral(), noisy, times, noise=Keyed([0]), on_step=keep)
    above: list[Panel] = []
    below: list[Panel] = []
    for k in (0, 2, 4, 7, 10, STEPS - 1):
        title = f"noise {levels[k].item():.1f} %"
        above.append(Panel(view(states[k][0]), title, GREY))
        error = rms(estimates[k][0] - x_0[0])
        below.append(Panel(view(estimates[k][0]), f"error {error:.1f} %", GREY))
    rows = [
        "the state: noise taken out, a little less put back",
        "the network’s estimate at each",
    ]
    panels(above + below, out / "scan-reverse", wide=6, narrow=3, aspect=112 / 96, rows=rows)


def seeds(out: Path) -> None:
    """Posterior draws of a crop, their mean and spread, and what is true."""
    denoiser, x_0 = network(), slab()[:, :, 4:68, 14:78].contiguous()
    noisy = x_0 + NOISE * Keyed([1000])(0, x_0)
    times = karras(denoiser.schedule, STEPS, sigma_min=NOISE / 30, sigma_max=NOISE)
    start = noisy.expand(DRAWS, -1, -1, -1).contiguous()
    drawn = sample(denoiser, Ancestral(), start, times, noise=Keyed(range(DRAWS)))
    mean, spread = drawn.mean(0), drawn.std(0)
    with torch.no_grad():
        once = denoiser(noisy, times[0].float())[0]
    hot = {"cmap": "magma", "vmin": 0.0, "vmax": 0.1, "interpolation": "nearest"}
    truth = x_0[0]
    images = {
        "the truth": truth,
        f"with noise\noff by {rms(noisy[0] - truth):.1f} %": noisy[0],
        f"one pass\noff by {rms(once - truth):.1f} %": once,
        f"mean of {DRAWS} draws\noff by {rms(mean - truth):.1f} %": mean,
        f"seed 0\noff by {rms(drawn[0] - truth):.1f} %": drawn[0],
        f"seed 1\noff by {rms(drawn[1] - truth):.1f} %": drawn[1],
    }
    shown = [Panel(view(image), title, GREY, LESION) for title, image in images.items()]
    shown += [
        Panel(view(spread), f"spread of draws\n{rms(spread):.1f} % on average", hot),
        Panel(
            view((mean - truth).abs()),
            f"error of the mean\n{rms(mean - truth):.1f} % on average",
            hot,
        ),
    ]
    panels(shown, out / "seeds", wide=4, narrow=2, aspect=1.0)
