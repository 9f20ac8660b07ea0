"""Noise removed from real scans: the enhancer beside named peers, in one run.

    python benchmarks/medical/enhance.py --data DIR [--manifest DIR/manifest.jsonl]
    python benchmarks/medical/enhance.py --volume scan.nii.gz --crop 64 --bm4d
    python benchmarks/medical/enhance.py --speed

Protocol: the file divided by its maximum is the clean volume, cropped to the middle --crop x
--crop of every slice (--crop of every axis with --cube); Gaussian noise of 5 % and 10 % of the
maximum from numpy's default_rng(0), not clipped. PSNR: data range 1, all voxels. SSIM:
scikit-image, 3-D, Gaussian window of sd 1.5, data range 1. Every method but "ours, blind" is
given the true sigma. The file's own noise counts as signal, which caps PSNR. CPU-s: process time
on one thread.

--speed enhances a volume of 256 x 256 x 176 through the command, start-up included, and prints its
wall time on all cores and its peak memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scan_files import scan_options, scan_paths

Array = NDArray[np.float32]
Method = Callable[[Array, float], Array]
LEVELS = (0.05, 0.10)
PACKAGES = ("diff-medical", "torch", "dipy", "scikit-image", "scipy", "numpy")


@dataclass(frozen=True)
class Case:
    """A clean volume (X, Y, Z), maximum of its file 1, and its voxel size, mm."""

    name: str
    clean: Array
    spacing: tuple[float, float, float]


def read_case(path: Path, crop: int, cube: bool) -> Case:
    """The middle of the scan at `path`, divided by the maximum of the whole."""
    image = nib.load(path)
    values = np.asarray(image.dataobj, dtype=np.float32)
    values /= values.max()
    axes = 3 if cube else 2
    middle = tuple(
        slice(max(0, (n - crop) // 2), max(0, (n - crop) // 2) + crop) if a < axes else slice(None)
        for a, n in enumerate(values.shape)
    )
    sizes = nib.affines.voxel_sizes(image.affine)
    return Case(path.name, values[middle], (float(sizes[0]), float(sizes[1]), float(sizes[2])))


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """The validation MR scans of the manifest, or the given volumes."""
    for path in scan_paths(options):
        yield read_case(path, options.crop, options.cube)


def methods(case: Case, weights: Path | None, bm4d: bool) -> dict[str, Method]:
    """Name -> function of the noisy volume and the true sigma."""
    import torch
    from dipy.denoise.nlmeans import nlmeans
    from scipy.ndimage import gaussian_filter
    from skimage.restoration import denoise_nl_means, denoise_wavelet

    from diff_medical import Enhancer, Settings
    from diff_medical.slices.passes import Quality

    torch.set_num_threads(1)
    enhancer = Enhancer.from_pretrained(weights, device="cpu")

    def ours(noisy: Array, sigma: float, quality: Quality = "default") -> Array:
        settings = Settings(modality="mr", noise="gaussian", sigma=sigma, quality=quality)
        return enhancer(noisy, case.spacing, settings).volume

    def blind(noisy: Array, sigma: float) -> Array:
        found = enhancer(noisy, case.spacing, Settings())
        print(f"  estimated sigma / true: {found.noise.sigma / sigma:.3f}", file=sys.stderr)
        return found.volume

    def dipy_nlmeans(noisy: Array, sigma: float) -> Array:
        return nlmeans(
            noisy.astype(np.float64), sigma=sigma, patch_radius=1, block_radius=3, rician=False,
            method="classic", num_threads=1,
        )  # fmt: skip

    found: dict[str, Method] = {
        "noisy": lambda noisy, sigma: noisy,
        "gaussian sd 0.8": lambda noisy, sigma: gaussian_filter(noisy, 0.8),
        "skimage wavelet BayesShrink db2": lambda noisy, sigma: denoise_wavelet(
            noisy,
            sigma=sigma,
            wavelet="db2",
            method="BayesShrink",
            mode="soft",
            rescale_sigma=True,
        ),
        "skimage nl_means 3/4, h .8 sigma": lambda noisy, sigma: denoise_nl_means(
            noisy, patch_size=3, patch_distance=4, h=0.8 * sigma, sigma=sigma, fast_mode=True
        ),
        "dipy nlmeans classic 1/3": dipy_nlmeans,
        "ours, blind": blind,
        "ours, draft": partial(ours, quality="draft"),
        "ours": ours,
        "ours, best": partial(ours, quality="best"),
    }
    if bm4d:
        from bm4d import bm4d as run_bm4d

        found["bm4d"] = lambda noisy, sigma: run_bm4d(noisy.astype(np.float64), sigma)
    return found


def compare(options: argparse.Namespace) -> None:
    """Prints one table: a row for each method, the mean over the volumes, and each volume's."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    scores: dict[tuple[str, float], list[tuple[float, float]]] = {}
    seconds: dict[str, list[float]] = {}
    names: list[str] = []
    for case in cases(options):
        names.append(f"{case.name} {' x '.join(map(str, case.clean.shape))}")
        for level in LEVELS:
            noise = np.random.default_rng(0).standard_normal(case.clean.shape)
            noisy = (case.clean + level * noise).astype(np.float32)
            for name, method in methods(case, options.weights, options.bm4d).items():
                begun = time.process_time()
                estimate = method(noisy.copy(), level).astype(np.float32)
                took = time.process_time() - begun
                psnr = peak_signal_noise_ratio(case.clean, estimate, data_range=1.0)
                ssim = structural_similarity(
                    case.clean, estimate, data_range=1.0, gaussian_weights=True, sigma=1.5,
                    use_sample_covariance=False,
                )  # fmt: skip
                scores.setdefault((name, level), []).append((float(psnr), float(ssim)))
                seconds.setdefault(name, []).append(took * 1e6 / case.clean.size)
                print(f"{case.name} {level:.0%} {name}: {psnr:.2f} {ssim:.4f}", file=sys.stderr)
    if not names:
        raise SystemExit("no volumes: give --data or --volume")

    print(f"mean over {len(names)} volumes: {'; '.join(names)}\n")
    heads = " | ".join(f"{level:.0%}: PSNR dB | SSIM" for level in LEVELS)
    print(f"| method | {heads} | CPU-s / Mvoxel |")
    print("|---" * (2 + 2 * len(LEVELS)) + "|")
    for name in seconds:
        cells = []
        for level in LEVELS:
            psnr, ssim = np.mean(scores[name, level], axis=0)
            cells.append(f"{psnr:.2f} | {ssim:.4f}")
        print(f"| {name} | {' | '.join(cells)} | {np.mean(seconds[name]):.2f} |")
    packages = (*PACKAGES, "bm4d") if options.bm4d else PACKAGES
    print(f"\n{', '.join(f'{p} {version(p)}' for p in packages)}; one thread; {_machine()}")


def speed(options: argparse.Namespace) -> None:
    """Time and memory of the whole command on 256 x 256 x 176, three planes."""
    shape = (256, 256, 176)
    x, y, z = np.ogrid[-1:1:256j, -1:1:256j, -1:1:176j]
    clean = 800.0 * (x**2 + y**2 + z**2 < 0.8) * (1 + 0.2 * np.sin(9 * x) * np.cos(7 * y + 5 * z))
    noisy = clean + 40 * np.random.default_rng(0).standard_normal(shape)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "scan.nii.gz"
        nib.Nifti1Image(np.rint(noisy).astype(np.int16), np.eye(4)).to_filename(source)
        command = [sys.executable, "-m", "diff_medical.enhance", str(source), "--device", "cpu"]
        command += ["--weights", str(options.weights)] if options.weights else []
        command += ["--threads", str(os.cpu_count())]
        environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
        begun = time.monotonic()
        subprocess.run(command, check=True, env=environment)
        wall = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"256 x 256 x 176: {wall:.1f} s wall, {used.ru_utime + used.ru_stime:.1f} CPU-s, "
        f"{used.ru_maxrss / 2**20:.2f} GiB peak; {os.cpu_count()} cores; {_machine()}"
    )


def _machine() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Runs what the options ask for."""
    parser = scan_options(__doc__)
    parser.add_argument("--crop", type=int, default=160, help="voxels kept along X and Y")
    parser.add_argument("--cube", action="store_true", help="crop Z too")
    parser.add_argument("--bm4d", action="store_true", help="also BM4D (slow: 7 min a Mvoxel)")
    parser.add_argument("--speed", action="store_true", help="time and memory of one large volume")
    options = parser.parse_args()
    if options.speed:
        speed(options)
    else:
        compare(options)


if __name__ == "__main__":
    main()
