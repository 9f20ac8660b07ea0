"""The families of generative models side by side: one task, one network, equal CPU time.

    python benchmarks/core/families.py [--task digits] [--minutes 1] [--seeds 3] [--sheet FILE]

VAE, GAN, autoregressive, normalising flow, masked diffusion, Gaussian diffusion (50, 8, 1 calls)
and a consistency model (1 and 2 jumps) learn the same data for `--minutes` of CPU time of one
thread each (see `family_parts.py`). Tasks: `digits` (8 x 8, 17 levels, of scikit-learn), `scans`
(drawn heads of no person, 12 x 12, 16 levels) and `mels` (8 bands by 8 frames of a sentence's mel
spectrogram, 16 levels; needs diff-audio).

Printed, with the deviation over the seeds: energy distance to data that were not trained on;
Fréchet distance in 16 principal components; density and coverage (M. Naeem et al., "Reliable
fidelity and diversity metrics for generative models", 2020, with 5 neighbours), best near 1; the
groups of the data (clusters of k-means, 20) of which fewer than a quarter of their share
were drawn; detail, the mean squared difference of neighbours as a share of that of the data, below
1 where samples are blurred; bits an entry where there is a likelihood ("=" itself, "<" a bound,
"~" an estimate by the ODE); milliseconds of CPU time a sample, 500 at once; parameters of what
samples are drawn from. The first line is as many other real data, the best that can be had.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from family_diffusion import Categories, Diffusion, Jump
from family_parts import Data, Family, Model
from family_rivals import Autoregressive, Flow, Gan, Vae
from scipy.linalg import sqrtm
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from diff_core.evaluate import energy_distance

DRAWN, NEIGHBOURS, GROUPS = 500, 5, 20
SCORES = ("energy", "Fréchet", "density", "coverage", "groups missed", "detail")
HEADS = (*SCORES, "bits an entry", "ms a sample", "parameters")

FAMILIES = {
    "VAE": Family(Vae.train, "<"),
    "GAN": Family(Gan.train),
    "autoregressive": Family(Autoregressive.train, "="),
    "normalising flow": Family(Flow.train, "<"),
    "masked diffusion, 32 calls": Family(Categories.train, "<"),
    "diffusion, 50 calls": Family(Diffusion.train, "~"),
    "consistency, 1 call": Family(Jump.train),
}
"""How to train each; of a diffusion and a consistency model others are made with other calls."""


def main() -> None:
    """Parse the options, train all, print the table."""
    options = _options()
    torch.set_num_threads(1)
    known, unseen = TASKS[options.task]()
    judge = Judge(known, unseen)
    rows, entries = known.rows.shape
    print(f"{options.task}: {rows} rows of {entries} entries to learn from, {len(unseen)} others,")
    print(f"{60 * options.minutes:g} s of CPU time for each model, {options.seeds} seeds\n")
    print("| family | " + " | ".join(HEADS) + " |\n|---|" + "--:|" * len(HEADS))
    other = torch.randperm(len(known.rows), generator=torch.Generator().manual_seed(0))
    real = known.spread(known.rows[other[: len(unseen)]], torch.Generator().manual_seed(0))
    print(f"| other real data | {' | '.join(_cells([judge(real)]))} | | | |", flush=True)
    sheets: dict[str, Tensor] = {"real": judge.unseen[:12]}
    for name in options.families:
        family = FAMILIES[name]
        found: dict[str, list[list[float]]] = {}
        sizes: dict[str, int] = {}
        for seed in range(options.seeds):
            first = family.train(known, 60 * options.minutes, seed)
            for label, model in _variants(name, first):
                start = time.process_time()
                made = model.draw(DRAWN, seed + 1)
                cost = 1000 * (time.process_time() - start) / DRAWN
                bits = model.bits(unseen)
                row = [*judge(made), np.nan if bits is None else bits, cost]
                found.setdefault(label, []).append(row)
                sizes[label] = _parameters(model)
                if seed == 0:
                    sheets[label] = made[:12]
        for label, rows in found.items():
            cells = _cells(rows)
            cells[-2] = f"{family.sign} {cells[-2]}" if family.sign else ""
            size = f"{sizes[label]:,}"
            print(f"| {label} | " + " | ".join([*cells, size]) + " |", flush=True)
    if options.sheet:
        _draw(sheets, options.sheet)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=list(TASKS), default="digits")
    parser.add_argument("--minutes", type=float, default=1.0, help="of CPU time, each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--sheet", type=Path, help="write a picture with samples of each")
    return parser.parse_args()


def _variants(name: str, model: Model) -> list[tuple[str, Model]]:
    """A trained model, and the same with other numbers of calls."""
    family = name.split(",")[0]
    if family == "diffusion":
        return [
            (f"diffusion, {n} call{'s' * (n > 1)}", replace(model, calls=n)) for n in (50, 8, 1)
        ]
    if family == "consistency":
        return [(f"consistency, {n} call{'s' * (n > 1)}", replace(model, calls=n)) for n in (1, 2)]
    return [(name, model)]


def _parameters(model: Model) -> int:
    """Return the number of parameters of what is drawn from."""
    parts = [part for part in vars(model).values() if isinstance(part, nn.Module)]
    return sum(p.numel() for part in parts for p in part.parameters())


def _detail(rows: Tensor) -> float:
    """Return the mean square of the differences between neighbours of square rows (N, D)."""
    side = round(rows.shape[1] ** 0.5)
    squares = rows.reshape(-1, side, side)
    return float(squares.diff(dim=1).square().mean() + squares.diff(dim=2).square().mean())


class Judge:
    """Compares samples (N, D) with data that were not trained on."""

    def __init__(self, known: Data, unseen: Tensor) -> None:
        self.unseen = known.spread(unseen, torch.Generator().manual_seed(1))
        learned = known.spread(known.rows, torch.Generator().manual_seed(2)).numpy()
        self.components = PCA(16, random_state=0).fit(learned)
        self.groups = KMeans(GROUPS, n_init=4, random_state=0).fit(learned)
        self.share = np.bincount(self.groups.labels_, minlength=GROUPS) / len(learned)
        near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(self.unseen.numpy())
        self.radius = near.kneighbors(self.unseen.numpy())[0][:, -1]

    def __call__(self, made: Tensor) -> list[float]:
        """Return the `SCORES`."""
        distances = torch.cdist(made.double(), self.unseen.double()).numpy()
        inside = distances <= self.radius
        drawn = np.bincount(self.groups.predict(made.numpy()), minlength=GROUPS) / len(made)
        return [
            energy_distance(made, self.unseen),
            self._frechet(made.numpy()),
            float(inside.sum(1).mean() / NEIGHBOURS),
            float(inside.any(0).mean()),
            float((drawn < self.share / 4).sum()),
            _detail(made) / _detail(self.unseen),
        ]

    def _frechet(self, made: np.ndarray) -> float:
        a, b = (self.components.transform(x) for x in (made, self.unseen.numpy()))
        first, second = np.cov(a.T), np.cov(b.T)
        cross = np.real(sqrtm(first @ second))
        gap = np.square(a.mean(0) - b.mean(0)).sum()
        return float(gap + np.trace(first + second - 2 * cross))


def _cells(rows: Sequence[Sequence[float]]) -> list[str]:
    values = np.array(rows)
    cells: list[str] = []
    for mean, deviation in zip(
        values.mean(0), values.std(0, ddof=1 if len(rows) > 1 else 0), strict=True
    ):
        cells.append(f"{mean:.3g}" + (f" ± {deviation:.1g}" if len(rows) > 1 else ""))
    return cells


def digits() -> tuple[Data, Tensor]:
    """Return the digits of scikit-learn, 500 of them to judge."""
    return _parted(torch.tensor(load_digits().data).long(), 17, 500)


def scans() -> tuple[Data, Tensor]:
    """Return heads of no person, see `heads`."""
    return _parted(torch.tensor(heads(4000, 12).reshape(4000, -1) * 16).long(), 16, 500)


def heads(count: int, side: int) -> np.ndarray:
    """Return drawn heads (count, side, side) in [0, 1): skull, brain, ventricles, some lesions."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    drawn: list[np.ndarray] = []
    for _ in range(count):
        size, turn = rng.uniform(0.75, 0.98, 2), rng.uniform(-0.3, 0.3)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        radius = np.hypot(u / size[0], v / size[1])
        head = np.where(radius < 1, 0.9, 0.0)
        brain = np.clip((0.85 - radius) / 0.12, 0, 1)
        head = head * (1 - brain) + brain * rng.uniform(0.45, 0.65)
        wide = rng.uniform(0.06, 0.22)
        hollow = np.exp(-(((np.abs(u) - 0.2) / wide) ** 2) - (v / 0.35) ** 2)
        head -= 0.5 * hollow * brain
        if rng.random() < 0.25:
            place = rng.uniform(-0.45, 0.45, 2)
            head += 0.45 * brain * np.exp(-((u - place[0]) ** 2 + (v - place[1]) ** 2) / 0.03)
        drawn.append(np.clip(head, 0, 0.999))
    return np.stack(drawn)


def mels() -> tuple[Data, Tensor]:
    """Return patches of mel spectrograms of Harvard sentences, said by the shipped voice.

    The patches to judge by are those of other sentences.
    """
    import librosa

    from diff_audio.voice.speaker import Speaker

    text = (Path(__file__).parents[1] / "audio" / "harvard.txt").read_text().splitlines()
    speaker = Speaker.from_pretrained(device="cpu")
    said: list[np.ndarray] = []
    for line in [line for line in text if line.strip()][:36]:
        wave, rate = speaker(line)
        power = librosa.feature.melspectrogram(y=wave, sr=rate, n_mels=8, hop_length=rate // 50)
        decibels = np.clip((librosa.power_to_db(power, ref=np.max) + 60) / 60, 0, 0.999)
        places = range(0, decibels.shape[1] - 8, 2)
        said.append(np.stack([decibels[:, k : k + 8].ravel() for k in places]))
    known, unseen = (torch.tensor(np.concatenate(p) * 16).long() for p in (said[9:], said[:9]))
    some = torch.randperm(len(unseen), generator=torch.Generator().manual_seed(0))[:400]
    return Data(known, 16), unseen[some]


def _parted(rows: Tensor, levels: int, held: int) -> tuple[Data, Tensor]:
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return Data(rows[order[held:]], levels), rows[order[:held]]


TASKS = {"digits": digits, "scans": scans, "mels": mels}


def _draw(sheets: dict[str, Tensor], path: Path) -> None:
    """Write twelve samples of each family, a line each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    side = round(next(iter(sheets.values())).shape[1] ** 0.5)
    figure, axes = plt.subplots(len(sheets), 1, figsize=(8, 0.52 * len(sheets)))
    figure.subplots_adjust(left=0.21, right=0.99, bottom=0.01, top=0.99, hspace=0.1)
    for axis, (name, rows) in zip(axes, sheets.items(), strict=True):
        line = torch.cat(
            [torch.nn.functional.pad(row.reshape(side, side), (0, 1), value=-1) for row in rows], 1
        )
        axis.imshow(line, cmap="gray", vmin=-1, vmax=1)
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
