"""Optimisers of the recipe `train.optimizer`: loss after equal processor time.

    python benchmarks/core/optimisers.py [--seconds 12] [--seeds 2]

A U-Net and a transformer, of 50 and 137 thousand parameters, learn to denoise
scikit-learn's digits (8 by 8, rectified flow, batches of 64) by one optimiser at one of three
rates, for the same processor time on one thread; the rate falls to 0 by half a cosine. The loss is
that of the averaged weights on 500 digits that were not learned from, at 64 fixed times, in units
of 1e-3: mean over the seeds and half of the distance between the least and the greatest. The best
rate of each optimiser is marked. Milliseconds are of processor time a step, updates included.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable

import torch
from claim_parts import Digits
from torch import Tensor, nn

from diff_core import Denoiser, FromFlow, RectifiedFlow, marginal
from diff_core.nn import DiT, UNet
from diff_core.train import TrainConfig
from diff_core.train.optimizer import make_optimizer

BATCH = 64
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "U-Net": lambda: UNet(2, 1, 1, (16, 32), blocks=1, embedding=64),
    "transformer": lambda: DiT(2, 1, 1, patch=2, width=48, depth=3, heads=4),
}
RATES = {"adamw": (3e-3, 1e-2, 3e-2), "muon": (3e-3, 1e-2, 3e-2)}


def loss_of(denoiser: Denoiser, x_0: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Return the squared error of the velocity z - x_0."""
    x_t = marginal(denoiser.schedule, x_0, t, z)
    return (denoiser.network(x_t, t) - (z - x_0)).square().mean()  # type: ignore[operator]


def learn(name: str, optimizer: str, rate: float, seed: int, seconds: float) -> tuple[float, int]:
    """Return the loss on unseen digits and the number of steps taken."""
    digits = Digits.split(seed)
    known, unseen = (rows.reshape(-1, 1, 8, 8) for rows in (digits.known, digits.unseen))
    torch.manual_seed(seed)
    denoiser = FromFlow(NETWORKS[name](), RectifiedFlow())
    average = copy.deepcopy(denoiser).requires_grad_(False)
    updater = make_optimizer(
        denoiser, TrainConfig(1, optimizer=optimizer, learning_rate=rate)  # type: ignore[arg-type]
    )  # fmt: skip
    begin, steps = time.process_time(), 0
    while (share := (time.process_time() - begin) / seconds) < 1:
        for group in updater.param_groups:
            group["lr"] = rate * min(1.0, share / 0.05) * 0.5 * (1 + math.cos(math.pi * share))
        x_0 = known[torch.randint(len(known), (BATCH,))]
        updater.zero_grad()
        loss_of(denoiser, x_0, torch.rand(BATCH), torch.randn_like(x_0)).backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        updater.step()
        steps += 1
        keep = min(0.99, steps / (10 + steps))
        for mean, value in zip(average.parameters(), denoiser.parameters(), strict=True):
            mean.lerp_(value.detach(), 1 - keep)
    generator = torch.Generator().manual_seed(0)
    times = (torch.arange(64) + 0.5).repeat(8)[:500] / 64
    with torch.no_grad():
        z = torch.randn(unseen.shape, generator=generator)
        return float(loss_of(average.eval(), unseen, times, z)), steps


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=12.0, help="processor time of a training")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | optimiser | rate | loss, 1e-3 | spread | steps | ms a step | |")
    print("|---|---|--:|--:|--:|--:|--:|---|")
    for name in NETWORKS:
        for optimizer, rates in RATES.items():
            rows: list[tuple[float, float, float, float]] = []
            for rate in rates:
                found = [
                    learn(name, optimizer, rate, seed, options.seconds)
                    for seed in range(options.seeds)
                ]
                losses = [1e3 * loss for loss, _ in found]
                steps = statistics.fmean(count for _, count in found)
                spread = (max(losses) - min(losses)) / 2
                rows.append((statistics.fmean(losses), rate, spread, steps))
            for loss, rate, spread, steps in rows:
                mark = "best" if loss == min(rows)[0] else ""
                print(
                    f"| {name} | {optimizer} | {rate:g} | {loss:.1f} | {spread:.1f} | {steps:.0f} "
                    f"| {1e3 * options.seconds / steps:.2f} | {mark} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
