"""Train a diffusion model on points in the plane, in about a minute on a CPU, and look at it.

python examples/core/train_2d.py

Writes into out/core: train_2d.png, with the data, the samples and how they came about, and
train_2d.safetensors, which `change_sampler.py` loads.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from diff_core import Condition, Edm, Keyed, Preconditioned, UniPC, io, karras
from diff_core.sample import sample
from diff_core.train import Denoising, TrainConfig, edm_weight, log_normal, train

SIGMA_DATA = 0.5
"""The standard deviation of the data, which `Preconditioned` needs to know."""


# 1. Data. A data set without end: point i is a function of i alone, so that training can stop and
#    go on as if it had not.
class Spirals:
    """Two arms of a spiral, one turned by half a circle from the other."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        u, v, *jitter = torch.rand(4, generator=torch.Generator().manual_seed(index)).tolist()
        radius = math.sqrt(0.02 + 0.98 * u)
        angle = 2.5 * math.pi * radius + (math.pi if v < 0.5 else 0)
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        return {"x_0": torch.tensor([x, y]) + 0.08 * (torch.tensor(jitter) - 0.5)}


def points(count: int, first: int) -> Tensor:
    """(count, 2), disjoint from the training data for a large `first`."""
    return torch.stack([Spirals()[first + i]["x_0"] for i in range(count)])


# 2. A network: anything called as network(x, time, cond), with x (B, 2) and time (B,).
class Perceptron(nn.Module):
    """Hidden layers, told the place and the time as waves of several frequencies."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.config = {"width": width}  # lets a checkpoint say how to build the network again
        self.layers = nn.Sequential(
            *(nn.Linear(2 + 2 * 8 + 12, width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            nn.Linear(width, 2),
        )

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        return self.layers(torch.cat([x, waves(x, 4), waves(time[:, None], 6)], dim=1))


def waves(x: Tensor, octaves: int) -> Tensor:
    """cos and sin of 1 x, 2 x, 4 x, ...: (B, D) -> (B, 2 * octaves * D)."""
    turns = (x[..., None] * 2.0 ** torch.arange(octaves, device=x.device)).flatten(1)
    return torch.cat([turns.cos(), turns.sin()], dim=1)


# 3. A denoiser is a network, a schedule, and what lies between them: here EDM's preconditioning.
def untrained() -> Preconditioned:
    """The denoiser E[x_0 | x_t] on the schedule x_t = x_0 + sigma z, sigma up to 20."""
    return Preconditioned(Perceptron(), Edm(sigma_max=20.0), sigma_data=SIGMA_DATA)


# 4. A distance between two clouds of points (N, 2): from a point to the nearest one of the other
#    cloud, in the mean, there and back. Points beside the spiral and gaps in it both count.
def distance(a: Tensor, b: Tensor) -> float:
    """Chamfer distance, in units of the data."""
    apart = torch.cdist(a, b)
    return 0.5 * (apart.min(0).values.mean() + apart.min(1).values.mean()).item()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, sample, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000, help="optimiser steps")
    parser.add_argument("--out", type=Path, default=Path("out/core"), help="folder to write into")
    given = parser.parse_args(arguments)

    torch.manual_seed(0)
    denoiser = train(
        untrained(),
        Denoising(edm_weight(SIGMA_DATA), times=log_normal(-1.5, 1.2)),
        Spirals(),
        TrainConfig(steps=given.steps, batch_size=128, learning_rate=2e-3, ema=0.995),
        directory=given.out / "train_2d",  # a second run goes on from here
    )
    io.save(given.out / "train_2d.safetensors", denoiser, io.Card(name="spirals"))

    # 5. Sampling: from noise at times[0] down to data at times[-1] = 0.
    count = 2000
    noise = Keyed(range(count))  # one seed for each sample
    times = karras(denoiser.schedule, steps=16, sigma_max=20.0)
    start = denoiser.schedule.sigma(times[0]) * noise(-1, torch.empty(count, 2))
    walk = [start]
    x_0 = sample(
        denoiser, UniPC(), start, times, on_step=lambda k, x, estimate: walk.append(x.clone())
    )

    held_out = points(count, first=10**9)
    print(f"distance of {count} points to held-out data")
    print(f"  noise of the same spread  {distance(SIGMA_DATA * start / 20, held_out):.4f}")
    print(f"  samples                   {distance(x_0, held_out):.4f}")
    print(f"  other data                {distance(points(count, first=2 * 10**9), held_out):.4f}")
    draw(held_out, walk, times.tolist(), given.out / "train_2d.png")


def draw(data: Tensor, walk: list[Tensor], times: list[float], path: Path) -> None:
    """The data, the state of the sampling at four times, and some of the paths."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 6, figsize=(18, 3.3), layout="constrained")
    axes[0].scatter(*data.T, s=1, color="black")
    axes[0].set_title("data")
    for axis, k in zip(axes[1:5], (6, 9, 11, len(walk) - 1), strict=True):
        axis.scatter(*walk[k].T, s=1, color="tab:blue")
        axis.set_title(f"on the way, sigma {20 * times[k]:.2g}" if times[k] else "samples")
    axes[5].plot(*torch.stack(walk)[:, :60].permute(2, 0, 1), lw=0.5, color="tab:blue")
    axes[5].set_title("paths of sixty of them")
    for axis in axes:
        axis.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", xticks=[], yticks=[])
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
