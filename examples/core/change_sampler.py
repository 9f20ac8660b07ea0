"""Take a trained model and change the sampler, the number of steps and the schedule.

python examples/core/change_sampler.py

Loads what `train_2d.py` wrote, and runs it first if need be. Nothing is trained again:
`Preconditioned` tells its network the noise level, not the time, so that one network serves every
schedule. Writes out/core/change_sampler.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import train_2d
from torch import Tensor

from diff_core import (
    Ddim,
    Deis,
    Denoiser,
    DpmSolverPP2M,
    Heun,
    Keyed,
    Preconditioned,
    RectifiedFlow,
    UniPC,
    VariancePreserving,
    io,
    karras,
)
from diff_core.sample import Sampler, sample

COUNT = 500
SAMPLERS: dict[str, Sampler] = {
    "Ddim()": Ddim(),
    "Heun()": Heun(),
    "DpmSolverPP2M()": DpmSolverPP2M(),
    "Deis(order=3)": Deis(order=3),
    "UniPC()": UniPC(),
}


def draw_samples(denoiser: Denoiser, sampler: Sampler, steps: int) -> tuple[Tensor, int]:
    """Samples (COUNT, 2) from the same noise every time, and the number of network calls."""
    times = karras(denoiser.schedule, steps, sigma_min=0.005, sigma_max=20.0)
    z = Keyed(range(COUNT))(-1, torch.empty(COUNT, 2))
    start = denoiser.schedule.sigma(times[0]) * z
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    hook = denoiser.network.register_forward_hook(count)
    x_0 = sample(denoiser, sampler, start.float(), times)
    hook.remove()
    return x_0, calls


def main(arguments: Sequence[str] | None = None) -> None:
    """Two tables and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000, help="of training, if need be")
    parser.add_argument("--out", type=Path, default=Path("out/core"), help="folder to write into")
    given = parser.parse_args(arguments)

    checkpoint = given.out / "train_2d.safetensors"
    if not checkpoint.exists():
        train_2d.main(["--steps", str(given.steps), "--out", str(given.out)])
    # a class that is not the library's own is named to it: a checkpoint holds no code
    denoiser, card = io.load(checkpoint, types={"Perceptron": train_2d.Perceptron})
    print(f"{card.name}: {denoiser.schedule}, sigma_data {denoiser.sigma_data}")

    # 1. The sampler. The reference is where the flow of this network goes with very many steps.
    reference, _ = draw_samples(denoiser, UniPC(p=3), 500)
    steps = (6, 12, 24, 48)
    print("\nroot mean square distance to the exact flow (calls of the network)")
    errors: dict[str, list[tuple[int, float]]] = {}
    for name, sampler in SAMPLERS.items():
        errors[name] = []
        for count in steps:
            x_0, calls = draw_samples(denoiser, sampler, count)
            errors[name].append((calls, (x_0 - reference).square().mean().sqrt().item()))
        cells = [f"{error:8.4f} ({calls:2d})" for calls, error in errors[name]]
        print(f"  {name:<16}" + "  ".join(cells))

    # 2. The schedule: the same network inside another denoiser. On the same noise levels (`karras`
    #    finds the times that have them) the same noise leads to the same samples.
    print("\nlargest difference when only the schedule is changed, UniPC() in 24 steps")
    before, _ = draw_samples(denoiser, UniPC(), 24)
    for schedule in (VariancePreserving(), RectifiedFlow()):
        other = Preconditioned(denoiser.network, schedule, denoiser.sigma_data)
        after, _ = draw_samples(other, UniPC(), 24)
        print(f"  {schedule!s:<46} {(after - before).abs().max().item():.1e}")
    draw(errors, given.out / "change_sampler.png")


def draw(errors: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Error against calls, for every sampler."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, pairs in errors.items():
        axis.loglog(*zip(*pairs, strict=True), "o-", label=name)
    axis.set(xlabel="calls of the network", ylabel="distance to the exact flow")
    axis.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"\npicture: {path}")


if __name__ == "__main__":
    main()
