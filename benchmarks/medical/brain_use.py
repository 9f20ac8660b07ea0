r"""What synthetic brains are worth: a segmentation network trained on them, and beside real ones.

    python benchmarks/medical/brain_use.py --real PREPARED --samples OUT
    python benchmarks/medical/brain_use.py --real PREPARED --samples OUT --people 1 2 5 10

PREPARED is a folder of `diff_medical.train brain-prepare`, OUT one of `diff_medical.generate
--volume --with-labels`. MONAI's U-Net learns the six labels of a T1 scan from all real people,
from the samples alone, and from both; with --people also from the first people alone and together
with the samples. Every arm has the same steps, crops, and classical augmentation (mirroring,
contrast, gain, noise). The Dice is the mean over the five tissues of the held-out people. The
interval is a bootstrap over trainings and people.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import UNet
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diff_core.data import Split
from diff_medical.brain.grid import CLASSES
from diff_medical.image_sets.brains import each_brain

SIDE, BATCH = 40, 4  # of a crop, voxels; crops of a step
BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Set:
    """scans (N, X, Y, Z), white matter 1; labels (N, X, Y, Z)."""

    scans: Tensor
    labels: Tensor

    def __add__(self, other: Set) -> Set:
        return Set(torch.cat([self.scans, other.scans]), torch.cat([self.labels, other.labels]))

    def first(self, count: int) -> Set:
        """Return the first members."""
        return Set(self.scans[:count], self.labels[:count])


def main() -> None:
    """Parse the options, train, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument(
        "--people", type=int, nargs="*", default=[], help="real people of further arms"
    )
    parser.add_argument("--runs", type=int, default=20, help="trainings of each arm")
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    real, held, made = read(options.real), read(options.real, "val"), read(options.samples)
    counts = f"{len(real.scans)} people, {len(made.scans)} samples, {len(held.scans)} held out"
    print(f"{counts}; {options.runs} trainings of {options.steps} steps of {BATCH} crops")
    arms = {"real": real, "samples": made, "real and samples": real + made}
    for count in options.people:
        arms |= {
            f"{count} real": real.first(count),
            f"{count} real and samples": real.first(count) + made,
        }
    print("| trained on | Dice | 95 % | of all real | CPU s a training |\n|---|--:|---|--:|--:|")
    whole: NDArray[np.float64] | None = None
    for name, train in arms.items():
        begun = time.process_time()
        scores = np.stack(
            [judge(fit(train, options.steps, seed), held) for seed in range(options.runs)]
        )
        seconds = (time.process_time() - begun) / options.runs
        whole = scores if whole is None else whole
        low, high = interval(scores)
        print(f"| {name} | {scores.mean():.3f} | {low:.3f} to {high:.3f} | "
              f"{scores.mean() / whole.mean():.1%} | {seconds:.0f} |", flush=True)  # fmt: skip


def read(folder: Path, split: Split = "train") -> Set:
    """Return the people of a split, or the samples of a folder, white matter 1."""
    brains = [brain for _, brain in each_brain(folder, split)]
    return Set(
        torch.stack([torch.from_numpy(brain.tones()) for brain in brains]),
        torch.stack([torch.from_numpy(brain.labels) for brain in brains]),
    )


def fit(train: Set, steps: int, seed: int) -> UNet:
    """Return a network trained on crops."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = UNet(3, 1, len(CLASSES), (8, 16, 32), (2, 2), num_res_units=1)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        scans, labels = zip(*[crop(train, rng) for _ in range(BATCH)], strict=True)
        loss = F.cross_entropy(network(torch.stack(scans)[:, None]), torch.stack(labels).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def crop(train: Set, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a crop in a head, mirrored at times, with another gain, contrast and noise."""
    member = int(rng.integers(len(train.scans)))
    while True:
        at = [int(rng.integers(n - SIDE + 1)) for n in train.scans.shape[1:]]
        place = tuple(slice(i, i + SIDE) for i in at)
        labels = train.labels[member][place]
        if (labels > 0).float().mean() > 0.2:
            break
    scan = train.scans[member][place].clamp_min(0) ** float(rng.uniform(0.8, 1.25))
    scan = scan * float(rng.uniform(0.85, 1.15))
    scan = (
        scan
        + float(rng.uniform(0, 0.04)) * torch.from_numpy(rng.standard_normal(scan.shape)).float()
    )
    if rng.random() < 0.5:
        scan, labels = scan.flip(0), labels.flip(0)
    return scan, labels


def judge(network: UNet, held: Set) -> NDArray[np.float64]:
    """Return the Dice (people,), the mean over the tissues."""
    found: list[float] = []
    with torch.no_grad():
        for scan, labels in zip(held.scans, held.labels, strict=True):
            guess = network(scan[None, None])[0].argmax(0)
            dice = [
                2 * float(((guess == k) & (labels == k)).sum())
                / max(1.0, float((guess == k).sum() + (labels == k).sum()))
                for k in range(1, len(CLASSES))
            ]  # fmt: skip
            found.append(float(np.mean(dice)))
    return np.array(found)


def interval(scores: NDArray[np.float64]) -> Sequence[float]:
    """Return the 95 % interval of the mean of scores (trainings, people)."""
    rng = np.random.default_rng(0)
    runs, count = scores.shape
    means = [
        scores[rng.integers(runs, size=runs)][:, rng.integers(count, size=count)].mean()
        for _ in range(BOOTSTRAPS)
    ]
    return [float(q) for q in np.quantile(means, (0.025, 0.975))]


if __name__ == "__main__":
    main()
