"""What a learned reverse variance gives: likelihood bounds and samples by the number of steps.

    python benchmarks/core/variance.py [--directory RUNS]

First a 1-D mixture of two Gaussians whose moments are known: the variational bound of ancestral
sampling with the small, the large and the exact variance, in nats above the entropy. Then
scikit-learn's 8x8 digits of 17 levels, one half to train on: a small U-Net with two outputs is
trained with `Hybrid`. Its bound on the held-out half, in bits for a pixel, and 1000 times the
energy distance of as many samples to it. The grids are uniform in t, on `Cosine`.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from diff_core import Ancestral, Cosine, FromV, Keyed, WithVariance, uniform
from diff_core.distil import Pairs
from diff_core.evaluate import energy_distance, variational_bound
from diff_core.exact import Mixture
from diff_core.nn import UNet
from diff_core.sample import sample
from diff_core.train import Denoising, Hybrid, TrainConfig, train, v_weight

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from exact_moments import MixtureMoments  # noqa: E402

COUNTS = (4, 8, 16, 32, 64)
KINDS = ("small", "large", "learned")
MIXTURE = Mixture(
    *(torch.tensor(p, dtype=torch.float64) for p in ([0.3, 0.7], [-1.0, 0.8], [0.3, 0.4]))
)


def drawn(k: int, like: Tensor) -> Tensor:
    """Noise for many rows, faster than by their seeds."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(k)).to(like)


def table(title: str, cell: Callable[[str, int], str]) -> None:
    """A line for each variance, a column for each number of steps."""
    print(f"| {title} | " + " | ".join(map(str, COUNTS)) + " |")
    print("|---" * (len(COUNTS) + 1) + "|")
    for kind in KINDS:
        print(f"| {kind} | " + " | ".join(cell(kind, n) for n in COUNTS) + " |", flush=True)


def mixture() -> None:
    """The first table."""
    x_0 = MIXTURE.sample((20000, 1), torch.Generator().manual_seed(0))
    entropy = -MIXTURE.log_prob(x_0).mean().item()
    denoiser = MixtureMoments(MIXTURE.weights, MIXTURE.means, MIXTURE.deviations, Cosine())

    def excess(kind: str, steps: int) -> str:
        bound = variational_bound(denoiser, x_0, uniform(steps), drawn, variance=kind)
        return f"{bound.mean().item() - entropy:.3f}"

    table("mixture, nats above the entropy", excess)


def digits(runs: Path) -> None:
    """The others."""
    images = torch.from_numpy(load_digits().images).float()[:, None] / 8 - 1
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    training, held_out = images[order].tensor_split(2)
    torch.manual_seed(0)
    network = UNet(2, 1, 2, (16, 32), blocks=1, embedding=64)
    denoiser = WithVariance(FromV(network, Cosine()), training.std().item())
    config = TrainConfig(
        steps=1500,
        batch_size=64,
        learning_rate=2e-3,
        warmup=50,
        ema=0.995,
        checkpoint_every=1500,
        seed=0,
    )
    begun = time.process_time()
    objective = Hybrid(Denoising(v_weight))
    denoiser = train(denoiser, objective, Pairs({"x_0": training}), config, directory=runs)
    print(f"digits: {config.steps} steps, {time.process_time() - begun:.0f} s of one core")

    def bits(kind: str, steps: int) -> str:
        bound = variational_bound(
            denoiser, held_out, uniform(steps), drawn, variance=kind, levels=17
        )
        return f"{bound.mean().item() / 64 / math.log(2):.3f}"

    def distance(kind: str, steps: int) -> str:
        noise = Keyed(range(10**6, 10**6 + len(held_out)))
        start = noise(-1, held_out)
        x = sample(denoiser, Ancestral(variance=kind), start, uniform(steps), noise=noise)
        return f"{1000 * energy_distance(x, held_out):.0f}"

    table("digits, bits for a pixel", bits)
    table("digits, energy distance", distance)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--directory", type=Path, metavar="RUNS", help="keep the run here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    mixture()
    with tempfile.TemporaryDirectory() as temporary:
        digits(given.directory or Path(temporary))
