"""Six Gaussian peaks in a plane: their score, known exactly, and the ways from noise to them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from diff_core import Ancestral, Cosine, Keyed, log_snr
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.sample import sample

from .look import CARD, INK, chart

__all__ = ["PEAKS", "data", "score"]

REACH = 2.7  # half of the side of what is drawn
FRAMES, LAST = 40, 0.02  # from t = 1 to LAST
SUBSTEPS = 5  # of the stochastic walk, for each frame
PATHS, PIXELS, ARROWS = 36, 40, 13
LONGEST = 0.5  # arrow
SCHEDULE = Cosine()
BLUES = LinearSegmentedColormap.from_list("blues", [CARD, "#5a86b5"])
PEAKS = Mixture(
    weights=torch.tensor([[0.3, 0.3, 0.4], [0.3, 0.3, 0.4]], dtype=torch.float64),
    means=torch.tensor([[-1.5, 0.0, 1.4], [-1.0, -1.0, 1.0]], dtype=torch.float64),
    deviations=torch.tensor([[0.12, 0.3, 0.16], [0.2, 0.2, 0.14]], dtype=torch.float64),
)


def grid(count: int) -> Tensor:
    """Points (count^2, 2), row by row from the top left."""
    line = torch.linspace(-REACH, REACH, count, dtype=torch.float64)
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)


def density(t: Tensor) -> Tensor:
    """Brightness (PIXELS, PIXELS), 0 to 1: a power of the density of x_t, to show its tails."""
    logs = PEAKS.log_prob(grid(PIXELS), SCHEDULE.alpha(t).item(), SCHEDULE.sigma(t).item())
    return (0.6 * (logs - logs.max())).exp().reshape(PIXELS, PIXELS)


def arrows(points: Tensor, t: Tensor) -> Tensor:
    """sigma^2 times the score at the points (N, 2), alpha D - x; long ones are shortened."""
    step = SCHEDULE.alpha(t) * ExactDenoiser(PEAKS, SCHEDULE)(points, t) - points
    return LONGEST * step / (LONGEST + step.norm(dim=1, keepdim=True))


def score(out: Path) -> None:
    """The score at three noise levels."""

    def draw(axes: Sequence[Axes]) -> None:
        points = grid(ARROWS)
        for axis, t in zip(axes, (0.8, 0.45, 0.15), strict=True):
            time = torch.tensor(t, dtype=torch.float64)
            box = (-REACH, REACH, -REACH, REACH)
            axis.imshow(density(time), cmap=BLUES, extent=box, interpolation="bicubic")
            axis.quiver(
                *points.T, *arrows(points, time).T, color=INK, angles="xy", scale_units="xy",
                scale=1, width=0.005, headwidth=4.5,
            )  # fmt: skip
            axis.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[], yticks=[])
            axis.set_title(f"t = {t}   σ = {SCHEDULE.sigma(time).item():.2f}")
            axis.grid(visible=False)
            axis.spines[:].set_visible(False)

    chart(out / "score", draw, count=3, height=2.85, lossless=False)


def data(out: Path) -> None:
    """score_data.js for the page's slider: density, arrows and paths, frame by frame.

    Paths of the ODE are exact, by `Mixture.flow`; those of the SDE are `Ancestral`'s in small
    steps. Both start at the same points. Thousandths are enough for a screen.
    """
    frames = torch.linspace(1, LAST, FRAMES + 1, dtype=torch.float64)
    start = Keyed(range(PATHS))(-1, torch.empty(PATHS, 2, dtype=torch.float64))
    ode = [PEAKS.flow(SCHEDULE, start, frames[0], t) for t in frames]
    sde = [start]

    def keep(k: int, x: Tensor, _: Tensor) -> None:
        if (k + 1) % SUBSTEPS == 0:
            sde.append(x)

    times = torch.linspace(1, LAST, FRAMES * SUBSTEPS + 1, dtype=torch.float64)
    denoiser = ExactDenoiser(PEAKS, SCHEDULE)
    sample(denoiser, Ancestral(), start, times, noise=Keyed(range(PATHS)), on_step=keep)
    points = grid(ARROWS)
    exported = {
        "reach": REACH,
        "pixels": PIXELS,
        "t": rounded(frames),
        "alpha": rounded(SCHEDULE.alpha(frames)),
        "sigma": rounded(SCHEDULE.sigma(frames)),
        "db": [round(v, 1) for v in (20 / np.log(10) * log_snr(SCHEDULE, frames)[1:]).tolist()],
        "density": [pixels(density(t)) for t in frames],
        "points": rounded(points),
        "arrows": [rounded(arrows(points, t)) for t in frames],
        "ode": [rounded(x) for x in ode],
        "sde": [rounded(x) for x in sde],
    }
    path = out / "score_data.js"
    text = json.dumps(exported, separators=(",", ":"))
    path.write_text(f"// Written by docs/how/figures.py\nconst SCORE = {text};\n")
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def rounded(x: Tensor) -> list[int]:
    """The values in thousandths, one after the other."""
    return (1000 * x).round().int().flatten().tolist()


def pixels(image: Tensor) -> str:
    """Brightness 0 to 1 as bytes, in base64."""
    return base64.b64encode((255 * image).round().to(torch.uint8).numpy().tobytes()).decode()
