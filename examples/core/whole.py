"""All of diffusion on one page: schedule, loss, training and sampler, in plain PyTorch.

python examples/core/whole.py

It is DDPM (Ho et al., 2020), letter by letter: linear betas, the squared error of the noise, Adam,
averaged weights, and 1,000 ancestral steps. It learns the 8 x 8 digits that come with scikit-learn
in about a minute of one core. Nothing of diff_core is used until part 6, which hands the trained
network to it: fewer steps, other samplers, another schedule.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from diff_core import DpmSolverPP2M, FromEps, UniPC, tables, uniform, uniform_log_snr
from diff_core.evaluate import energy_distance
from diff_core.interop import ModuleNetwork
from diff_core.sample import sample

STEPS = 1000

# 1. The forward process. Each step keeps sqrt(1 - beta) of the signal and adds noise of variance
#    beta: a Markov chain. alpha_bar is what is left of the signal's power after k steps, so one
#    line reaches any of them: x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise.
beta = torch.linspace(1e-4, 0.02, STEPS)
alpha_bar = torch.cumprod(1 - beta, 0)


def noised(x_0: Tensor, k: Tensor, noise: Tensor) -> Tensor:
    """Return x_k (B, D) for the steps k (B,) from 0 to STEPS - 1."""
    return alpha_bar[k, None].sqrt() * x_0 + (1 - alpha_bar[k, None]).sqrt() * noise


# 2. The network: any map from (x_k, k) to the shape of x_k.
class Network(nn.Module):
    """A perceptron that adds waves of the step to its first layer.

    What is nearly all noise is nearly its own answer, so a share of x is added to the last layer.
    """

    def __init__(self, size: int = 64, width: int = 384) -> None:
        super().__init__()
        self.first = nn.Linear(size, width)
        self.when = nn.Linear(32, width)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.last = nn.Linear(width, size)
        self.share = nn.Linear(32, 1)
        self.register_buffer("speeds", 10 ** torch.linspace(0, -4, 16), persistent=False)

    def forward(self, x: Tensor, k: Tensor) -> Tensor:
        """Return the noise in x (B, size); k (B,) need not be whole."""
        angles = k.reshape(-1, 1) * self.speeds
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        return self.last(self.rest(self.first(x) + self.when(waves))) + self.share(waves) * x


# 3. Training. One random step for each digit, and the squared error of the noise. The best answer
#    is the mean of all noises that could have led here, E[noise | x_k]. That is the score, the
#    direction of higher density, up to a factor: -E[noise | x_k] / sqrt(1 - alpha_bar).
def train(data: Tensor, updates: int, batch: int = 128, seed: int = 0) -> Network:
    """Return the averaged network."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = Network(data.shape[1])
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for update in range(updates):
        x_0 = data[torch.randint(len(data), (batch,), generator=draw)]
        k = torch.randint(STEPS, (batch,), generator=draw)
        noise = torch.randn(x_0.shape, generator=draw)
        loss = (network(noised(x_0, k, noise), k) - noise).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        keep = min(0.999, (1 + update) / (10 + update))
        for mean, value in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(value.detach(), 1 - keep)
    return average


# 4. Sampling: the chain backwards. Take off the predicted noise of one step, add a little fresh
#    noise, 1,000 times.
@torch.no_grad()
def ancestral(network: Network, count: int, seed: int = 1) -> Tensor:
    """Return samples (count, 64)."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 64, generator=draw)
    for k in range(STEPS - 1, -1, -1):
        noise = network(x, torch.full((count,), k))
        x = (x - beta[k] / (1 - alpha_bar[k]).sqrt() * noise) / (1 - beta[k]).sqrt()
        if k:
            variance = beta[k] * (1 - alpha_bar[k - 1]) / (1 - alpha_bar[k])
            x += variance.sqrt() * torch.randn(x.shape, generator=draw)
    return x


# 5. Judgement: the energy distance to digits that were not trained on; 0 for the same law.
def digits() -> tuple[Tensor, Tensor]:
    """Return digits (N, 64) in [-1, 1], to train and to judge."""
    pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return pixels[order[:1400]], pixels[order[1400:]]


def drawn(x: Tensor) -> str:
    """Return digits (N, 64) side by side, as letters."""
    shades = (4.99 * (x.clamp(-1, 1) + 1) / 2).long().reshape(-1, 8, 8)
    rows = [["".join(" .:*#"[shade] for shade in row) for row in digit] for digit in shades]
    return "\n".join("  ".join(line) for line in zip(*rows, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, sample, and sample the same network with diff_core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=8000, help="of the weights")
    parser.add_argument("--count", type=int, default=400, help="digits to draw")
    given = parser.parse_args(arguments)
    known, unseen = digits()
    network = train(known, given.updates)
    print(f"digits not seen, from those trained on {energy_distance(known, unseen):7.3f}")
    noise = torch.randn(given.count, 64, generator=torch.Generator().manual_seed(2))
    print(f"noise                                  {energy_distance(noise, unseen):7.3f}")
    made = ancestral(network, given.count)
    print(f"DDPM, {STEPS} ancestral steps            {energy_distance(made, unseen):7.3f}")

    # 6. The same network in diff_core. Step k is t = (k + 1) / STEPS of a table; the sampler, the
    #    grid and the number of calls are then free.
    theirs = ModuleNetwork(network, scale=STEPS, offset=-1)
    denoiser = FromEps(theirs, tables.linear(1e-4, 0.02, STEPS))
    grid = torch.cat([uniform_log_snr(denoiser.schedule, 15, 1.0, 1 / STEPS), torch.zeros(1)])
    for name, sampler, times in (
        ("DPM-Solver++(2M), 50 calls", DpmSolverPP2M(), uniform(50)),
        ("UniPC, 16 calls", UniPC(), grid),
    ):
        found = sample(denoiser, sampler, noise, times)
        print(f"{name:38s} {energy_distance(found, unseen):7.3f}")
    print("\n" + drawn(made[:8]))


if __name__ == "__main__":
    main()
