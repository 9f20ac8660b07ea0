"""CT of a quarter and a tenth of the dose: the enhancer beside RED-CNN and classical filters.

    python benchmarks/medical/low_dose.py --data DIR --run FOLDER [--steps N] [--kernel]

Noise: simulated in the projections of whole slices (`diff_medical.noise.low_dose`: 1e6 photons a
ray in air, electronic noise of 10, Hann-filtered back-projection): the middle --slices of every
held-out CT of the manifest, whose middle --side x --side pixels are filtered and scored. No head
CT is held out: the head's rows are of a scan that both networks were trained on, and say so.

With --kernel the noise gets the spectrum that the scan's own has in soft tissue, and the level
that belongs to it (`noise_spectrum`): at a share a of the dose its variance is
(1 - a) / a of that of the scan's own. Without, sharp and smooth kernels get the same noise, as
simulations on images usually have it, which no scanner with a sharp kernel makes.

RED-CNN (H. Chen et al., "Low-dose CT with a residual encoder-decoder convolutional neural
network", TMI 2017) is trained here on the same scans, noise, gains and flips as the enhancer, for
--steps steps. FOLDER keeps it, the corpus and the known scores: an interrupted run goes on.

Scores: windows of LDCT-Bench (`diff_medical.scan.intensity`), values cut to the window and scaled
to [0, 1], data range 1; PSNR, SSIM (2-D, Gaussian of sd 1.5) and root mean square error in HU of
each slice; mean and 95 % interval over slices, of one patient only. The scan as it is stands for
the truth. Filters and "declared" are given the noise level of soft tissue: the scan's own estimate
and the added noise, in squares; "blind", "poisson-ct" and "--dose" estimate it. "--dose" is told
the share of the dose.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from noise_spectrum import shaped_like
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from diff_core.evaluate import mean_interval
from diff_core.files import replacing
from diff_core.train import TrainConfig, train
from diff_medical import Enhancer, Settings
from diff_medical.data.degrade import Degradation
from diff_medical.data.patches import Patches
from diff_medical.data.reading import read_scan
from diff_medical.data.studies import Row, find_scans
from diff_medical.data.volumes import build_corpus
from diff_medical.metrics.scores import score
from diff_medical.noise.level import estimate
from diff_medical.noise.low_dose import Dose, noise_textures
from diff_medical.scan.intensity import WINDOWS, scale
from diff_medical.weights import path_of

Array = NDArray[np.float32]
Spacing = tuple[float, float, float]
DOSES = (0.25, 0.10)
SHARES = (0.04, 0.6)  # of the dose, in training: those of recipes/enhance_longer.yaml


class RedCnn(nn.Module):
    """Five convolutions of 5 x 5 and five transposed ones, 96 channels, none padded, with
    shortcuts around them: (B, 1, H, W) -> the same, H and W at least 21.
    """

    def __init__(self, channels: int = 96) -> None:
        super().__init__()
        self.config: dict[str, object] = {"channels": channels}
        widths = [1, *(channels for _ in range(5))]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 5) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 5) for a, b in reversed(pairs))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        shortcuts: list[Tensor] = []
        for number, layer in enumerate(self.down):
            if number in (0, 2, 4):
                shortcuts.append(x)
            x = F.relu(layer(x))
        for number, layer in enumerate(self.up):
            x = layer(x)
            if number in (0, 2, 4):
                x = x + shortcuts.pop()
            x = F.relu(x)
        return x


def squared_error(
    model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator
) -> Tensor:
    """Of each item of a batch; the network is told no noise level."""
    return (model(batch["y"]) - batch["x_0"]).square().mean((1, 2, 3))


def trained_redcnn(rows: list[Row], run: Path, steps: int) -> RedCnn:
    """RED-CNN after `steps` steps of 4 patches of 64 x 64, resumed if `run` holds fewer."""
    volumes = build_corpus(rows, run / "corpus", textures=True)
    low = Degradation(low_dose=1.0, share=SHARES)
    scans = [v for v in volumes if v.modality == "ct"]
    patches = Patches(scans, slices=1, size=64, thin=0.0, degradation=low)
    torch.manual_seed(0)
    config = TrainConfig(
        steps=steps, batch_size=4, learning_rate=5e-4, final_rate=1e-5, warmup=50,
        checkpoint_every=50, log_every=20, device="cpu",
    )  # fmt: skip
    begun = time.process_time()
    model = train(RedCnn(), squared_error, patches, config, directory=run / "redcnn")
    print(f"RED-CNN: {steps} steps, {time.process_time() - begun:.0f} CPU-s of them in this run")
    return model


@dataclass(frozen=True)
class Case:
    """Slices (X, Y, Z) of a scan as it is, HU, and of a share of its dose; the noise level of soft
    tissue that the filters are told, HU; the windows in which it counts.
    """

    name: str
    share: float
    windows: tuple[str, ...]
    clean: Array
    noisy: Array
    spacing: Spacing
    sigma: float


def cases(
    rows: list[Row], run: Path, slices: int, side: int, *, kernel: bool = False
) -> Iterator[Case]:
    """Every scan at every dose; the noise is kept in `run`."""
    for row in rows:
        name = row.path.name.split(".")[0]
        head = name.startswith("ct_head")
        if row.split != "val" and not head:
            continue
        values, spacing = read_scan(row.path)
        first = max(0, (values.shape[2] - slices) // 2)
        whole = values[:, :, first : first + slices].clip(-1024, 3000).astype(np.float32)
        kept = run / f"noise-{name}-{slices}.npy"
        if not kept.is_file():
            made = noise_textures(np.moveaxis(whole, 2, 0), spacing[0], np.random.default_rng(0))
            with replacing(kept) as temporary, temporary.open("wb") as file:
                np.save(file, np.moveaxis(np.stack(made), 1, 3))
        textures = np.load(kept)
        own = estimate(whole, spacing, modality="ct").sigma
        if kernel:
            photon = np.moveaxis(textures[0], 2, 0)
            like = np.moveaxis(shaped_like(np.moveaxis(whole, 2, 0), photon), 0, 2)
        tissue = (whole > -150) & (whole < 250)
        x, y = (slice((n - side) // 2, (n - side) // 2 + side) for n in whole.shape[:2])
        for share in DOSES:
            if kernel:
                noise = like * np.float32(math.sqrt((1 - share) / share))
            else:
                noise = np.tensordot(Dose().weights(share), textures, 1).astype(np.float32)
            yield Case(
                name,
                share,
                ("head",) if head else ("chest", "abdomen"),
                whole[x, y],
                (whole + noise)[x, y],
                spacing,
                math.hypot(own, float(noise[tissue].std())),
            )


def methods(
    case: Case, enhancer: Enhancer, redcnn: RedCnn | None
) -> dict[str, Callable[[], Array]]:
    """Name -> the case's slices by it."""
    from scipy.ndimage import gaussian_filter
    from skimage.restoration import denoise_nl_means, denoise_wavelet

    def ours(**how: object) -> Callable[[], Array]:
        settings = Settings(modality="ct", **how)  # type: ignore[arg-type]
        return lambda: enhancer(case.noisy, case.spacing, settings).volume

    def each(filtered: Callable[[Array], Array]) -> Callable[[], Array]:
        planes = np.moveaxis(case.noisy, 2, 0)
        return lambda: np.stack([filtered(p) for p in planes], axis=2).astype(np.float32)

    to = scale(case.noisy, "ct")

    @torch.no_grad()
    def by_redcnn(plane: Array) -> Array:
        assert redcnn is not None
        start = torch.from_numpy(to.normalise(plane))[None, None]
        return to.restore(redcnn(start)[0, 0].numpy())

    found: dict[str, Callable[[], Array]] = {
        "noisy": lambda: case.noisy,
        "gaussian sd 1": each(lambda plane: gaussian_filter(plane, 1.0)),
        "skimage wavelet BayesShrink db2": each(
            lambda plane: denoise_wavelet(
                plane,
                sigma=case.sigma,
                wavelet="db2",
                method="BayesShrink",
                mode="soft",
                rescale_sigma=True,
            )  # fmt: skip
        ),
        "skimage nl_means 5/6, h .6 sigma": each(
            lambda plane: denoise_nl_means(
                plane,
                patch_size=5,
                patch_distance=6,
                h=0.6 * case.sigma,
                sigma=case.sigma,
                fast_mode=True,
            )  # fmt: skip
        ),
    }
    if redcnn is not None:
        found["RED-CNN"] = each(by_redcnn)
    return found | {
        "ours, blind": ours(),
        "ours, declared": ours(noise="gaussian", sigma=case.sigma),
        "ours, poisson-ct": ours(noise="poisson-ct"),
        "ours, --dose": ours(dose=case.share),
    }


@dataclass(frozen=True)
class Scored:
    """Of one method on one case: PSNR, SSIM and error of each slice, in each window; CPU-s and
    voxels.
    """

    windows: dict[str, list[tuple[float, float, float]]]
    seconds: float
    voxels: int


def scored(case: Case, method: Callable[[], Array]) -> Scored:
    """Runs the method and scores every slice."""
    begun = time.process_time()
    result = method()
    seconds = time.process_time() - begun
    found: dict[str, list[tuple[float, float, float]]] = {}
    for name in case.windows:
        window = WINDOWS[name]
        for k in range(case.clean.shape[2]):
            one = score(window(case.clean[..., k]), window(result[..., k]), data_range=1.0)
            error = window.width * 10 ** (-one.psnr / 20)
            found.setdefault(name, []).append((one.psnr, one.ssim, error))
    return Scored(found, seconds, case.clean.size)


def compare(options: argparse.Namespace, rows: list[Row], redcnn: RedCnn | None) -> None:
    """Prints a table for each dose, scan and window."""
    weights = options.weights or path_of("enhance")
    enhancer = Enhancer.from_pretrained(weights, device="cpu")
    mark = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    options.run.mkdir(parents=True, exist_ok=True)
    kept = options.run / "scores.json"
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    tables: dict[tuple[float, str, str], dict[str, Scored]] = {}
    for case in cases(rows, options.run, options.slices, options.side, kernel=options.kernel):
        for name, method in methods(case, enhancer, redcnn).items():
            if options.only and not name.startswith(tuple(options.only)):
                continue
            of = {"RED-CNN": options.steps}.get(name, mark if name.startswith("ours") else "")
            key = f"{case.name} {case.share} {options.slices} {options.side} {name} {of}"
            key += " kernel" * options.kernel
            if key not in known:
                known[key] = vars(scored(case, method))
                with replacing(kept) as temporary:
                    temporary.write_text(json.dumps(known))
            for window in case.windows:
                tables.setdefault((case.share, case.name, window), {})[name] = Scored(**known[key])
    for (share, scan, window), table in sorted(tables.items(), reverse=True):
        told = ", which both networks were trained on" if window == "head" else ""
        print(f"\n{share:.0%} of the dose, window {window}: {scan}{told}\n")
        print("| method | PSNR dB | SSIM | error HU | CPU-s / Mvoxel |\n|---|---|---|---|---|")
        for name, one in table.items():
            columns = [
                mean_interval(list(values)) for values in zip(*one.windows[window], strict=True)
            ]
            cells = [
                f"{c.mean:.{d}f} ± {c.mean - c.low:.{d}f}"
                for c, d in zip(columns, (2, 4, 2), strict=True)
            ]
            print(f"| {name} | {' | '.join(cells)} | {one.seconds / one.voxels * 1e6:.1f} |")


def main() -> None:
    """Trains RED-CNN or goes on with it, then prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of scans with a manifest")
    parser.add_argument("--run", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--steps", type=int, default=180, help="of RED-CNN; 0 leaves it out")
    parser.add_argument("--only", nargs="*", help="methods whose names begin so; none: just train")
    parser.add_argument(
        "--kernel", action="store_true", help="noise with the spectrum of the scan's own"
    )
    parser.add_argument("--slices", type=int, default=3, help="of each scan")
    parser.add_argument("--side", type=int, default=256, help="pixels of each slice")
    parser.add_argument("--weights", type=Path, help="default: those of the package")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for row in find_scans(options.data) if row.modality == "ct"]
    redcnn = trained_redcnn(rows, options.run, options.steps) if options.steps else None
    if options.only != []:
        compare(options, rows, redcnn)


if __name__ == "__main__":
    main()
