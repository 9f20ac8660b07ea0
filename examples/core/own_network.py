"""Bring your own network: any module that is called as f(x, t).

python examples/core/own_network.py

The data are signals whose best possible denoiser is known in closed form, so that the last column
of what this prints is a fair judge: 1.00 would be perfect.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from diff_core import DpmSolverPP2M, FromV, Keyed, VariancePreserving, uniform
from diff_core.evaluate import snr_loss
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.interop import ModuleNetwork
from diff_core.sample import sample
from diff_core.train import Denoising, v_weight

LENGTH = 32


# 1. Your network. It knows nothing of diffusion, nor of this library.
class Recurrent(nn.Module):
    """Two directions of a GRU over a signal (B, 1, N) with the time t (B,) beside every entry."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.gru = nn.GRU(2, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        time = t[:, None, None].expand(-1, x.shape[-1], 1)
        rows, _ = self.gru(torch.cat([x.mT, time], dim=-1))
        return self.out(rows).mT


def smooth_signals() -> Gaussian:
    """Signals (1, LENGTH) that change slowly: covariance exp(-(i - j)^2 / 2 / 4^2)."""
    place = torch.arange(LENGTH, dtype=torch.float64)
    covariance = torch.exp(-0.5 * ((place[:, None] - place) / 4) ** 2)
    covariance += 1e-4 * torch.eye(LENGTH)
    return Gaussian.from_covariance(torch.zeros(1, LENGTH, dtype=torch.float64), covariance)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, compare with the best that is possible, sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    signals, schedule = smooth_signals(), VariancePreserving()

    # 2. Say what the network is to predict (here v; FromEps, FromX0, FromFlow and FromScore are
    #    the others). What comes out is a denoiser like any other. A network that was trained
    #    elsewhere goes in the same way: ModuleNetwork(network, scale=1000, offset=-1) tells it the
    #    index of a table of 1000 steps.
    denoiser = FromV(ModuleNetwork(Recurrent()), schedule)

    # 3. Train it with a loop of your own. An objective is a function: (B,) losses of a batch.
    objective = Denoising(v_weight)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=4e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, given.steps)
    for _ in range(given.steps):
        batch = {"x_0": signals.sample(64, generator).float()}
        loss = objective(denoiser, batch, generator).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimizer.step()
        decay.step()
    denoiser.eval()

    # 4. Compare, noise level by noise level, with the denoiser that cannot be beaten.
    held_out = [{"x_0": signals.sample(512, generator).float()}]
    edges = [-4.0, -2.0, -1.0, 0.0, 1.0, 2.0]

    def losses(judged: FromV | ExactDenoiser) -> tuple[float, ...]:
        return snr_loss(judged, held_out, edges, torch.Generator().manual_seed(1)).loss

    ours, best = losses(denoiser), losses(ExactDenoiser(signals, schedule))
    print("error of E[x_0 | x_t]  yours    best   ratio")
    for low, high, a, b in zip(edges, edges[1:], ours, best, strict=False):
        print(f"log-SNR {low:4.0f} to {high:2.0f}    {a:.4f}  {b:.4f}  {a / b:5.2f}")

    # 5. Sample: do the samples change as slowly as the data?
    noise = Keyed(range(1000))
    x_0 = sample(denoiser, DpmSolverPP2M(), noise(-1, torch.empty(1000, 1, LENGTH)), uniform(24))
    print("correlation of entries  1 apart  4 apart  8 apart")
    for name, x in (("data", signals.sample(1000, generator)), ("samples", x_0)):
        power = x.square().mean()
        lags = [(x[..., k:] * x[..., :-k]).mean() / power for k in (1, 4, 8)]
        print(f"  {name:<20}  " + "  ".join(f"{lag.item():7.2f}" for lag in lags))


if __name__ == "__main__":
    main()
