"""What a U-Net learns in equal processor time, beside MONAI's and diffusers' networks.

    python benchmarks/core/unet_quality.py [--seconds 20] [--seeds 2]

All learn the velocity of a rectified flow by AdamW at one rate (2e-3, falling to 0 by half a
cosine; batches of 32), one thread, the same processor time: scikit-learn's digits (8 by 8, two
levels of widths 32 and 64) and the drawn heads of families.py at 24 by 24 (three levels: 16, 32,
64). Two blocks a level, and no attention. The loss is that of the averaged weights on data that
were not learned from, at fixed times and noises; mean over the seeds and half of the distance
between the least and the greatest. GFLOP are of one forward pass of a batch (torch's counter).

"ours" has the widths of the peers and two blocks a level, the coarsest one once. "more in the
middle" has six more blocks at the coarsest level, which makes it as large as the peers, within
4 %. "a skip for each block" joins every block of the
decoder with its own block of the encoder, as the peers do, and not only the level's last.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from families import heads
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from diff_core import RectifiedFlow, marginal
from diff_core.nn import UNet
from diff_core.nn.unet import UNetInputs

BATCH, RATE = 32, 2e-3
Widths = tuple[int, ...]


class Skips(UNet):
    """A U-Net whose decoder joins each block with the block of the encoder at its height."""

    def __init__(self, widths: Widths) -> None:
        super().__init__(2, 1, 1, widths)
        self.merge = nn.ModuleList()  # of a level; here each block has its own
        self.joins = nn.ModuleList(
            nn.ModuleList(self.parts.merge(width) for _ in range(2)) for width in widths[:-1]
        )

    def encode(self, entered: UNetInputs, hint: Tensor | None = None) -> list[Any]:
        """Return, for each level, what each of its blocks made."""
        x = self.stem(self.parts.enter(entered.x))
        features: list[Any] = []
        for i, level in enumerate(self.encoder):
            x = self.down[i - 1](x) if i else x
            made: list[Tensor] = []
            for block in level.blocks:
                x = block(x, entered.embedding, None)
                made.append(x)
            features.append(made)
        return features

    def decode(self, features: Sequence[Any], entered: UNetInputs) -> Tensor:
        """Return the result from the features of every block."""
        *skips, (*_, x) = features
        for i in reversed(range(len(self.decoder))):
            x = self.up[i](x)
            for block, join, skip in zip(
                self.decoder[i].blocks, self.joins[i], reversed(skips[i]), strict=True
            ):
                x = block(join(self.parts.join(x, skip)), entered.embedding, None)
        return self.head(x)[..., : entered.size[0], : entered.size[1]]


class Peer(nn.Module):
    """A peer's network, told times of a table of 1,000 as they expect them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        result = self.network(x, 1000 * t)
        return result if isinstance(result, Tensor) else result.sample


def monai(widths: Widths) -> nn.Module:
    """MONAI's network for diffusion models."""
    from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

    return Peer(
        DiffusionModelUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            channels=widths,
            attention_levels=(False,) * len(widths),
            num_res_blocks=2,
            norm_num_groups=8,
        )
    )


def diffusers(widths: Widths) -> nn.Module:
    """diffusers' network for images."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    return Peer(
        UNet2DModel(
            in_channels=1,
            out_channels=1,
            block_out_channels=widths,
            down_block_types=("DownBlock2D",) * len(widths),
            up_block_types=("UpBlock2D",) * len(widths),
            layers_per_block=2,
            norm_num_groups=8,
            add_attention=False,
        )
    )


NETWORKS: dict[str, Callable[[Widths], nn.Module]] = {
    "ours": lambda widths: UNet(2, 1, 1, widths),
    "ours, more in the middle": lambda w: UNet(2, 1, 1, w, blocks=(*(2 for _ in w[1:]), 8)),
    "ours, a skip for each block": Skips,
    "MONAI DiffusionModelUNet": monai,
    "diffusers UNet2DModel": diffusers,
}


@dataclass(frozen=True)
class Task:
    """Images (N, 1, H, W) in [-1, 1], and the widths of the networks."""

    known: Tensor
    unseen: Tensor
    widths: Widths


def digits() -> Task:
    """scikit-learn's digits."""
    rows = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    return Task(rows[500:], rows[:500], (32, 64))


def scans() -> Task:
    """Heads of no person."""
    rows = torch.tensor(heads(2500, 24), dtype=torch.float32)[:, None] * 2 - 1
    return Task(rows[500:], rows[:500], (16, 32, 64))


def flow_loss(network: nn.Module, x_0: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Return the squared error of the velocity z - x_0."""
    x_t = marginal(RectifiedFlow(), x_0, t, z)
    return (network(x_t, t) - (z - x_0)).square().mean()


def learn(task: Task, network: nn.Module, seed: int, seconds: float) -> tuple[float, int]:
    """Return the loss on unseen images, and how many steps were made."""
    draw = torch.Generator().manual_seed(seed)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, fused=True)
    begin, step = time.process_time(), 0
    while (share := (time.process_time() - begin) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, share / 0.05) * 0.5 * (1 + math.cos(math.pi * share))
        x_0 = task.known[torch.randint(len(task.known), (BATCH,), generator=draw)]
        optimizer.zero_grad()
        t, z = torch.rand(BATCH, generator=draw), torch.randn(x_0.shape, generator=draw)
        flow_loss(network, x_0, t, z).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(0.99, step / (10 + step))
        for mean, value in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(value.detach(), 1 - keep)
    times = (torch.arange(500) % 50 + 0.5) / 50
    z = torch.randn(task.unseen.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(flow_loss(average.eval(), task.unseen, times, z)), step


def gflop(network: nn.Module, task: Task) -> float:
    """Return what the forward pass of a batch takes."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(task.known[:BATCH], torch.full((BATCH,), 0.5))
    return counter.get_total_flops() / 1e9


def main() -> None:
    """Print a table for each task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of processor time, each")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for name, task in (("digits", digits()), ("drawn heads", scans())):
        print(f"| {name} | parameters | GFLOP | ms a step | steps | loss, 1e-3 | spread |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for label, build in NETWORKS.items():
            losses: list[float] = []
            counts: list[int] = []
            for seed in range(options.seeds):
                torch.manual_seed(seed)
                network = build(task.widths)
                loss, steps = learn(task, network, seed, options.seconds)
                losses.append(1e3 * loss)
                counts.append(steps)
            size = sum(p.numel() for p in network.parameters())
            steps = statistics.fmean(counts)
            print(
                f"| {label} | {size:,} | {gflop(network, task):.2f} "
                f"| {1e3 * options.seconds / steps:.1f} | {steps:.0f} "
                f"| {statistics.fmean(losses):.1f} | {(max(losses) - min(losses)) / 2:.1f} |",
                flush=True,
            )
        print()


if __name__ == "__main__":
    main()
